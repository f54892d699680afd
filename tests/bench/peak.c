#include "peak.h"

#include "filteratlas/base/clock.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(WINOGRAD_WITH_neon)
#include <arm_neon.h>
#endif

/* Twelve sums that don't wait for each other keep two units with a latency of four to six cycles busy, and stay in
 * registers even where there are only sixteen. */
enum { SUMS = 12 };
#define EACH_SUM(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

typedef float vec128 __attribute__((vector_size(16)));

#define DECLARE(i) sum##i,
#define START(i) sum##i = x * (float)(i + 1);
#define ADD(i) sum##i = STEP(sum##i);
#define TOTAL(i) +sum##i

/* rounds * SUMS steps of one kind of vector; the factor 0.5 keeps the sums finite and normal. Of bfloat16 a step is two
 * multiplications and additions. */
#define DEFINE(name, vec)                                                                                              \
    static float name(long rounds, float start) {                                                                      \
        vec x = start - (vec){0}, half = x * 0.5F, EACH_SUM(DECLARE) total;                                            \
        EACH_SUM(START)                                                                                                \
        for (long r = 0; r < rounds; r++) {                                                                            \
            EACH_SUM(ADD)                                                                                              \
        }                                                                                                              \
        total = EACH_SUM(TOTAL);                                                                                       \
        return total[0];                                                                                               \
    }

#if defined(__x86_64__)
#define STEP(sum) _mm512_fmadd_ps(sum, half, x)
__attribute__((target("avx512f"))) DEFINE(run_avx512, __m512)
#undef STEP
#define STEP(sum) _mm256_fmadd_ps(sum, half, x)
    __attribute__((target("avx2,fma"))) DEFINE(run_avx2, __m256)
#undef STEP
#if defined(WINOGRAD_WITH_bf16)
#define STEP(sum) _mm512_dpbf16_ps(sum, (__m512bh)half, (__m512bh)x)
        __attribute__((target("avx512f,avx512bf16"))) DEFINE(run_bf16, __m512)
#undef STEP
#endif
#endif
#if defined(WINOGRAD_WITH_neon)
#define STEP(sum) vfmaq_f32(x, sum, half)
            DEFINE(run_neon, float32x4_t)
#undef STEP
#endif
#define STEP(sum) (sum * half + x)
                DEFINE(run_baseline, vec128)

                    struct peak_loop {
    const char *kernels;
    int lanes;
    float (*run)(long rounds, float start);
};

static const struct peak_loop loops[] = {
#if defined(WINOGRAD_WITH_neon)
    {"neon", 4, run_neon},
#endif
#if defined(__x86_64__)
    {"avx512", 16, run_avx512},    {"avx2", 8, run_avx2},
#if defined(WINOGRAD_WITH_bf16)
    {"bf16", 32, run_bf16},
#endif
#endif
    {"baseline", 4, run_baseline},
};

double peak_measure(const char *kernels, int turns) {
    static volatile float sink;
    const long rounds = 5000000;
    const struct peak_loop *loop = loops;
    while (strcmp(loop->kernels, kernels) != 0)
        loop++;
    double best = 0;
    for (int turn = 0; turn < turns; turn++) {
        double start = clock_now();
        sink = sink + loop->run(rounds, 1);
        double speed = 2e-9 * SUMS * loop->lanes * (double)rounds / (clock_now() - start);
        best = speed > best ? speed : best;
    }
    return best;
}
