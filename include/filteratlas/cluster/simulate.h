/* A run in virtual time: the coordinator of a real one, with ranks and a disk of which only the time is known. */
#ifndef FILTERATLAS_SIMULATE_H
#define FILTERATLAS_SIMULATE_H

#include "filteratlas/base/error.h"
#include "filteratlas/cluster/disk.h"
#include "filteratlas/cluster/schedule.h"

/* A run to be played. */
struct simulated_run {
    const struct unit_list *list;
    int ranks;
    double (*seconds)(const void *context, const struct unit *piece); /* that drawing a piece takes */
    const void *context;
    struct commit_time commit;
    double picture_bytes; /* of a picture's file, mean */
};

/* What it would be. */
struct simulation {
    double seconds; /* until the last commit */
    double busy;    /* seconds of drawing, of all ranks together */
    double
        disk; /* seconds that the disk costs: that ranks wait for it, on average, and that it needs when all is drawn */
    int pieces;
};

/* Errors: no memory. For `plan`. */
int simulate(const struct simulated_run *run, struct simulation *simulation, struct error *error);

#endif
