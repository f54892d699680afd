/* A picture made smaller by area averaging, row by row as it is read: every pixel of the thumbnail is the mean of the
 * area that it covers, fractions of pixels included, rounded to the nearest. Exact integer arithmetic. */
#ifndef FILTERATLAS_THUMBNAIL_H
#define FILTERATLAS_THUMBNAIL_H

#include "filteratlas/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct thumbnail {
    int in_width, in_height, width, height; /* pixels of the picture and of its thumbnail */
    int rows;                               /* of the picture, taken in so far */
    uint64_t *sums;                         /* [width][3], of the row of the thumbnail in work; owned */
};

/* The size of a thumbnail that fits a square of `most` pixels: never larger than the picture, at least 1 pixel. */
void thumbnail_fit(int in_width, int in_height, int most, int *width, int *height);

/* in_width >= width >= 1, in_height >= height >= 1, both at most 16384. Release with thumbnail_free. */
int thumbnail_make(int in_width, int in_height, int width, int height, struct thumbnail *thumbnail,
                   struct error *error);

/* Takes in the next row, [in_width][3], and writes the rows of the thumbnail that it completes to
 * rgb[height][width][3], whose rows are `stride` bytes apart. After the last row a new picture may follow. */
void thumbnail_row(struct thumbnail *thumbnail, const uint8_t *row, uint8_t *rgb, size_t stride);

void thumbnail_free(struct thumbnail *thumbnail);

#endif
