#ifndef LAYER_ORDER_H
#define LAYER_ORDER_H

#include "filteratlas/atlas/store.h"

/* Brings names into the order of layers.csv; what is not in it comes last, and without it all stay as they are. */
int layer_order_sort(const struct store *store, struct store_names *names, struct error *error);

#endif
