/* What every rank does in a run: ask for units, draw them, send the pictures. */
#ifndef WORKER_H
#define WORKER_H

#include "filteratlas/distribute.h"
#include "link.h"

/* Draws until the coordinator has no more units. */
void worker_run(const struct drawing *drawing, struct link *link);

#endif
