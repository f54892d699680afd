/* One layer of the network on one picture: 3x3 convolution, bias, ReLU and, at the end of a block, 2x2 max pooling, and
 * all of it backwards.
 *
 * Activations are NHWC floats, [height][width][stride]: the channels of a position stand together, `stride` floats from
 * one position to the next. Strides are channels rounded up to a multiple of 16 (the picture itself: 3); padding
 * channels are 0 and stay 0.
 *
 * A gate byte remembers, for every element of a layer's output, what the backward pass must know: without pooling
 * GATE_OPEN where the output is positive, with pooling the place 0..3 (row-major) of the first of the greatest values
 * of its 2x2 window; GATE_CLOSED where the ReLU lets nothing through. */
#ifndef FILTERATLAS_CONVOLUTION_H
#define FILTERATLAS_CONVOLUTION_H

#include "filteratlas/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATE_OPEN = 0, GATE_CLOSED = 4 };

struct convolution {
    int in_channels, out_channels;
    int in_stride, out_stride;
    bool pooled;
    float *forward;  /* [9][in_stride][out_stride] */
    float *backward; /* [9][out_stride][in_stride], rotated by 180 degrees */
    float *bias;     /* [out_stride] */
};

/* Floats from one position to the next for that many channels. */
int convolution_stride(int channels);

/* kernel [3][3][in][out], bias [out]; they are copied. Release with convolution_free, after a failure too. */
int convolution_make(int in_channels, int out_channels, bool pooled, const float *kernel, const float *bias,
                     struct convolution *layer, struct error *error);
void convolution_free(struct convolution *layer);

/* Floats of scratch memory that forward and backward need for a map of that size. */
size_t convolution_scratch(const struct convolution *layer, int height, int width);

/* in [height][width][in_stride] -> out and gate [height'][width'][out_stride], where height' is height, or height / 2
 * after pooling, and so is width'. */
void convolution_forward(const struct convolution *layer, const float *in, int height, int width, float *out,
                         uint8_t *gate, float *scratch);

/* The gradient of a sum over the output, out_gradient [height'][width'][out_stride] -> in_gradient
 * [height][width][in_stride]. */
void convolution_backward(const struct convolution *layer, const float *out_gradient, const uint8_t *gate, int height,
                          int width, float *in_gradient, float *scratch);

/* One output channel alone, before ReLU and pooling: in [height][width][in_stride] -> z [height][width]. Scratch as
 * above. */
void convolution_channel_forward(const struct convolution *layer, int channel, const float *in, int height, int width,
                                 float *z, float *scratch);

/* z_gradient [height][width] of that channel -> in_gradient [height][width][in_stride]. */
void convolution_channel_backward(const struct convolution *layer, int channel, const float *z_gradient, int height,
                                  int width, float *in_gradient, float *scratch);

#endif
