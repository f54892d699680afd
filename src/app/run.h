/* A run of `render`: what its stages hand on. Every rank has one; `first` is filled on rank 0 alone. */
#ifndef RUN_H
#define RUN_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/distribute.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/cluster/shared.h"
#include "filteratlas/model/model.h"
#include "filteratlas/net/executor.h"
#include "options.h"
#include "progress.h"
#include "selection.h"

/* What rank 0 knows of the store, what is left to draw, and what it tells. */
struct run_first {
    struct selection selection;
    struct lock *lock;
    struct store_layer *drawn;  /* [layers] what was in the store before */
    struct store_damage damage; /* in the selected layers */
    struct layer_cost *costs;   /* [layers] of those selected */
    struct unit_list units;
    struct schedule schedule;
    struct progress progress;
    struct text *lines; /* [layers] */
    struct coordinator_account account;
};

struct run {
    struct cluster cluster;
    struct options options;
    struct ascent_job job;
    const struct winograd_kernels *kernels;
    struct model model;   /* the graph's values are rank 0's own at first, then the shared ones */
    struct shared shared; /* values of the graph, then the tables */
    bool *nodes;          /* [graph.nodes] of the layers that are left to draw */
    struct executor *executor;
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

/* All that rank 0 checks and reads before anything starts: network, store, locks, what is left to draw. */
int run_prepare_first(struct run *run, struct error *error);

/* Network, tables and memory on every rank. Collective; the same status on all ranks. */
int run_prepare_all(struct run *run, struct error *error);

/* After a failure, too. */
void run_free(struct run *run);

/* Shared by these stages ---------------------------------------------------------------------------------------- */

/* For interrupts while a rank waits, reads or fills tables; the coordinator asks for itself while ranks draw. */
bool run_goes_on(void *run);

/* Says why, where a rank was stopped outside of drawing; other errors stay as they are. */
int run_explain_stop(const struct run *run, int status, struct error *error);

/* The kernels of this rank, as records name them. */
void run_describe_kernels(const struct run *run, char kernels[STORE_KERNELS_SIZE]);

/* What rank 0 prints -------------------------------------------------------------------------------------------- */

void run_print_header(const struct run *run);

/* What a person should know before it begins, on standard error. */
void run_print_notices(const struct run *run);

void run_print_end(const struct run *run);

#endif
