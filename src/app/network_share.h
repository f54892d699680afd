/* Rank 0's network to all ranks. All of these are collective, with the same status everywhere. */
#ifndef NETWORK_SHARE_H
#define NETWORK_SHARE_H

#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/shared.h"
#include "filteratlas/model/model.h"

/* Bytes of rank 0's array to one that each other rank gets, and releases. */
int network_share_array(const struct cluster *cluster, size_t bytes, void **array, struct error *error);

/* All but the graph's values; of the model the other ranks then have the graph and the layers. */
int network_share_graph(const struct cluster *cluster, struct model *model, struct error *error);

/* The values to one copy per node if so wanted, else per rank, with room for rank 0's `tables` bytes behind it:
 * *place, aligned to 64 bytes. Rank 0's own copy is released. */
int network_share_values(const struct cluster *cluster, struct model *model, size_t tables, bool wanted,
                         struct shared *shared, void **place, struct error *error);

/* Releases both, after a failure too. */
void network_share_free(struct model *model, struct shared *shared);

#endif
