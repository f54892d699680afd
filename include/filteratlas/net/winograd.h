/* 3x3 convolutions, forward and back, by Winograd's minimal filtering.
 *
 * Computes the layers of a VGG net that have at least 16 input channels (after padding): convolution 3x3, stride 1,
 * zero padding 1, bias, ReLU, optionally 2x2 max pooling (stride 2, floor); and the gradient of all that with respect
 * to the layer's input. The first layer and a layer of which one output channel is wanted have routes of their own.
 * Called by the ascent loop, one thread per process. Every function is re-entrant, none allocates, none can fail.
 *
 * Method: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015 (arXiv:1509.09308), sections 4.1
 * and 4.3: outputs in tiles of m x m from patches of (m+2) x (m+2), m = 4 with the points 0, +-5/8, +-3/2, infinity, or
 * m = 6 with the points 0, +-1, +-2, +-1/2, infinity, which keep the rounding errors small. The relative L2 error of
 * one layer against double precision is below 1e-6 (m = 4) and about 3e-6 (m = 6), for any number of channels; with
 * products of bfloat16 numbers 1.2e-2 and 5e-2. (Rows of the data transform need no scaling there: operands have an
 * exponent of their own.)
 *
 * A picture's numbers depend, to the bit, on the picture, the layer and the processor alone: not on how many pictures
 * are in the call, nor on which.
 *
 * Layout: activations and gradients are float [picture][row][column][channel], gates uint8_t of the same shape; the
 * channels are padded to a multiple of 16 (winograd_padded), the padding is zero on the way in and on the way out.
 * Every pointer is aligned to 64 bytes. Nothing may overlap. Large arrays want 2 MB pages (madvise MADV_HUGEPAGE).
 */
#ifndef FILTERATLAS_WINOGRAD_H
#define FILTERATLAS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the products' operands are rounded to: nothing, or bfloat16, to the nearest, ties to even. Transforms and sums
 * are in single precision always. */
enum winograd_precision { WINOGRAD_SINGLE, WINOGRAD_BF16 };

enum winograd_direction { WINOGRAD_FORWARD, WINOGRAD_BACKWARD };
enum winograd_tile { WINOGRAD_F4, WINOGRAD_F6 }; /* outputs in tiles of 4x4 or 6x6 */

/* The inner loops for one instruction set, opaque: how large tables and scratch memory are, and what is in them, is a
 * matter of the set. */
struct winograd_kernels;

/* The kernels called name ("avx512", "avx2", "neon", "baseline" or "bf16"), or with NULL the fastest of single
 * precision. NULL if this processor does not run them. Each set rounds in its own way: the same bits on different
 * processors need the same name on all. */
const struct winograd_kernels *winograd_find_kernels(const char *name);

/* The fastest of a precision, NULL if this processor runs none. */
const struct winograd_kernels *winograd_choose_kernels(enum winograd_precision precision);
enum winograd_precision winograd_precision(const struct winograd_kernels *kernels);

/* The kernels that go with a set where single precision is wanted: itself, if it is of that. */
const struct winograd_kernels *winograd_single_kernels(const struct winograd_kernels *kernels);

/* Whether such tiles are accurate enough: in bfloat16, forward, only 4x4 are. */
bool winograd_has_tile(enum winograd_precision precision, enum winograd_direction direction, enum winograd_tile tile);

/* The name of a set, for the log. */
const char *winograd_kernels_name(const struct winograd_kernels *kernels);

/* A layer as this module sees it. Owns nothing: bias and tables belong to the caller and may be shared by processes. */
struct winograd_layer {
    int cin, cout;     /* channels, without padding */
    bool pooled;       /* 2x2 max pooling follows */
    bool linear;       /* neither bias nor ReLU nor pooling, and no gates, which are NULL: the convolution alone */
    const float *bias; /* [padded cout], padding 0 */
    const struct winograd_kernels *kernels[2]; /* [direction], such as winograd_find_kernels(NULL) */
    const void *table[2][2]; /* [direction][tile], made by winograd_fill_table for the direction's kernels; one of a
                                direction's may be NULL */
};

/* channels rounded up to a multiple of 16. */
int winograd_padded(int channels);

/* Bytes of the table of one direction and tile, a multiple of 64: 36 or 64 numbers for each pair of padded channels. */
size_t winograd_table_bytes(const struct winograd_kernels *kernels, enum winograd_tile tile, int cin, int cout);

/* Fills a part of a table, so that the processes that share it may share the work.
 * weights  [in] [3][3][cin][cout], Keras's order
 * part, parts  the part to fill, 0 <= part < parts; the table is complete when all parts are filled
 * table    [out] winograd_table_bytes(kernels, tile, cin, cout) bytes */
void winograd_fill_table(const struct winograd_kernels *kernels, enum winograd_tile tile,
                         enum winograd_direction direction, int cin, int cout, const float *weights, int part,
                         int parts, void *table);

/* The tile that is faster for maps of this size. */
enum winograd_tile winograd_choose_tile(int height, int width);

/* The tile that winograd_forward or winograd_backward uses: the chosen one, or the other where the direction has no
 * table for it. */
enum winograd_tile winograd_used_tile(const struct winograd_layer *layer, enum winograd_direction direction, int height,
                                      int width);

/* Bytes of scratch memory that winograd_forward and winograd_backward need for up to this many pictures. */
size_t winograd_scratch_bytes(const struct winograd_layer *layer, int pictures, int height, int width);

/* out = pool(relu(conv(in) + bias)), and the gates the gradient will pass.
 * in       [in]  [pictures][height][width][padded cin]; height, width >= 1, and >= 2 if pooled
 * out      [out] [pictures][height][width][padded cout], or [pictures][height / 2][width / 2][padded cout] if pooled
 * gate     [out] same shape as out. Not pooled: 255 where out > 0, else 0. Pooled: 0 .. 3, the place (row-major, the
 *                first of equals) of the maximum in its window, where that is > 0, else 4.
 * scratch  winograd_scratch_bytes(layer, pictures, height, width) bytes, contents of no account */
void winograd_forward(const struct winograd_layer *layer, const float *in, int pictures, int height, int width,
                      float *out, uint8_t *gate, void *scratch);

/* The gradient at the layer's input from that at its output; height and width are the input's. Tiles whose patch is
 * all zeros cost next to nothing.
 * grad_out [in]  shape of winograd_forward's out
 * gate     [in]  as winograd_forward wrote it
 * grad_in  [out] [pictures][height][width][padded cin] */
void winograd_backward(const struct winograd_layer *layer, const float *grad_out, const uint8_t *gate, int pictures,
                       int height, int width, float *grad_in, void *scratch);

/* Bytes that winograd_forward or winograd_backward moves between caches and memory at most, beside its scratch memory:
 * the table once for every block of tiles, maps and gates once, no tile taken for zero. */
struct winograd_traffic {
    double table, in, out;
};
struct winograd_traffic winograd_traffic(const struct winograd_layer *layer, enum winograd_direction direction,
                                         int pictures, int height, int width);

/* The same of one picture that goes strip by strip, with both maps counted. */
struct winograd_traffic winograd_strip_traffic(const struct winograd_layer *layer, enum winograd_direction direction,
                                               int height, int width);

/* The same for one picture, strip by strip, so that the large maps between two layers need never stand in memory as a
 * whole: the bits are the same. A strip is the rows [top, bottom) of the layer's map before pooling: bottom is the
 * height, or top and bottom are both multiples of winograd_strip_rows, and scratch memory for the whole map will do.
 * in       [in]  rows max(0, top - 1) to min(height, bottom + 1) - 1 at least, beginning with row in_top
 * out, gate      the whole maps, of which the strip's part is written
 * grad_out, gate the whole maps
 * grad_in  [out] the strip's rows alone */
int winograd_strip_rows(const struct winograd_layer *layer, enum winograd_direction direction, int height, int width);
void winograd_forward_strip(const struct winograd_layer *layer, const float *in, int in_top, int top, int bottom,
                            int height, int width, float *out, uint8_t *gate, void *scratch);
void winograd_backward_strip(const struct winograd_layer *layer, const float *grad_out, const uint8_t *gate, int top,
                             int bottom, int height, int width, float *grad_in, void *scratch);

#endif
