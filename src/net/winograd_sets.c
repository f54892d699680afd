/* See winograd.h. The sets of kernels, and which of them this processor runs. */
#include "filteratlas/net/winograd.h"

#include <string.h>
#if defined(WINOGRAD_WITH_bf16)
#include <cpuid.h>
#endif

#include "winograd_kernels.h"

/* The features that the Makefile's KERNEL_FLAGS let the compiler use. By their own names: those of levels, "x86-64-v3",
 * are unknown to GCC before 12 and to clang before 18. */
#if defined(WINOGRAD_WITH_avx2) || defined(WINOGRAD_WITH_avx512)
static bool runs_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif

#if defined(WINOGRAD_WITH_avx512)
static bool runs_avx512(void) {
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd");
}
#endif

#if defined(WINOGRAD_WITH_bf16)
/* Asked of the processor itself: compilers that know the instructions need not know the feature's name. */
static bool runs_bf16(void) {
    unsigned eax, ebx, ecx, edx;
    return runs_avx512() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && eax >> 5 & 1;
}
#endif

const struct winograd_kernels *winograd_find_kernels(const char *name) {
    const struct winograd_kernels *found[5];
    int count = 0;
#if defined(WINOGRAD_WITH_neon)
    found[count++] = &winograd_kernels_neon; /* every AArch64 processor has it */
#endif
#if defined(WINOGRAD_WITH_avx512)
    if (runs_avx512())
        found[count++] = &winograd_kernels_avx512;
#endif
#if defined(WINOGRAD_WITH_avx2)
    if (runs_avx2())
        found[count++] = &winograd_kernels_avx2;
#endif
    found[count++] = &winograd_kernels_baseline;
#if defined(WINOGRAD_WITH_bf16)
    if (runs_bf16())
        found[count++] = &winograd_kernels_bf16; /* last: none of single precision, so never the fastest of all */
#endif
    for (int i = 0; i < count; ++i)
        if (!name || strcmp(name, found[i]->name) == 0)
            return found[i];
    return NULL;
}

const struct winograd_kernels *winograd_choose_kernels(enum winograd_precision precision) {
    return winograd_find_kernels(precision == WINOGRAD_BF16 ? "bf16" : NULL);
}

enum winograd_precision winograd_precision(const struct winograd_kernels *kernels) {
    return kernels->group > 1 ? WINOGRAD_BF16 : WINOGRAD_SINGLE;
}

const struct winograd_kernels *winograd_single_kernels(const struct winograd_kernels *kernels) {
    return kernels->single;
}

bool winograd_has_tile(enum winograd_precision precision, enum winograd_direction direction, enum winograd_tile tile) {
    return precision == WINOGRAD_SINGLE || direction == WINOGRAD_BACKWARD || tile == WINOGRAD_F4;
}

const char *winograd_kernels_name(const struct winograd_kernels *kernels) { return kernels->name; }
