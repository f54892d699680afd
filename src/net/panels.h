/* Products with a matrix that stays, the weights, packed once: by the Winograd kernels' product, which is faster than
 * OpenBLAS's (which packs anew each time), and under which a row's bits depend on that row alone, not on how many there
 * are or where it stands. */
#ifndef PANELS_H
#define PANELS_H

#include "filteratlas/net/winograd.h"

#include <stddef.h>

/* Floats of a packed matrix of depth rows and `columns` columns; these are padded to a multiple of 16 by 0. */
size_t panels_floats(int depth, int columns);

/* The place of an element. */
size_t panels_at(int depth, int columns, int row, int column);

/* out [rows][out_stride] = v [rows][v_stride], of which depth count, times the matrix. panels and out are aligned to 64
 * bytes, out_stride is a multiple of 16, and all padded columns of out are written. */
void panels_multiply(const struct winograd_kernels *kernels, const float *panels, int depth, int columns,
                     const float *v, size_t v_stride, size_t rows, float *out, size_t out_stride);

#endif
