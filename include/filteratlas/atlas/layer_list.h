/* DIR/layers.csv: the layers of a network in its order, with the names that its file has for them. Folders come in the
 * order of their names, which is a VGG's own; only other networks need the list.
 *
 *   layer,name,class,filters
 *   conv2_block1_1_conv,"conv2_block1_1/conv",Conv2D,64 */
#ifndef FILTERATLAS_LAYER_LIST_H
#define FILTERATLAS_LAYER_LIST_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/model/layers.h"

/* Writes it, durably, unless it is there or the network is a VGG; waits for others that do so. For rank 0 of a render.
 */
int layer_list_write(const struct store *store, const struct layers *layers, const struct lock_patience *patience,
                     struct error *error);

#endif
