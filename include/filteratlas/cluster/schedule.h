/* Who draws what: units of work, and their division into one slice per rank. */
#ifndef FILTERATLAS_SCHEDULE_H
#define FILTERATLAS_SCHEDULE_H

#include "filteratlas/ascent/cost.h"
#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Unit `index` of a layer holds the filters index * batch ... index * batch + batch - 1. Plain data. */
struct unit {
    int layer;
    int index;
    uint64_t wanted; /* bit i: filter index * batch + i is to be drawn */
    double flops;    /* of direct convolutions, for the wanted filters */
    double cost;     /* nominal seconds for drawing them together, cost.h */
};

/* The wanted filters of a unit, rising, into filters[ASCENT_MAX_BATCH]; returns their number. */
int unit_filters(const struct unit *unit, int batch, int *filters);

struct unit_list {
    struct unit *unit;
    int count, batch;
    const struct layer_cost *costs; /* [layers], not owned */
};

/* Sums over all units. */
int unit_list_filters(const struct unit_list *list);
double unit_list_flops(const struct unit_list *list);
double unit_list_cost(const struct unit_list *list);

/* The most filters that are wanted of one unit, at least 1: so many are drawn at once. */
int unit_list_largest(const struct unit_list *list);

/* Which filters are wanted: wanted(context, layer, filter). */
typedef bool unit_selection(const void *context, int layer, int filter);

/* All units with at least one wanted filter, layer by layer. costs[layers] must outlive the list; a layer nothing is
 * wanted of may have 0 filters there. 1 <= batch <= ASCENT_MAX_BATCH. Release with unit_list_free, after a failure too.
 */
int unit_list_make(const struct layer_cost *costs, int layers, int batch, unit_selection *wanted, const void *context,
                   struct unit_list *list, struct error *error);
void unit_list_free(struct unit_list *list);

/* A rank's share of the work, largest pieces first. */
struct slice {
    int *piece; /* [pieces] positions in the schedule */
    int pieces;
    int next;    /* the first that is not handed out whole */
    double cost; /* of what is not handed out */
};

struct schedule {
    const struct unit_list *list; /* must outlive the schedule */
    struct unit *piece;           /* [pieces] units, or parts of them: what is not handed out */
    int pieces;
    struct slice *slice; /* [ranks] */
    int ranks;
    double cost; /* of what is not handed out */
};

/* Disjoint slices over all layers, balanced by cost: from the largest down, each to the rank with least so far (Graham,
 * "Bounds on multiprocessing timing anomalies", 1969). Any number of ranks, more than units too: a unit that is more
 * than half of an equal share is divided into pieces. A picture's bytes don't depend on its company, and the pieces of
 * a unit are committed to one record. */
int schedule_make(const struct unit_list *list, int ranks, struct schedule *schedule, struct error *error);
void schedule_free(struct schedule *schedule);

/* Hands out the next piece of work for a rank: of its own slice, else of the slice with most left; never more than half
 * of an equal share of what is left then, but at least one filter (guided self-scheduling: Polychronopoulos & Kuck,
 * IEEE Trans. Computers 36(12), 1987). False when all is out. */
bool schedule_next(struct schedule *schedule, int rank, struct unit *piece);

#endif
