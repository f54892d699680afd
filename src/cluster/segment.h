/* Memory that the ranks of a node share in huge pages: from those that the node has set aside (vm.nr_hugepages), where
 * there are enough. Reading large tables through 4 KB pages takes longer: see shared.h. */
#ifndef SEGMENT_H
#define SEGMENT_H

#include "filteratlas/cluster/cluster.h"

#include <stddef.h>

enum { SEGMENT_PAGE = 2 << 20 };

/* Maps a new segment of at least *size bytes into all ranks of each node, and sets *size to what it has: NULL on all
 * ranks of a node that can't. Collective over the node. */
void *segment_open(const struct cluster *cluster, size_t *size);
void segment_close(void *segment, size_t size);

#endif
