/* Many small tasks over all ranks: rank 0 composes them and keeps what comes back, every rank, rank 0 in a thread
 * beside, carries them out, the next whenever it has finished one. For work whose tasks take seconds and whose results
 * may come in any order; drawing has distribute.h.
 *
 * MPI is called from main threads alone (MPI_THREAD_FUNNELED); who waits sleeps. */
#ifndef FILTERATLAS_TASKS_H
#define FILTERATLAS_TASKS_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/stop.h"

/* What every rank needs. */
struct task_work {
    /* Carries a task out: order, bytes as compose made them -> result, bytes for keep. Asks the interrupt now and then
     * and ends with STATUS_STOPPED if that says so; any other failure ends the job. */
    int (*carry_out)(void *context, const struct text *order, const struct interrupt *interrupt, struct text *result,
                     struct error *error);
    void *context;
    double limit; /* of this rank's monotonic clock: tasks still in work are then interrupted */
    double grace; /* stop.h */
};

/* What only rank 0 needs. All of it is called on its main thread. */
struct task_keeping {
    int tasks;
    struct stop_rules stop;
    /* Composes task 0 ... tasks - 1: an order that is not empty. */
    void (*compose)(void *context, int task, struct text *order);
    int (*keep)(void *context, int task, const struct text *result, struct error *error);
    /* At least every 100 ms. */
    int (*tick)(void *context, struct error *error);
    void *context;
};

/* Carries out all tasks; keeping is NULL but on rank 0. Collective; the same status on all ranks: STATUS_STOPPED if it
 * was asked to stop before all was kept. A rank that is at one task for longer than stop.silence ends the job. */
int tasks_run(const struct cluster *cluster, const struct task_work *work, const struct task_keeping *keeping,
              struct error *error);

#endif
