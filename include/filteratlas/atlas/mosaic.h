/* The grid of a layer's pictures, vgg_<layer>_<n>x<n>.png, for other networks than VGGs with their name, made from the
 * stored PNG files row by row: one row of pixels of n pictures is in memory at a time. */
#ifndef FILTERATLAS_MOSAIC_H
#define FILTERATLAS_MOSAIC_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

#include <stdbool.h>

struct mosaic_options {
    int grid;      /* pictures per row and column; 0: as many as fit a square, floor(sqrt(live)) */
    bool by_index; /* else by loss, highest first, ties by index */
    int margin;    /* pixels of black between neighbours */
};

/* What mosaic_write made. */
struct mosaic {
    int live; /* filters that have a picture */
    int grid; /* pictures per row and column; 0 if there was no live filter, and so no mosaic */
    char path[DURABLE_PATH_SIZE];
};

/* Writes the mosaic of a layer; with fewer live filters than grid * grid the last places stay black. Mosaics of the
 * same layer with another grid are older than what they would show, and are removed. */
int mosaic_write(const struct store *store, const struct store_layer *layer, const struct mosaic_options *options,
                 const struct interrupt *interrupt, struct mosaic *mosaic, struct error *error);

/* The mosaic of a layer that is there now, of whatever grid; false if there is none. */
bool mosaic_find(const struct store *store, const char *layer, char path[DURABLE_PATH_SIZE]);

#endif
