/* The heart of a run: every rank draws units, rank 0 hands them out and keeps what comes back.
 *
 * On rank 0 the main thread coordinates; it polls, sleeping a few milliseconds in between, so that it costs no core,
 * and a second thread draws. MPI is called from main threads alone (MPI_THREAD_FUNNELED). Pictures travel one by one,
 * as the bytes of their PNG file, compressed by the rank that drew them. */
#ifndef FILTERATLAS_DISTRIBUTE_H
#define FILTERATLAS_DISTRIBUTE_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/schedule.h"

/* What every rank needs for drawing. */
struct drawing {
    struct ascent *ascent;
    const struct ascent_job *job;
    const struct vgg *net;
    int batch;
    bool trace;
    char job_digest[SHA256_HEX_SIZE];
    char kernels[STORE_KERNELS_SIZE]; /* this rank's, for the records of what it draws */
    /* Makes the files of a finished layer from the store: called on ranks of rank 0's node alone, which see it. Asks
     * the interrupt now and then and ends with STATUS_STOPPED if that says so. *line gets what a person should read. */
    int (*publish)(const void *context, const char *layer, const struct interrupt *interrupt, struct text *line,
                   struct error *error);
    const void *context;
};

/* When to stop before all is drawn. Times in seconds of the monotonic clock. */
struct stop_rules {
    double deadline; /* nothing is drawn any more after that; INFINITY for none */
    double grace;    /* how long units in flight may go on after a signal; negative: 1 s after SIGTERM, else for ever */
    double silence;  /* a rank that is not heard of for so long at its work is taken for lost */
    const char *file; /* when a file of this name appears, it is removed and the run stops */
};

/* What only rank 0 needs. */
struct coordination {
    struct stop_rules stop;
    struct schedule *schedule;
    const struct store *store;
    bool publish[VGG_MAX_LAYERS]; /* layers whose files are made as soon as all that is wanted of them is drawn */
    /* Called on rank 0's main thread for every filter that came in, and with NULL at least every 100 ms. */
    void (*progress)(void *context, const char *layer, const struct store_filter *filter);
    void *context;
    struct text *lines; /* [VGG_MAX_LAYERS] out: what publish had to say of each layer */
};

/* Draws everything in the schedule, commits it to the store, and publishes layers: on whichever rank of rank 0's node
 * is free first, several at once and while others draw. Collective; coordination is NULL but on rank 0. The same status
 * on all ranks; on a failure, what was committed before stays. */
int distribute(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct error *error);

#endif
