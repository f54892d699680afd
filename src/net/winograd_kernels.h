/* The innermost loops of the Winograd convolution, one set per instruction set.
 *
 * winograd_kernels.c is compiled several times; each build exports one of the tables declared at the end, and
 * winograd_sets.c takes the best that the processor runs. Every kernel treats one tile, or six, by the same sequence of
 * instructions whatever stands beside it, so that a tile's bits depend on its own numbers alone.
 *
 * V and the tables hold operands of the product: floats, or in pairs of 4 bytes what the set has instead. A line of a
 * table, 64 bytes, holds the weights from a group of input channels, side by side, to 16 output channels.
 *
 * Pointers to floats are aligned to 64 bytes, those to gates to 16; channel numbers are multiples of 16, the padding
 * included. xi counts the 36 or 64 points of a tile's transform, row by row.
 */
#ifndef WINOGRAD_KERNELS_H
#define WINOGRAD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    WINOGRAD_LINE = 16,  /* floats in a cache line, and the multiple that channels are padded to */
    WINOGRAD_PANEL = 64, /* output channels in a panel of the weight tables; the last panel may be narrower */
    WINOGRAD_ROWS = 6,   /* tiles that one call of the product treats */
    WINOGRAD_BYTES = 64, /* of a cache line */
    WINOGRAD_GROUP_MAX = 2
};

/* What is done to a tile's numbers on the way in or out. */
enum winograd_mode {
    WINOGRAD_PLAIN,  /* nothing */
    WINOGRAD_GATED,  /* in: masked by the gate; out: bias, ReLU, gate written */
    WINOGRAD_POOLED, /* in: spread by the pooling's gate; out: bias, ReLU, 2x2 pooling, gate written */
    WINOGRAD_MODES
};

/* One picture's activations or gradients: data[height][width][channels], and gate likewise, or NULL for
 * WINOGRAD_PLAIN. For WINOGRAD_POOLED, height and width count windows, not pixels. Of the data, rows before number
 * `first` may be missing: they begin with that one. */
struct winograd_map {
    float *data;
    uint8_t *gate;
    int height, width, channels, first;
};

/* Reads the patch of tile (row, column), zero outside the map, and writes its transform for all channels c of the map
 * to v[xi * plane + c], rounded to operands. */
typedef void winograd_input_fn(const struct winograd_map *from, int row, int column, void *v, size_t plane);

/* Transforms m[xi * plane + c] back for all channels c of the map and writes the outputs of tile (row, column) that
 * lie within it. bias[channels] is not read for WINOGRAD_PLAIN. */
typedef void winograd_output_fn(const float *m, size_t plane, const float *bias, const struct winograd_map *to, int row,
                                int column);

/* m[t * m_stride + n] = sum over k < depth of v[t * v_stride + k] * u[k][n] for six tiles t and n < width, where u is a
 * panel, [depth / group][width][group], and width a multiple of 16 up to WINOGRAD_PANEL. Meanwhile asks for depth /
 * group cache lines from next on, which the following panel will need. */
typedef void winograd_product_fn(const void *v, size_t v_stride, const void *u, int depth, int width, float *m,
                                 size_t m_stride, const void *next);

/* A line of a table from the weights of its first and its last input channel to 16 output channels. */
typedef void winograd_store_weights_fn(const float *first, const float *last, void *line);

/* z [positions][channels] -> out = relu(z + bias) and the gates of a layer without pooling. */
typedef void winograd_rectify_fn(const float *z, const float *bias, size_t positions, int channels, float *out,
                                 uint8_t *gate);

/* z = gradient where the gate of a layer without pooling is open, else 0; count is a multiple of 16. */
typedef void winograd_mask_fn(const float *gradient, const uint8_t *gate, size_t count, float *z);

struct winograd_kernels {
    const char *name;
    int group; /* input channels side by side in a line of a table; an operand has 4 / group bytes */
    winograd_store_weights_fn *store_weights;
    winograd_product_fn *product;
    winograd_rectify_fn *rectify;
    winograd_mask_fn *mask;
    const struct winograd_kernels *single;         /* the set for the layers that stay in single precision */
    winograd_input_fn *input[2][WINOGRAD_MODES];   /* [enum winograd_tile][mode], NULL for a tile that it hasn't */
    winograd_output_fn *output[2][WINOGRAD_MODES]; /* [enum winograd_tile][mode] */
};

/* The Makefile builds the baseline everywhere and the others where the compiler has their instructions; it then defines
 * WINOGRAD_WITH_avx512, WINOGRAD_WITH_avx2, WINOGRAD_WITH_bf16 and WINOGRAD_WITH_neon. */
extern const struct winograd_kernels winograd_kernels_avx512, winograd_kernels_avx2, winograd_kernels_bf16,
    winograd_kernels_neon, winograd_kernels_baseline;

#endif
