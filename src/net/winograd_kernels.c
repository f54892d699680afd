/* See winograd_kernels.h: tiles of maps, and the table of a set. Compiled once per instruction set, with
 * -DWINOGRAD_ISA=<avx512, avx2, neon, baseline or bf16>. */
#include "winograd_kernels.h"

#include "winograd_points.h"
#include "winograd_vectors.h"

#if defined(__AVX512BF16__)
#include "winograd_product_bf16.h"
#else
#include "winograd_product_single.h"
#endif

/* How many channels ahead of the one in work to ask for the maps' numbers. With it the input transform of conv1_2 at
 * 343 pixels takes 1.8 instead of 5.3 ms, the output transform 1.0 instead of 3.2 ms (Zen 5). */
enum { READ_AHEAD = 32, WRITE_AHEAD = 64 };

/* How far ahead of channel c to ask for numbers: `ahead` channels on, in the next tile where this one has no more. */
INLINE size_t look_ahead(int c, int ahead, int channels, size_t next_tile) {
    return c + ahead < channels ? (size_t)ahead : next_tile + (size_t)ahead - (size_t)channels;
}

/* Asks for extent x extent gates of 64 channels each. */
INLINE void ask_for_gates(const uint8_t *gate, int extent, size_t row, size_t pixel) {
    ROLLED
    for (int y = 0; y < extent; ++y, gate += row)
        UNROLL
    for (int x = 0; x < extent; ++x)
        __builtin_prefetch(gate + (size_t)x * pixel);
}

/* ---- from the map to V */

/* One vector of channels of a patch: element (y, x) at data + y * row + x * pixel, gate likewise or NULL. */
struct patch {
    const float *data;
    const uint8_t *gate;
    size_t row, pixel;
};

/* Column x of a patch, transformed to half[y][x]. */
INLINE void input_column(int side, int gated, const struct patch *p, int x, size_t ahead,
                         vec half[POINTS_MAX][POINTS_MAX]) {
    vec d[POINTS_MAX], r[POINTS_MAX];
    const size_t at = (size_t)x * p->pixel;
    UNROLL
    for (int y = 0; y < side + 2; ++y) {
        const size_t here = at + (size_t)y * p->row;
        __builtin_prefetch(p->data + here + ahead);
        d[y] = gated ? keep(load(p->data + here), load_gate(p->gate + here)) : load(p->data + here);
        LOAD_ONCE(d[y]);
    }
    input_points(side, d, r);
    UNROLL
    for (int y = 0; y < side + 2; ++y)
        half[y][x] = r[y];
}

/* A row of halves, transformed and written. */
INLINE void input_row(int side, const vec *half, operand *v, size_t plane) {
    vec d[POINTS_MAX], r[POINTS_MAX];
    UNROLL
    for (int x = 0; x < side + 2; ++x) {
        d[x] = half[x];
        LOAD_ONCE(d[x]);
    }
    input_points(side, d, r);
    UNROLL
    for (int x = 0; x < side + 2; ++x) {
        __builtin_prefetch(v + (size_t)x * plane + WINOGRAD_LINE, 1);
        store_operand(v + (size_t)x * plane, r[x]);
    }
}

/* B^T d B of one vector of channels: all columns, then all rows. Unrolled, a 4x4 tile takes a seventh less time, a 6x6
 * tile a tenth more. */
INLINE void input_vector(int side, int gated, const struct patch *p, size_t ahead, operand *v, size_t plane) {
    vec half[POINTS_MAX][POINTS_MAX];
    const int points = side + 2;
    if (side == 4) {
        UNROLL
        for (int x = 0; x < points; ++x)
            input_column(side, gated, p, x, ahead, half);
        UNROLL
        for (int y = 0; y < points; ++y)
            input_row(side, half[y], v + (size_t)(y * points) * plane, plane);
    } else {
        ROLLED
        for (int x = 0; x < points; ++x)
            input_column(side, gated, p, x, ahead, half);
        ROLLED
        for (int y = 0; y < points; ++y, v += (size_t)points * plane)
            input_row(side, half[y], v, plane);
    }
}

/* Functions of their own, which leaves the compiler registers enough. */
NOINLINE void input_vector4(const struct patch *p, size_t ahead, operand *v, size_t plane) {
    input_vector(4, 0, p, ahead, v, plane);
}

NOINLINE void input_vector4_gated(const struct patch *p, size_t ahead, operand *v, size_t plane) {
    input_vector(4, 1, p, ahead, v, plane);
}

NOINLINE void input_vector6(const struct patch *p, size_t ahead, operand *v, size_t plane) {
    input_vector(6, 0, p, ahead, v, plane);
}

NOINLINE void input_vector6_gated(const struct patch *p, size_t ahead, operand *v, size_t plane) {
    input_vector(6, 1, p, ahead, v, plane);
}

/* The part of a patch that lies within the map, counted from the patch's first pixel, or pooled, window. Half open. */
struct range {
    int top, bottom, left, right;
};

/* Copies one vector of channels of a patch, masked by the gate, to local[points][points][LANES]; outside the range
 * local is left as it is. at is the place of the patch's first pixel, inside the map or not. */
INLINE void gather_pixels(int points, int gated, const struct winograd_map *from, ptrdiff_t at, const struct range *r,
                          float *local) {
    const ptrdiff_t pixel = from->channels, row = pixel * from->width;
    for (int y = r->top; y < r->bottom; ++y)
        for (int x = r->left; x < r->right; ++x) {
            const ptrdiff_t here = at + y * row + x * pixel;
            const vec value = load(from->data + here);
            store(local + (y * points + x) * LANES, gated ? keep(value, load_gate(from->gate + here)) : value);
        }
}

/* The same through the pooling: the patch starts in the lower right corner of its first window. */
INLINE void gather_windows(int points, const struct winograd_map *from, ptrdiff_t at, const struct range *r,
                           size_t ahead, float *local) {
    const ptrdiff_t pixel = from->channels, row = pixel * from->width;
    for (int y = r->top; y < r->bottom; ++y)
        for (int x = r->left; x < r->right; ++x) {
            const ptrdiff_t here = at + y * row + x * pixel;
            const int upper = y > 0, left = x > 0, lower = 2 * y < points, right = 2 * x < points;
            const vec value = load(from->data + here);
            const ivec place = load_gate(from->gate + here);
            const ptrdiff_t to = ((2 * y - 1) * points + 2 * x - 1) * LANES; /* before local where y or x is 0 */
            __builtin_prefetch(from->data + here + (ptrdiff_t)ahead);
            if (upper && left)
                store(local + to, keep(value, place == 0));
            if (upper && right)
                store(local + (to + LANES), keep(value, place == 1));
            if (lower && left)
                store(local + (to + points * LANES), keep(value, place == 2));
            if (lower && right)
                store(local + (to + (points + 1) * LANES), keep(value, place == 3));
        }
}

/* A patch inside the map is read in place, gated or not; at the map's edge, or pooled, by way of a local copy. */
INLINE void input_tile(int side, enum winograd_mode mode, const struct winograd_map *from, int row, int column,
                       void *v_start, size_t plane) {
    operand *v = v_start;
    const int pooled = mode == WINOGRAD_POOLED, gated = mode == WINOGRAD_GATED, points = side + 2;
    const int step = pooled ? side / 2 : side, extent = step + 2; /* of tile and patch, in windows or pixels */
    const int top = row * step - 1, left = column * step - 1;
    const struct range r = {most(0, -top), least(extent, from->height - top), most(0, -left),
                            least(extent, from->width - left)};
    const int inside = r.top == 0 && r.bottom == extent && r.left == 0 && r.right == extent;
    const size_t pixel = (size_t)from->channels, line = (size_t)from->width * pixel;
    float local[POINTS_MAX * POINTS_MAX * LANES] __attribute__((aligned(64)));
    const struct patch copy = {local, NULL, (size_t)(points * LANES), LANES};
    for (int i = 0; !inside && i < points * points; ++i)
        store(local + i * LANES, (vec){0});
    for (int c = 0; c < from->channels; c += LANES) {
        const ptrdiff_t at = ((ptrdiff_t)(top - from->first) * from->width + left) * from->channels + c;
        const size_t ahead = look_ahead(c, READ_AHEAD, from->channels, (size_t)step * pixel);
        if (inside && mode != WINOGRAD_PLAIN && c % 64 == 0)
            ask_for_gates(from->gate + at + (size_t)step * pixel, extent, line, pixel);
        if (inside && !pooled) {
            const struct patch p = {from->data + at, gated ? from->gate + at : NULL, line, pixel};
            if (gated)
                (side == 4 ? input_vector4_gated : input_vector6_gated)(&p, ahead, v + c, plane);
            else
                (side == 4 ? input_vector4 : input_vector6)(&p, ahead, v + c, plane);
            continue;
        }
        if (pooled)
            gather_windows(points, from, at, &r, ahead, local);
        else
            gather_pixels(points, gated, from, at, &r, local);
        (side == 4 ? input_vector4 : input_vector6)(&copy, 0, v + c, plane);
    }
}

/* ---- from M to the map */

/* Where one vector of channels of a tile's outputs goes, and how far ahead the next will. */
struct target {
    float *data;
    uint8_t *gate;
    size_t row, pixel, ahead;
};

/* One row of outputs: bias, ReLU, gate. */
INLINE void write_row(int side, enum winograd_mode mode, const vec *y, vec bias, float *data, uint8_t *gate,
                      const struct target *to) {
    UNROLL
    for (int x = 0; x < side; ++x) {
        const size_t at = (size_t)x * to->pixel;
        __builtin_prefetch(data + at + to->ahead, 1);
        if (mode == WINOGRAD_PLAIN) {
            store(data + at, y[x]);
            continue;
        }
        const vec sum = y[x] + bias;
        store(data + at, keep(sum, sum > 0));
        store_open(gate + at, sum);
    }
}

/* Two rows of outputs, pooled to one. The first of equals wins: in a row, then between the rows. */
INLINE void write_pooled_row(int side, const vec *upper, const vec *lower, vec bias, float *data, uint8_t *gate,
                             const struct target *to) {
    UNROLL
    for (int x = 0; x < side / 2; ++x) {
        const size_t at = (size_t)x * to->pixel;
        const vec a = upper[2 * x] + bias, b = upper[2 * x + 1] + bias;
        const vec c = lower[2 * x] + bias, d = lower[2 * x + 1] + bias;
        const ivec right_above = b > a, right_below = d > c; /* -1 where true */
        const vec above = choose(right_above, b, a), below = choose(right_below, d, c);
        const ivec down = below > above;
        const vec greatest = choose(down, below, above);
        const ivec open = greatest > 0, corner = (down & (2 - right_below)) | (~down & -right_above);
        __builtin_prefetch(data + at + to->ahead, 1);
        store(data + at, keep(greatest, open));
        store_gate(gate + at, (open & corner) | (~open & 4));
    }
}

/* A^T m A of one vector of channels: all columns, then the rows, written as they come. */
INLINE void output_vector(int side, enum winograd_mode mode, const float *m, size_t plane, vec bias,
                          const struct target *to) {
    vec half[SIDE_MAX][POINTS_MAX], column[POINTS_MAX], r[SIDE_MAX], below[SIDE_MAX];
    const int points = side + 2, step = mode == WINOGRAD_POOLED ? 2 : 1;
    ROLLED
    for (int x = 0; x < points; ++x, m += plane) {
        UNROLL
        for (int y = 0; y < points; ++y) {
            const float *from = m + (size_t)(y * points) * plane;
            __builtin_prefetch(from + WINOGRAD_LINE);
            column[y] = load(from);
        }
        output_points(side, column, r);
        UNROLL
        for (int y = 0; y < side; ++y)
            half[y][x] = r[y];
    }
    float *data = to->data;
    uint8_t *gate = to->gate;
    ROLLED
    for (int y = 0; y < side; y += step) {
        output_points(side, half[y], r);
        if (mode == WINOGRAD_POOLED) {
            output_points(side, half[y + 1], below);
            write_pooled_row(side, r, below, bias, data, gate, to);
        } else {
            write_row(side, mode, r, bias, data, gate, to);
        }
        data += to->row;
        gate = mode == WINOGRAD_PLAIN ? NULL : gate + to->row;
    }
}

/* Copies the part of a tile that lies within the map from a local tile of the given extent. */
INLINE void scatter(const struct target *from, int extent, const struct target *to, int rows, int columns, int gated) {
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) {
            const size_t there = (size_t)y * to->row + (size_t)x * to->pixel, here = (size_t)((y * extent + x) * LANES);
            store(to->data + there, load(from->data + here));
            if (gated)
                *(bvec *)(to->gate + there) = *(const bvec *)(from->gate + here);
        }
}

/* A tile inside the map is written in place, one at its edge by way of a local copy. */
INLINE void output_tile(int side, enum winograd_mode mode, const float *m, size_t plane, const float *bias,
                        const struct winograd_map *map, int row, int column) {
    const int extent = mode == WINOGRAD_POOLED ? side / 2 : side, gated = mode != WINOGRAD_PLAIN;
    const int rows = least(extent, map->height - row * extent), columns = least(extent, map->width - column * extent);
    const int inside = rows == extent && columns == extent;
    const size_t pixel = (size_t)map->channels, line = (size_t)map->width * pixel;
    const size_t at = (size_t)(row * extent - map->first) * line + (size_t)(column * extent) * pixel;
    float data[SIDE_MAX * SIDE_MAX * LANES] __attribute__((aligned(64)));
    uint8_t gate[SIDE_MAX * SIDE_MAX * LANES] __attribute__((aligned(64)));
    const struct target local = {data, gate, (size_t)(extent * LANES), LANES, 0};
    struct target to = {map->data + at, gated ? map->gate + at : NULL, line, pixel, 0};
    for (int c = 0; c < map->channels; c += LANES) {
        const vec b = gated ? load(bias + c) : (vec){0};
        to.ahead = look_ahead(c, WRITE_AHEAD, map->channels, (size_t)extent * pixel);
        if (gated && c % 64 == 0)
            ask_for_gates(to.gate + (size_t)extent * pixel, extent, line, pixel);
        output_vector(side, mode, m + c, plane, b, inside ? &to : &local);
        if (!inside)
            scatter(&local, extent, &to, rows, columns, gated);
        to.data += LANES;
        to.gate = gated ? to.gate + LANES : NULL;
    }
}

/* ---- whole rows, for the first layer */

static void rectify(const float *z, const float *bias, size_t positions, int channels, float *out, uint8_t *gate) {
    for (size_t p = 0; p < positions; ++p, z += channels, out += channels, gate += channels)
        for (int c = 0; c < channels; c += LANES) {
            const vec sum = load(z + c) + load(bias + c);
            store(out + c, keep(sum, sum > 0));
            store_open(gate + c, sum);
        }
}

static void mask(const float *gradient, const uint8_t *gate, size_t count, float *z) {
    for (size_t i = 0; i < count; i += LANES)
        store(z + i, keep(load(gradient + i), load_gate(gate + i)));
}

/* ---- the table */

#define DEFINE(side, mode, suffix)                                                                                     \
    static void input##suffix(const struct winograd_map *from, int row, int column, void *v, size_t plane) {           \
        input_tile(side, mode, from, row, column, v, plane);                                                           \
    }                                                                                                                  \
    static void output##suffix(const float *m, size_t plane, const float *bias, const struct winograd_map *to,         \
                               int row, int column) {                                                                  \
        output_tile(side, mode, m, plane, bias, to, row, column);                                                      \
    }

DEFINE(4, WINOGRAD_PLAIN, 4_plain)
DEFINE(4, WINOGRAD_GATED, 4_gated)
DEFINE(4, WINOGRAD_POOLED, 4_pooled)
DEFINE(6, WINOGRAD_PLAIN, 6_plain)
DEFINE(6, WINOGRAD_GATED, 6_gated)
DEFINE(6, WINOGRAD_POOLED, 6_pooled)

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STRING_(x) #x
#define STRING(x) STRING_(x)

const struct winograd_kernels JOIN(winograd_kernels_, WINOGRAD_ISA) = {
    .name = STRING(WINOGRAD_ISA),
    .group = (int)(sizeof(float) / sizeof(operand)),
    .store_weights = store_weights,
    .product = product,
    .rectify = rectify,
    .mask = mask,
#if defined(__AVX512BF16__)
    .single = &winograd_kernels_avx512,
#else
    .single = &JOIN(winograd_kernels_, WINOGRAD_ISA),
#endif
    .input = {{input4_plain, input4_gated, input4_pooled}, {input6_plain, input6_gated, input6_pooled}},
    .output = {{output4_plain, output4_gated, output4_pooled}, {output6_plain, output6_gated, output6_pooled}},
};
