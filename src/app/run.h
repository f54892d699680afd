/* A run of `render`: what its stages hand on. Every rank has one; `first` is filled on rank 0 alone. */
#ifndef RUN_H
#define RUN_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/distribute.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/cluster/shared.h"
#include "filteratlas/model/weights.h"
#include "filteratlas/net/network.h"
#include "options.h"
#include "progress.h"
#include "selection.h"

/* What rank 0 knows of the store, what is left to draw, and what it tells. */
struct run_first {
    struct selection selection;
    struct lock *lock;
    struct store_layer drawn[VGG_MAX_LAYERS]; /* what was in the store before */
    struct store_damage damage;               /* in the selected layers */
    struct unit_list units;
    struct schedule schedule;
    struct progress progress;
    struct text lines[VGG_MAX_LAYERS];
    struct coordinator_account account;
};

struct run {
    struct cluster cluster;
    struct options options;
    struct ascent_job job;
    const struct winograd_kernels *kernels;
    struct weights weights; /* its values are rank 0's own at first, then the shared ones */
    struct shared shared;   /* values of the weights, then the tables */
    struct network network;
    struct store store;
    bool damaged;   /* whether any picture of the selected layers is */
    bool abandoned; /* a thread still reads the weights: the process must end without exit() */
    struct drawing drawing;
    double start, deadline, end; /* seconds of the monotonic clock: nothing is drawn after the deadline, nothing written
                                  * after the end */
    struct run_first first;
};

/* The stages before drawing, in this order. Each stops with STATUS_STOPPED for a signal or at the end. ---------- */

/* When to stop. On rank 0. */
int run_set_deadline(struct run *run, struct error *error);

/* All that rank 0 checks and reads before anything starts: weights, store, locks, what is left to draw. */
int run_prepare_first(struct run *run, struct error *error);

/* Weights, tables and memory on every rank. Collective; the same status on all ranks. */
int run_prepare_all(struct run *run, struct error *error);

/* After a failure, too. */
void run_free(struct run *run);

/* What rank 0 prints -------------------------------------------------------------------------------------------- */

void run_print_header(const struct run *run);

/* What a person should know before it begins, on standard error. */
void run_print_notices(const struct run *run);

void run_print_end(const struct run *run);

#endif
