#include "filteratlas/cluster/distribute.h"

#include "driver.h"
#include "link.h"
#include "relay.h"
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

int distribute(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct error *error) {
    struct link link;
    struct drawing_thread thread = {drawing, &link};
    int status = STATUS_OK;
    link_init(&link);
    if (link_start(&link, draw_beside, &thread, error)) {
        fprintf(stderr, "filteratlas: rank %d on %s: %s\n", cluster->rank, cluster->host, error->message);
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for this rank by now */
    }
    if (cluster->rank == 0)
        status = driver_run(cluster, drawing, coordination, &link, error);
    else
        relay_run(cluster, &link, drawing->silence);
    pthread_join(link.drawing, NULL);
    link_destroy(&link);
    return cluster_agree(cluster, status, error);
}
