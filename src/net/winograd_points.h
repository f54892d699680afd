/* The transforms of Winograd's minimal filtering in one dimension: the rows of B^T in pairs, and A^T; even and odd
 * parts are shared by +p and -p. Pair 0 is the first point (0) and the last (infinity), pair i the points 2i-1 (+p) and
 * 2i (-p). The points are those of winograd.h. */
#ifndef WINOGRAD_POINTS_H
#define WINOGRAD_POINTS_H

#include "winograd_vectors.h"

enum { POINTS_MAX = 8, SIDE_MAX = 6 };

/* F(4,3), points 0, +-a, +-b, infinity: a = 5/8, b = 3/2. Every constant is exact in binary. */
#define A1 0.625F
#define A2 (A1 * A1)
#define A3 (A1 * A1 * A1)
#define B1 1.5F
#define B2 (B1 * B1)
#define B3 (B1 * B1 * B1)

INLINE void input4_pair(int pair, const vec d[6], vec *first, vec *second) {
    if (pair == 0) {
        *first = (d[4] - (A2 + B2) * d[2]) + A2 * B2 * d[0];
        *second = (d[5] - (A2 + B2) * d[3]) + A2 * B2 * d[1];
        return;
    }
    const float own = pair == 1 ? A1 : B1, other = pair == 1 ? B2 : A2;
    const vec even = d[4] - other * d[2], odd = d[3] - other * d[1];
    *first = even + own * odd;
    *second = even - own * odd;
}

INLINE void output4(const vec m[6], vec y[4]) {
    const vec sum_a = m[1] + m[2], diff_a = m[1] - m[2];
    const vec sum_b = m[3] + m[4], diff_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = A1 * diff_a + B1 * diff_b;
    y[2] = A2 * sum_a + B2 * sum_b;
    y[3] = (m[5] + A3 * diff_a) + B3 * diff_b;
}

/* F(6,3), points 0, +-1, +-2, +-1/2, infinity. */
INLINE void input6_pair(int pair, const vec d[8], vec *first, vec *second) {
    if (pair == 0) {
        *first = (d[6] - d[0]) + 5.25F * (d[2] - d[4]);
        *second = (d[7] - d[1]) + 5.25F * (d[3] - d[5]);
    } else if (pair == 1) {
        const vec even = (d[6] + d[2]) - 4.25F * d[4], odd = (d[5] + d[1]) - 4.25F * d[3];
        *first = even + odd;
        *second = even - odd;
    } else if (pair == 2) {
        const vec even = (d[6] - 1.25F * d[4]) + 0.25F * d[2], odd = (d[5] - 1.25F * d[3]) + 0.25F * d[1];
        *first = even + 2.0F * odd;
        *second = even - 2.0F * odd;
    } else {
        const vec even = (d[6] - 5.0F * d[4]) + 4.0F * d[2], odd = (d[5] - 5.0F * d[3]) + 4.0F * d[1];
        *first = even + 0.5F * odd;
        *second = even - 0.5F * odd;
    }
}

INLINE void output6(const vec m[8], vec y[6]) {
    const vec sum_1 = m[1] + m[2], diff_1 = m[1] - m[2];
    const vec sum_2 = m[3] + m[4], diff_2 = m[3] - m[4];
    const vec sum_h = m[5] + m[6], diff_h = m[5] - m[6];
    y[0] = (m[0] + sum_1) + (sum_2 + sum_h);
    y[1] = (diff_1 + 2.0F * diff_2) + 0.5F * diff_h;
    y[2] = (sum_1 + 4.0F * sum_2) + 0.25F * sum_h;
    y[3] = (diff_1 + 8.0F * diff_2) + 0.125F * diff_h;
    y[4] = (sum_1 + 16.0F * sum_2) + 0.0625F * sum_h;
    y[5] = ((m[7] + diff_1) + 32.0F * diff_2) + 0.03125F * diff_h;
}

INLINE void input_points(int side, const vec *d, vec *r) {
    const int last = side + 1;
    UNROLL
    for (int pair = 0; pair <= side / 2; ++pair) {
        vec *first = &r[pair == 0 ? 0 : 2 * pair - 1], *second = &r[pair == 0 ? last : 2 * pair];
        if (side == 6)
            input6_pair(pair, d, first, second);
        else
            input4_pair(pair, d, first, second);
    }
}

INLINE void output_points(int side, const vec *m, vec *y) {
    if (side == 6)
        output6(m, y);
    else
        output4(m, y);
}

#endif
