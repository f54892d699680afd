/* What rank 0's main thread does in a run: connects the coordinator to the ranks, the disk, the clock and signals. */
#ifndef DRIVER_H
#define DRIVER_H

#include "filteratlas/cluster/distribute.h"
#include "link.h"

/* Drives the coordinator until all ranks have ended. local is the link of rank 0's drawing thread, which runs. */
int driver_run(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct link *local, struct error *error);

#endif
