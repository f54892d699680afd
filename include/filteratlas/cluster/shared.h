/* Memory that holds the same on all ranks: one copy per node, in huge pages that the node has set aside, or in a window
 * that its ranks share (MPI-3, section 11.2.3), or where that can't be, a copy per rank. All functions are collective.
 */
#ifndef FILTERATLAS_SHARED_H
#define FILTERATLAS_SHARED_H

#include "filteratlas/base/error.h"
#include "filteratlas/cluster/cluster.h"

#include <stdbool.h>
#include <stddef.h>

struct shared_window;

struct shared {
    void *bytes;                  /* aligned to 64 bytes; contents undefined at first */
    int part, parts;              /* this rank is number `part` of the `parts` that share the copy */
    struct shared_window *window; /* NULL: the copy is this rank's own, or a segment */
    size_t segment;               /* bytes of that, in huge pages; 0: none */
    const char *pages;            /* what it lies in, for the log: "2 MB pages"; static */
    /* On rank 0: nodes that wanted to share and could not, and the first of them with what it had. */
    int nodes_without;
    char host_without[CLUSTER_HOST_SIZE];
    double free_bytes;
};

/* Allocates a copy per node if wanted, else per rank. A node that has too little shared memory (Open MPI keeps windows
 * in files, in /dev/shm) falls back to a copy per rank. Release with shared_free, after a failure too. */
int shared_allocate(const struct cluster *cluster, size_t size, bool wanted, struct shared *shared,
                    struct error *error);

/* The first `size` bytes of rank 0's copy to all others: over the network once per node. */
void shared_broadcast(const struct cluster *cluster, struct shared *shared, size_t size);

/* Waits until all ranks of the node are here; what they have written is then seen by all of them. */
void shared_settle(const struct cluster *cluster, struct shared *shared);

void shared_free(struct shared *shared);

#endif
