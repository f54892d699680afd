/* One output channel of a 3x3 convolution alone, both ways: all that is needed of the layer whose filters are drawn. */
#ifndef FILTERATLAS_CHANNEL_H
#define FILTERATLAS_CHANNEL_H

#include <stddef.h>

struct channel {
    const float *kernel; /* [3][3][in_channels][out_channels] */
    const float *bias;   /* [out_channels] */
    int in_channels, out_channels;
    int in_stride; /* floats from one position of the input to the next: in_channels, or more with padding */
    int channel;
};

/* Floats of scratch memory for a map of that size. */
size_t channel_scratch(int in_stride, int height, int width);

/* in [height][width][in_stride] -> z [height][width], before the ReLU. */
void channel_forward(const struct channel *channel, const float *in, int height, int width, float *z, float *scratch);

/* z_gradient [height][width] -> in_gradient [height][width][in_stride]; padding channels become 0. */
void channel_backward(const struct channel *channel, const float *z_gradient, int height, int width, float *in_gradient,
                      float *scratch);

#endif
