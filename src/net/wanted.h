/* One output channel of a convolution or a dense layer alone, both ways: all that is needed of the layer whose filters
 * are drawn, and a fraction of its cost. For operations of kinds with one_channel. */
#ifndef WANTED_H
#define WANTED_H

#include "operation.h"

/* Floats of scratch memory, aligned to 64 bytes. */
size_t wanted_scratch(const struct operation *operation, const struct map *in, const struct map *out);

/* x, one picture -> z [height][width], with the bias, before the activation. out is the map of all channels, before a
 * pooling that was taken in. */
void wanted_forward(const struct operation *operation, const struct map *in, const struct map *out, int channel,
                    const float *x, float *z, float *scratch);

/* z_gradient [height][width] -> x_gradient, written whole. */
void wanted_backward(const struct operation *operation, const struct map *in, const struct map *out, int channel,
                     const float *z_gradient, float *x_gradient, float *scratch);

#endif
