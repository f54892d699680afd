/* The live filters of a layer in the order that mosaics and the page show them. */
#ifndef FILTERATLAS_SORT_H
#define FILTERATLAS_SORT_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"

#include <stdbool.h>

/* Copies the live filters of a layer, by index or else by loss, highest first, ties by index, to *live[*count]. The
 * caller frees *live. Fails only for want of memory. */
int sort_live(const struct store_layer *layer, bool by_index, struct store_filter **live, int *count,
              struct error *error);

#endif
