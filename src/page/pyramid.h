/* Deep-zoom tiles of a picture that is given row by row: level after level of half the size, down to one that fits one
 * tile, each cut into JPEG files FOLDER/LEVEL/X_Y.jpg. Level 0 is the smallest; the picture itself would be level
 * `levels` and isn't written: whoever shows it at full size has it already. A pixel of a level is the mean of the 2 x 2
 * pixels of the level above that it covers. One row of tiles per level is in memory. */
#ifndef FILTERATLAS_PYRAMID_H
#define FILTERATLAS_PYRAMID_H

#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/error.h"

#include <stdint.h>

enum { PYRAMID_TILE = 512 }; /* pixels of a tile's edge */

struct pyramid;

/* How many levels a picture of width x height pixels has, at least 1. */
int pyramid_levels(int width, int height);

/* Makes the folders of all levels in `folder`, which is there. Release with pyramid_close, after a failure too. */
int pyramid_open(const char *folder, int width, int height, struct pyramid **pyramid, struct error *error);

/* Takes the next row, [width][3]. */
int pyramid_row(struct pyramid *pyramid, const uint8_t *row, struct error *error);

/* Writes what is left, if all rows have been given and `complete` is set, and flushes the folders. Accepts NULL. */
int pyramid_close(struct pyramid *pyramid, int complete, struct error *error);

#endif
