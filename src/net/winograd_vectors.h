/* Vectors of the instruction set that winograd_kernels.c is compiled for: numbers, gates, operands of the products. */
#ifndef WINOGRAD_VECTORS_H
#define WINOGRAD_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(WINOGRAD_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), may_alias));
typedef int8_t bvec __attribute__((vector_size(LANES), may_alias));

#define INLINE static inline __attribute__((always_inline))
/* ROLLED: unrolled, every point's address would be worked out and kept by itself. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll 16")
#define ROLLED _Pragma("nounroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define ROLLED _Pragma("GCC unroll 1")
#endif
#define NOINLINE static __attribute__((noinline))

/* GCC takes each use of a vector from memory anew, twice as many loads as needed. Only where registers are plenty. */
#if defined(__AVX512F__)
#define LOAD_ONCE(x) __asm__("" : "+v"(x))
#else
#define LOAD_ONCE(x) (void)(x)
#endif

INLINE int least(int a, int b) { return a < b ? a : b; }

INLINE int most(int a, int b) { return a > b ? a : b; }

INLINE vec load(const float *p) { return *(const vec *)p; }

INLINE void store(float *p, vec x) { *(vec *)p = x; }

/* An operand of the products. Rounding to bfloat16 is to the nearest, ties to even; what is denormal becomes 0. */
#if defined(__AVX512BF16__)
typedef uint16_t operand;
INLINE void store_operand(operand *p, vec x) {
    _mm256_store_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
#else
typedef float operand;
INLINE void store_operand(operand *p, vec x) { store(p, x); }
#endif

/* Gate bytes as lanes, sign extended, and back. GCC 12 makes a scalar move for each lane of
 * __builtin_convertvector between bytes and 32-bit lanes; hence the intrinsics. */
INLINE ivec load_gate(const uint8_t *p) {
#if defined(__AVX512F__)
    return (ivec)_mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)p));
#elif defined(__AVX2__)
    return (ivec)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
#elif defined(WINOGRAD_NEON)
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return (ivec)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(bytes)))));
#else
    return __builtin_convertvector(*(const bvec *)p, ivec);
#endif
}

INLINE void store_gate(uint8_t *p, ivec x) {
#if defined(__AVX512F__)
    __m128i bytes = _mm512_cvtepi32_epi8((__m512i)x);
    __asm__("" : "+v"(bytes)); /* keeps vpmovdb from writing to memory itself: that form takes 13 cycles on Zen 5 */
    _mm_store_si128((__m128i *)p, bytes);
#elif defined(__AVX2__)
    const __m128i pairs = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(pairs, pairs));
#elif defined(WINOGRAD_NEON)
    const int16x4_t pairs = vmovn_s32((int32x4_t)x);
    const int32x2_t bytes = vreinterpret_s32_s8(vmovn_s16(vcombine_s16(pairs, pairs)));
    const int32_t four = vget_lane_s32(bytes, 0);
    memcpy(p, &four, sizeof four);
#else
    *(bvec *)p = __builtin_convertvector(x, bvec);
#endif
}

/* 255 where x > 0, else 0. */
INLINE void store_open(uint8_t *p, vec x) {
#if defined(__AVX512F__)
    _mm_store_si128((__m128i *)p, _mm_movm_epi8(_mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_GT_OQ)));
#else
    store_gate(p, x > 0);
#endif
}

INLINE vec keep(vec x, ivec mask) { return (vec)((ivec)x & mask); }

INLINE vec choose(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

#endif
