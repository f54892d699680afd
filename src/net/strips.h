/* The first two layers of a network, the first without pooling, in strips of rows: the map between them and its
 * gradient, the largest of all (30 MB at VGG16's width and 343 pixels), stay in the caches, strip after strip, and need
 * no memory. The numbers are those of the two layers one after the other, to the bit. */
#ifndef STRIPS_H
#define STRIPS_H

#include "filteratlas/base/interrupt.h"
#include "filteratlas/net/first_layer.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of scratch memory. */
size_t strips_scratch(const struct first_layer *first, const struct winograd_layer *second, int height, int width);

/* x [height][width][3] -> the second layer's out, and both layers' gates. False if interrupted: it is asked between two
 * strips. */
bool strips_forward(const struct first_layer *first, const struct winograd_layer *second, const float *x, int height,
                    int width, uint8_t *first_gate, float *out, uint8_t *gate, void *scratch,
                    const struct interrupt *interrupt);

/* The gradient at the second layer's output -> x_gradient [height][width][3]. The same. */
bool strips_backward(const struct first_layer *first, const struct winograd_layer *second, const float *out_gradient,
                     const uint8_t *gate, const uint8_t *first_gate, int height, int width, float *x_gradient,
                     void *scratch, const struct interrupt *interrupt);

#endif
