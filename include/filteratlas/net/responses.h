/* What the filters of any network answer to an image: one way through it, forward, and for every filter asked for the
 * highest activation of its stage with its place. The convolutions of a VGG go the way of activations.h, images
 * together where maps are small; other layers that of the executor. One thread. An image's numbers depend on the image
 * and the processor alone, to the bit. */
#ifndef FILTERATLAS_RESPONSES_H
#define FILTERATLAS_RESPONSES_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/graph.h"
#include "filteratlas/net/activations.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>

struct responses;

/* For square images of extent x extent pixels, and the layers nodes[count] of a folded graph, which must outlive it;
 * filters are numbered through all of them in this order. STATUS_USAGE if a layer has no map at that size. Release with
 * responses_free, after a failure too. */
int responses_make(const struct graph *graph, const int *nodes, int count, int extent,
                   const struct winograd_kernels *kernels, struct responses **responses, struct error *error);
void responses_free(struct responses *responses); /* accepts NULL */

/* As executor.h has them. */
size_t responses_table_bytes(const struct responses *responses);
int responses_place(struct responses *responses, void *tables, struct error *error);
int responses_fill_tables(const struct responses *responses, int part, int parts, struct error *error);

/* x [count][extent][extent][the network's channels], count at most ACTIVATIONS_MOST_IMAGES -> highest [count][filters].
 * *interrupt is asked between two layers: false if it ended the work. */
bool responses_measure(struct responses *responses, const float *x, int count, struct activation *highest,
                       const struct interrupt *interrupt);

#endif
