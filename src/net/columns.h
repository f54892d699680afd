/* A convolution as a matrix product: the values under a window as a row (im2col), and rows added back to the map under
 * the window (col2im). Positions are counted over pictures, row by row. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "operation.h"

/* Values under the window: taps times channels. */
size_t columns_depth(const struct window *window);

/* Whether the window is a single value, moved by 1 over all of the map: rows are then the map itself. */
bool columns_are_map(const struct window *window);

/* The taps of a row of the window, standing at column `left`, that lie in the map: *from ... *to - 1. */
void columns_inside(const struct window *window, int left, int *from, int *to);

/* columns [count][depth] = what lies under the window at positions first ... first + count - 1; 0 outside the map. */
void columns_gather(const struct window *window, const float *map, size_t first, size_t count, float *columns);

/* The adjoint: adds columns [count][stride] to the map. */
void columns_scatter(const struct loops *loops, const struct window *window, const float *columns, size_t stride,
                     size_t first, size_t count, float *map);

#endif
