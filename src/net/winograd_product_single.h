/* The product of a panel, and the lines of its table: single precision, by vectors of any length. */
#ifndef WINOGRAD_PRODUCT_SINGLE_H
#define WINOGRAD_PRODUCT_SINGLE_H

#include "winograd_kernels.h"
#include "winograd_vectors.h"

/* Values of k summed in registers before the sum is added to m: short sums of short sums round less. With 512 input
 * channels and 6x6 tiles the relative error is 2.0e-6 instead of 5.8e-6 for one long sum, at the cost of 1 % of time.
 */
enum { SLICE = 32 };

#if defined(WINOGRAD_NEON)
#include "winograd_product_neon.h"
#else

/* Six tiles by columns vectors of output channels. */
INLINE void product_block(int columns, const float *v, size_t v_stride, const float *u, size_t u_stride, int depth,
                          float *m, size_t m_stride, const float *next) {
    for (int done = 0; done < depth; done += SLICE) {
        vec sum[WINOGRAD_ROWS][4] = {{{0}}}, weight[4];
        const int end = least(done + SLICE, depth);
        for (int k = done; k < end; ++k) {
            UNROLL
            for (int n = 0; n < columns; ++n)
                weight[n] = load(u + (size_t)k * u_stride + n * LANES);
            __builtin_prefetch(next + (size_t)k * WINOGRAD_LINE, 0, 2);
            UNROLL
            for (int t = 0; t < WINOGRAD_ROWS; ++t) {
                const float value = v[(size_t)t * v_stride + (size_t)k];
                UNROLL
                for (int n = 0; n < columns; ++n)
                    sum[t][n] += value * weight[n];
            }
        }
        UNROLL
        for (int t = 0; t < WINOGRAD_ROWS; ++t)
            UNROLL
        for (int n = 0; n < columns; ++n) {
            float *to = m + (size_t)t * m_stride + n * LANES;
            if (done > 0)
                sum[t][n] += load(to);
            store(to, sum[t][n]);
        }
    }
}

static void product(const void *v_start, size_t v_stride, const void *panel, int depth, int width, float *m,
                    size_t m_stride, const void *next) {
    const float *v = v_start, *u = panel;
#if defined(__AVX512F__)
    /* 32 registers: 6 x 4 sums, 4 weights, 1 value. */
    if (width == 64)
        product_block(4, v, v_stride, u, 64, depth, m, m_stride, next);
    else if (width == 48)
        product_block(3, v, v_stride, u, 48, depth, m, m_stride, next);
    else if (width == 32)
        product_block(2, v, v_stride, u, 32, depth, m, m_stride, next);
    else
        product_block(1, v, v_stride, u, 16, depth, m, m_stride, next);
#elif defined(__aarch64__)
    /* 32 registers: 6 x 4 sums, 4 weights, 1 value. */
    for (int n = 0; n < width; n += 4 * LANES)
        product_block(4, v, v_stride, u + n, (size_t)width, depth, m + n, m_stride, next);
#else
    /* 16 registers: 6 x 2 sums, 2 weights, 1 value. */
    for (int n = 0; n < width; n += 2 * LANES)
        product_block(2, v, v_stride, u + n, (size_t)width, depth, m + n, m_stride, next);
#endif
}

#endif

static void store_weights(const float *first, const float *last, void *line) {
    (void)last; /* the same: one input channel */
    memcpy(line, first, WINOGRAD_LINE * sizeof *first);
}

#endif
