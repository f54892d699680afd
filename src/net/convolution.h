/* Convolutions of any shape as products with packed weights (panels.h), and dense layers, which are convolutions of 1 x
 * 1. */
#ifndef CONVOLUTION_H
#define CONVOLUTION_H

#include "operation.h"

/* Floats of the packed weights of one direction. in_stride, out_stride: of the maps. */
size_t convolution_table_floats(const struct operation *operation, enum winograd_direction direction, int in_stride,
                                int out_stride);

/* Fills a part of them, as winograd_fill_table; with the operation's scale. */
void convolution_fill_table(const struct operation *operation, enum winograd_direction direction, int in_stride,
                            int out_stride, int part, int parts);

#endif
