/* What the main thread of every rank but 0 does in a run. */
#ifndef RELAY_H
#define RELAY_H

#include "filteratlas/cluster/cluster.h"
#include "link.h"

/* Carries reports to rank 0 and its orders back, says ALIVE once a second, and passes on signals, until the drawing
 * thread has ended. If rank 0 is silent for `silence` seconds, says so and ends the job. */
void relay_run(const struct cluster *cluster, struct link *link, double silence);

#endif
