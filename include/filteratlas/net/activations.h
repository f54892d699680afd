/* What the filters of a VGG network answer to an image: one pass through it, forward, and for every channel of every
 * layer the highest activation after the ReLU with its place. The tables are those of the way forward alone, half of
 * what network.h needs. One thread. An image's numbers depend on the image and the processor alone, to the bit. */
#ifndef FILTERATLAS_ACTIVATIONS_H
#define FILTERATLAS_ACTIVATIONS_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/vgg.h"
#include "filteratlas/model/weights.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Images that go through the small maps together: their products are fast with some 100 tiles, of which an image of
 * 224 pixels makes 9 in VGG's last block. */
enum { ACTIVATIONS_MOST_IMAGES = 16 };

/* The highest activation of a channel and the position in the layer's map where it is; of equals the one in the first
 * row and column. Where a pooling follows, rows and columns are looked at in pairs. */
struct activation {
    float value; /* 0: silent, and then there is no position */
    uint16_t row, column;
};

struct activations;

/* Bytes of the tables for layers 0 ... deepest of images of extent x extent pixels. */
size_t activations_table_bytes(const struct vgg *net, int deepest, int extent, const struct winograd_kernels *kernels);

/* Makes the pass for square images, whose extent no pooling before `deepest` leaves a remainder of
 * (vgg_least_extent). tables: activations_table_bytes of them, aligned to 64 bytes; they may be shared by processes,
 * must be filled before use, and, as *weights, outlive the pass. Release with activations_free, after a failure too. */
int activations_make(const struct weights *weights, int deepest, int extent, const struct winograd_kernels *kernels,
                     void *tables, struct activations **activations, struct error *error);
void activations_free(struct activations *activations); /* accepts NULL */

/* Fills a part of the tables, 0 <= part < parts; they are complete when all parts are filled. */
void activations_fill_tables(const struct activations *activations, int part, int parts);

/* x [count][extent][extent][3], count at most ACTIVATIONS_MOST_IMAGES -> highest [count][filters of layers 0 ...
 * deepest, one layer after the other]. *interrupt is asked between two layers: false if it ended the work. */
bool activations_measure(struct activations *activations, const float *x, int count, struct activation *highest,
                         const struct interrupt *interrupt);

#endif
