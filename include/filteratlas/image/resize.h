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

/* The same of a window of the output alone, from input that comes row by row. */
struct resize;

struct resize_window {
    int x, y, width, height; /* within the output, pixels */
};

/* Release with resize_free, after a failure too. */
int resize_make(int in_width, int in_height, int out_width, int out_height, const struct resize_window *window,
                struct resize **resize, struct error *error);
void resize_free(struct resize *resize); /* accepts NULL */

/* Takes in row y of the input, [in_width][3]: every row once, in any order. */
void resize_row(struct resize *resize, int y, const uint8_t *row);

/* When all rows are in: output [window height][window width][3]. */
void resize_finish(const struct resize *resize, uint8_t *output);

#endif
