/* What every rank's drawing thread does in a run: ask for orders, draw units and send the pictures, publish layers. */
#ifndef WORKER_H
#define WORKER_H

#include "filteratlas/cluster/distribute.h"
#include "link.h"

/* Works until the coordinator has nothing more to do. */
void worker_run(const struct drawing *drawing, struct link *link);

#endif
