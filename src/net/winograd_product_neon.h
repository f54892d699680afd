/* The product of a panel by NEON's multiplication by one lane: six tiles by sixteen output channels. A vector of four
 * input channels of each tile and one vector of weights at a time, twice for the next to be on its way, fill the 32
 * registers beside the 24 sums: 22 loads for 96 fused multiply-adds, where a value at a time would take 40. The sums
 * are those of winograd_product_single.h, to the bit. */
#ifndef WINOGRAD_PRODUCT_NEON_H
#define WINOGRAD_PRODUCT_NEON_H

#include "winograd_kernels.h"
#include "winograd_vectors.h"

enum { COLUMNS = 4 }; /* vectors of output channels */

/* Adds the products with the values' lane, which must be a constant. */
#define ADD_LANE(lane)                                                                                                 \
    UNROLL                                                                                                             \
    for (int n = 0; n < COLUMNS; ++n) {                                                                                \
        const float32x4_t weight = vld1q_f32(u + (size_t)(lane)*u_stride + n * LANES);                                 \
        UNROLL                                                                                                         \
        for (int t = 0; t < WINOGRAD_ROWS; ++t)                                                                        \
            sum[t][n] = vfmaq_laneq_f32(sum[t][n], weight, value[t], lane);                                            \
    }

/* Four input channels. */
INLINE void product_step(float32x4_t sum[WINOGRAD_ROWS][COLUMNS], const float *v, size_t v_stride, const float *u,
                         size_t u_stride) {
    float32x4_t value[WINOGRAD_ROWS];
    UNROLL
    for (int t = 0; t < WINOGRAD_ROWS; ++t)
        value[t] = vld1q_f32(v + (size_t)t * v_stride);
    ADD_LANE(0)
    ADD_LANE(1)
    ADD_LANE(2)
    ADD_LANE(3)
}

/* One input channel: the first layer's depth, 27, is no multiple of four. */
INLINE void product_rest(float32x4_t sum[WINOGRAD_ROWS][COLUMNS], const float *v, size_t v_stride, const float *u) {
    UNROLL
    for (int n = 0; n < COLUMNS; ++n) {
        const float32x4_t weight = vld1q_f32(u + n * LANES);
        UNROLL
        for (int t = 0; t < WINOGRAD_ROWS; ++t)
            sum[t][n] = vfmaq_n_f32(sum[t][n], weight, v[(size_t)t * v_stride]);
    }
}

INLINE void product_block(const float *v, size_t v_stride, const float *u, size_t u_stride, int depth, float *m,
                          size_t m_stride, const float *next) {
    for (int done = 0; done < depth; done += SLICE) {
        float32x4_t sum[WINOGRAD_ROWS][COLUMNS] = {{{0}}};
        const int end = least(done + SLICE, depth);
        int k = done;
        ROLLED
        for (; k + LANES <= end; k += LANES) {
            for (int line = 0; next && line < LANES; ++line)
                __builtin_prefetch(next + (size_t)(k + line) * WINOGRAD_LINE, 0, 2);
            product_step(sum, v + k, v_stride, u + (size_t)k * u_stride, u_stride);
        }
        for (; k < end; ++k)
            product_rest(sum, v + k, v_stride, u + (size_t)k * u_stride);
        UNROLL
        for (int t = 0; t < WINOGRAD_ROWS; ++t)
            UNROLL
        for (int n = 0; n < COLUMNS; ++n) {
            float *to = m + (size_t)t * m_stride + n * LANES;
            vst1q_f32(to, done > 0 ? vaddq_f32(sum[t][n], vld1q_f32(to)) : sum[t][n]);
        }
    }
}

/* The first block asks for all of the next panel. */
static void product(const void *v, size_t v_stride, const void *panel, int depth, int width, float *m, size_t m_stride,
                    const void *next) {
    const float *u = panel;
    product_block(v, v_stride, u, (size_t)width, depth, m, m_stride, next);
    for (int n = COLUMNS * LANES; n < width; n += COLUMNS * LANES)
        product_block(v, v_stride, u + n, (size_t)width, depth, m + n, m_stride, NULL);
}

#endif
