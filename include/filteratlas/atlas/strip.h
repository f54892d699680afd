/* The pictures of one row of a grid, read side by side from the stored PNG files: a row of pixels of all of them is in
 * memory at a time. */
#ifndef FILTERATLAS_STRIP_H
#define FILTERATLAS_STRIP_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/image/png_file.h"

#include <stddef.h>
#include <stdint.h>

/* Starts as {.grid, .margin, .interrupt}. */
struct strip {
    int grid;   /* pictures per row */
    int margin; /* pixels between two */
    const struct interrupt *interrupt;
    int width, height;          /* pixels of one picture, known once one was opened */
    int pictures;               /* open ones, at most grid */
    struct png_reader **reader; /* [grid] */
    uint8_t *row;               /* [strip_width][3], owned; black where there is no picture */
};

/* Opens the pictures of `count` filters, at most grid, in place of those that were open. All must have the size of the
 * first one ever opened. Release with strip_free, after a failure too. */
int strip_open(const struct store *store, const char *layer, const struct store_filter *filters, int count,
               struct strip *strip, struct error *error);

/* Pixels of a whole row, margins between pictures included. */
size_t strip_width(const struct strip *strip);

/* Reads the next row of pixels of all pictures into strip->row. */
int strip_read_row(struct strip *strip, struct error *error);

/* Makes strip->row all black. */
int strip_black_row(struct strip *strip, struct error *error);

void strip_free(struct strip *strip);

#endif
