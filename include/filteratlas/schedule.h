/* Who draws what: units of work, and their division into one slice per rank. No MPI in here: `plan` runs this code too.
 */
#ifndef FILTERATLAS_SCHEDULE_H
#define FILTERATLAS_SCHEDULE_H

#include "filteratlas/error.h"
#include "filteratlas/octaves.h"
#include "filteratlas/vgg.h"

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_MAX_BATCH = 64 };

/* Unit `index` of a layer holds the filters index * batch ... index * batch + batch - 1. Plain data. */
struct unit {
    int layer;
    int index;
    uint64_t wanted; /* bit i: filter index * batch + i is to be drawn */
    double flops;    /* of direct convolutions, for the wanted filters */
};

/* The wanted filters of a unit, rising, into filters[SCHEDULE_MAX_BATCH]; returns their number. */
int unit_filters(const struct unit *unit, int batch, int *filters);

struct unit_list {
    struct unit *unit;
    int count;
};

/* Which filters are wanted: wanted(context, layer, filter). */
typedef bool unit_selection(const void *context, int layer, int filter);

/* All units with at least one wanted filter, layer by layer. 1 <= batch <= SCHEDULE_MAX_BATCH. Release with
 * unit_list_free, after a failure too. */
int unit_list_make(const struct vgg *net, const struct octaves *octaves, int epochs, int batch, unit_selection *wanted,
                   const void *context, struct unit_list *list, struct error *error);
void unit_list_free(struct unit_list *list);

/* A rank's share of the units, largest first. */
struct slice {
    int *unit; /* [units] positions in the list */
    int units;
    int next;     /* the first that is not handed out */
    double flops; /* of what is not handed out */
};

struct schedule {
    const struct unit_list *list; /* must outlive the schedule */
    struct slice *slice;          /* [ranks] */
    int ranks;
};

/* Disjoint slices over all layers, balanced by cost: units from the largest down, each to the rank with least so far
 * (Graham, "Bounds on multiprocessing timing anomalies", 1969). Any number of ranks, more than units too. */
int schedule_make(const struct unit_list *list, int ranks, struct schedule *schedule, struct error *error);
void schedule_free(struct schedule *schedule);

/* Hands out the next unit for a rank: of its own slice, else of the slice with most left. NULL when all are out. */
const struct unit *schedule_next(struct schedule *schedule, int rank);

#endif
