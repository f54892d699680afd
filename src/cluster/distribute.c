#include "filteratlas/cluster/distribute.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"

#include "coordinator.h"
#include "link.h"
#include "worker.h"

#include <mpi.h>
#include <stdio.h>

struct drawing_thread {
    const struct drawing *drawing;
    struct link *link;
};

static void *draw_beside(void *context) {
    struct drawing_thread *thread = context;
    worker_run(thread->drawing, thread->link);
    return NULL;
}

static int run_rank_0(const struct cluster *cluster, const struct drawing *drawing,
                      const struct coordination *coordination, struct error *error) {
    struct mailbox mailbox;
    struct link link = {.mailbox = &mailbox, .told = clock_now()};
    struct drawing_thread thread = {drawing, &link};
    pthread_t id;
    mailbox_init(&mailbox);
    if (thread_start(&id, 0, draw_beside, &thread, error)) {
        fprintf(stderr, "filteratlas: rank 0 on %s: %s\n", cluster->host, error->message);
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for units by now */
    }
    int status = coordinator_run(cluster, drawing, coordination, &link, error);
    pthread_join(id, NULL);
    mailbox_destroy(&mailbox);
    return status;
}

int distribute(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct error *error) {
    int status = STATUS_OK;
    if (cluster->rank == 0) {
        status = run_rank_0(cluster, drawing, coordination, error);
    } else {
        struct link link = {.told = clock_now()};
        worker_run(drawing, &link);
    }
    return cluster_agree(cluster, status, error);
}
