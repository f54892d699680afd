/* The product of a panel, and the lines of its table: AVX512-BF16. */
#ifndef WINOGRAD_PRODUCT_BF16_H
#define WINOGRAD_PRODUCT_BF16_H

#include "winograd_kernels.h"
#include "winograd_vectors.h"

/* Two neighbouring operands in all lanes. clang 16 and 17 break down over a product with that unless it is hidden. */
INLINE __m512bh splat(int32_t pair) {
    __m512i lanes = _mm512_set1_epi32(pair);
#if __clang_major__ == 16 || __clang_major__ == 17
    __asm__("" : "+v"(lanes));
#endif
    return (__m512bh)lanes;
}

/* Six tiles by columns vectors of output channels; a vector of weights holds those from two input channels. */
INLINE void product_block(int columns, const operand *v, size_t v_stride, const operand *u, int depth, float *m,
                          size_t m_stride, const char *next) {
    __m512 sum[WINOGRAD_ROWS][4] = {{{0}}};
    __m512bh weight[4];
    for (int k = 0; k < depth; k += 2, u += 2 * LANES * columns, next += WINOGRAD_BYTES) {
        UNROLL
        for (int n = 0; n < columns; ++n)
            weight[n] = (__m512bh)_mm512_load_si512(u + 2 * LANES * n);
        __builtin_prefetch(next, 0, 2);
        UNROLL
        for (int t = 0; t < WINOGRAD_ROWS; ++t) {
            int32_t pair;
            memcpy(&pair, v + (size_t)t * v_stride + (size_t)k, sizeof pair);
            UNROLL
            for (int n = 0; n < columns; ++n)
                sum[t][n] = _mm512_dpbf16_ps(sum[t][n], splat(pair), weight[n]);
        }
    }
    UNROLL
    for (int t = 0; t < WINOGRAD_ROWS; ++t)
        UNROLL
    for (int n = 0; n < columns; ++n)
        _mm512_store_ps(m + (size_t)t * m_stride + n * LANES, sum[t][n]);
}

static void product(const void *v, size_t v_stride, const void *u, int depth, int width, float *m, size_t m_stride,
                    const void *next) {
    if (width == 64)
        product_block(4, v, v_stride, u, depth, m, m_stride, next);
    else if (width == 48)
        product_block(3, v, v_stride, u, depth, m, m_stride, next);
    else if (width == 32)
        product_block(2, v, v_stride, u, depth, m, m_stride, next);
    else
        product_block(1, v, v_stride, u, depth, m, m_stride, next);
}

static void store_weights(const float *first, const float *last, void *line) {
    const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(first)));
    const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(last)));
    _mm512_store_si512(line, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

#endif
