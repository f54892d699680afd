/* The first layer, whose input is the picture: 3 channels are too few for Winograd tiles, so a row at a time goes
 * through one product with all 27 inputs of a position (im2col), and back through one with 27 outputs (col2im). */
#ifndef FILTERATLAS_FIRST_LAYER_H
#define FILTERATLAS_FIRST_LAYER_H

#include "filteratlas/base/error.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct first_layer {
    const struct winograd_kernels *kernels;
    int channels; /* outputs, rounded up to a multiple of 16 */
    bool pooled;
    const float *bias; /* [channels] */
    float *forward;    /* panels of [27][up to 64 outputs]; owned */
    float *backward;   /* [channels][32], the last 5 columns 0; owned */
};

/* kernel [3][3][3][out_channels]; bias [out_channels, padded to a multiple of 16 by 0] must outlive the layer. Release
 * with first_layer_free, after a failure too. */
int first_layer_make(const float *kernel, const float *bias, int out_channels, bool pooled,
                     const struct winograd_kernels *kernels, struct first_layer *layer, struct error *error);
void first_layer_free(struct first_layer *layer);

/* Floats of scratch memory for pictures of that width. */
size_t first_layer_scratch(const struct first_layer *layer, int width);

/* x [height][width][3] -> out and gate, as winograd_forward writes them. */
void first_layer_forward(const struct first_layer *layer, const float *x, int height, int width, float *out,
                         uint8_t *gate, float *scratch);

/* The gradient at the output -> x_gradient [height][width][3]. */
void first_layer_backward(const struct first_layer *layer, const float *out_gradient, const uint8_t *gate, int height,
                          int width, float *x_gradient, float *scratch);

/* The same row by row, for a layer that is not pooled: rows [top, bottom) of the map, with which out, gate and
 * out_gradient begin; x and x_gradient are whole pictures. Rows are to come in order, and on the way back, where a row
 * of the picture is written when all that it hangs on was there, with the scratch memory of the rows before. */
void first_layer_forward_rows(const struct first_layer *layer, const float *x, int top, int bottom, int height,
                              int width, float *out, uint8_t *gate, float *scratch);
void first_layer_backward_rows(const struct first_layer *layer, const float *out_gradient, const uint8_t *gate, int top,
                               int bottom, int height, int width, float *x_gradient, float *scratch);

#endif
