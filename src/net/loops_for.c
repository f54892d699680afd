#include "loops.h"

#include <string.h>

#if defined(__x86_64__)
extern const struct loops loops_avx512, loops_avx2;
#endif
extern const struct loops loops_baseline;

/* Kernels with other products than a set's own are called by its name and more. */
const struct loops *loops_for(const struct winograd_kernels *kernels) {
#if defined(__x86_64__)
    static const struct loops *const sets[] = {&loops_avx512, &loops_avx2};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strncmp(winograd_kernels_name(kernels), sets[i]->name, strlen(sets[i]->name)))
            return sets[i];
#endif
    (void)kernels;
    return &loops_baseline;
}
