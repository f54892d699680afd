/* What rank 0's main thread does in a run: hands out units, keeps what comes back, and decides when to stop. */
#ifndef COORDINATOR_H
#define COORDINATOR_H

#include "filteratlas/cluster/distribute.h"
#include "link.h"

/* Coordinates until every rank has been told that there is nothing more to draw. local is the link of rank 0's drawing
 * thread. */
int coordinator_run(const struct cluster *cluster, const struct drawing *drawing,
                    const struct coordination *coordination, struct link *local, struct error *error);

#endif
