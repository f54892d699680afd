/* The heart of a run: every rank draws units, rank 0 hands them out and keeps what comes back.
 *
 * On every rank a second thread draws, and the main thread carries messages; it polls, sleeping in between, so that it
 * costs no core. MPI is called from main threads alone (MPI_THREAD_FUNNELED). So a rank answers within milliseconds
 * whatever it draws, and one that does not answer stands still. On rank 0 the main thread also coordinates; further
 * threads write to the disk. Pictures travel one by one, as the bytes of their PNG file, compressed by the rank that
 * drew them. */
#ifndef FILTERATLAS_DISTRIBUTE_H
#define FILTERATLAS_DISTRIBUTE_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/coordinator.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/model/layers.h"

/* What every rank needs for drawing. */
struct drawing {
    struct ascent *ascent;
    const struct ascent_job *job;
    const struct layers *layers; /* what a unit's layer counts in */
    int batch;
    bool trace;
    char job_digest[SHA256_HEX_SIZE];
    char kernels[STORE_KERNELS_SIZE]; /* this rank's, for the records of what it draws */
    double silence;                   /* seconds after which a rank that says nothing is lost */
    /* How fast this rank is, in seconds for a nominal one of cost.h: asked before the first order, where a run has a
     * time limit, so that the first unit's time is known, too. 0: unknown. NULL: not asked. */
    double (*measure)(const void *context, const struct interrupt *interrupt);
    /* Makes the files of a finished layer from the store: called on ranks of rank 0's node alone, which see it. Asks
     * the interrupt now and then and ends with STATUS_STOPPED if that says so. *line gets what a person should read. */
    int (*publish)(const void *context, const char *layer, const struct interrupt *interrupt, struct text *line,
                   struct error *error);
    /* The same for the files of all layers together, on rank 0. */
    int (*publish_tables)(const void *context, const struct interrupt *interrupt, struct error *error);
    const void *context;
};

/* What only rank 0 needs. */
struct coordination {
    struct stop_rules stop;
    struct schedule *schedule;
    const struct store *store;
    const bool *publish; /* [layers] whose files are made as soon as all that is wanted of them is drawn */
    size_t queue_bytes;  /* of pictures that may wait for the disk before ranks must wait, too */
    /* All called on rank 0's main thread. For every filter that came in, and with NULL at least every 100 ms; when only
     * the files of all layers are left to make, after which progress is not called any more; for a line in the log. */
    void (*progress)(void *context, int layer, const struct store_filter *filter);
    void (*drawn)(void *context);
    void (*say)(void *context, const char *line);
    void *context;
    struct text *lines;                  /* [layers] out: what publish had to say of each layer */
    struct coordinator_account *account; /* out: where the ranks' time went */
};

/* Draws everything in the schedule, commits it to the store, and publishes layers: on whichever rank of rank 0's node
 * is free first, several at once and while others draw; then the files of all layers. Collective; coordination is NULL
 * but on rank 0. The same status on all ranks; on a failure, what was committed before stays. */
int distribute(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct error *error);

#endif
