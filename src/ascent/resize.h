/* Pillow's 8-bit bicubic resize, bit for bit (Pillow 9.4, src/libImaging/Resample.c, is the reference for the format of
 * the coefficients; the filter is Keys 1981 with a = -0.5, widened by the scale when shrinking). */
#ifndef FILTERATLAS_RESIZE_H
#define FILTERATLAS_RESIZE_H

#include "filteratlas/base/error.h"

#include <stdint.h>

/* input [in_height][in_width][3] -> output [out_height][out_width][3], all extents at least 1 pixel. Fails only for
 * want of memory. */
int resize_bicubic(const uint8_t *input, int in_width, int in_height, uint8_t *output, int out_width, int out_height,
                   struct error *error);

#endif
