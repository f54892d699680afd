#include "loops.h"

#include <string.h>

extern const struct loops loops_avx512, loops_avx2, loops_baseline;

/* Kernels with other products than a set's own are called by its name and more. NEON is AArch64's baseline. */
const struct loops *loops_for(const struct winograd_kernels *kernels) {
    static const struct loops *const sets[] = {
#if defined(WINOGRAD_WITH_avx512)
        &loops_avx512,
#endif
#if defined(WINOGRAD_WITH_avx2)
        &loops_avx2,
#endif
        &loops_baseline
    };
    const char *name = winograd_kernels_name(kernels);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (!strncmp(name, sets[i]->name, strlen(sets[i]->name)))
            return sets[i];
    return &loops_baseline;
}
