#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/launcher.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/stop.h"
#include "groups.h"
#include "tags.h"

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 << 20 }; /* bytes of one broadcast */

static int no_room(const char *what) {
    fprintf(stderr, "filteratlas: %s: out of memory at the start\n", what);
    return MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
}

/* Which ranks share a node, on all ranks; on rank 0 also each rank's host and leader. */
static void find_nodes(struct cluster *cluster) {
    struct cluster_groups *groups = cluster->groups = calloc(1, sizeof *groups);
    if (!groups)
        no_room("communicators");
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, cluster->rank, MPI_INFO_NULL, &groups->node);
    MPI_Comm_rank(groups->node, &cluster->node_rank);
    MPI_Comm_size(groups->node, &cluster->node_ranks);
    MPI_Comm_split(MPI_COMM_WORLD, cluster->node_rank == 0 ? 0 : MPI_UNDEFINED, cluster->rank, &groups->leaders);
    int leader = cluster->rank;
    MPI_Bcast(&leader, 1, MPI_INT, 0, groups->node);
    if (cluster->rank == 0) {
        cluster->hosts = malloc(cluster->ranks * sizeof *cluster->hosts);
        cluster->leader = malloc(cluster->ranks * sizeof *cluster->leader);
        if (!cluster->hosts || !cluster->leader)
            no_room("the list of hosts");
    }
    snprintf(cluster->first_host, sizeof cluster->first_host, "%s", cluster->host);
    MPI_Bcast(cluster->first_host, CLUSTER_HOST_SIZE, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Gather(cluster->host, CLUSTER_HOST_SIZE, MPI_BYTE, cluster->hosts, CLUSTER_HOST_SIZE, MPI_BYTE, 0,
               MPI_COMM_WORLD);
    MPI_Gather(&leader, 1, MPI_INT, cluster->leader, 1, MPI_INT, 0, MPI_COMM_WORLD);
}

/* MPI's own report of an error is a page of text; whatever it is, the job can't go on. */
static void end_for_error(MPI_Comm *communicator, int *code, ...) {
    char what[MPI_MAX_ERROR_STRING], host[MPI_MAX_PROCESSOR_NAME];
    int rank, length;
    (void)communicator;
    MPI_Error_string(*code, what, &length);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Get_processor_name(host, &length);
    fprintf(stderr, "filteratlas: rank %d on %s: %s; run the same command again\n", rank, host, what);
    MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
}

static void report_errors(void) {
    MPI_Errhandler handler;
    MPI_Comm_create_errhandler(end_for_error, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
    MPI_Errhandler_free(&handler);
}

void cluster_start(struct cluster *cluster) {
    *cluster = (struct cluster){0};
    int provided, length;
    char version[MPI_MAX_LIBRARY_VERSION_STRING], host[MPI_MAX_PROCESSOR_NAME];
    launcher_prepare();
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    report_errors();
    if (provided < MPI_THREAD_FUNNELED) {
        fprintf(stderr,
                "filteratlas: this MPI library was built without threads; use one that has MPI_THREAD_FUNNELED\n");
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &cluster->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &cluster->ranks);
    MPI_Get_processor_name(host, &length);
    snprintf(cluster->host, sizeof cluster->host, "%s", host);
    MPI_Get_library_version(version, &length);
    launcher_name_mpi(version, cluster->mpi);
    find_nodes(cluster);
}

void cluster_end(struct cluster *cluster) {
    MPI_Comm_free(&cluster->groups->node);
    if (cluster->groups->leaders != MPI_COMM_NULL)
        MPI_Comm_free(&cluster->groups->leaders);
    free(cluster->groups);
    free(cluster->hosts);
    free(cluster->leader);
    MPI_Finalize();
}

/* Rank 0 may be at something long while the others wait for it: it hears of a signal that one of them got. */
static void tell_signal(const struct cluster *cluster) {
    struct cluster_groups *groups = cluster->groups;
    MPI_Request request;
    if (!cluster->rank || groups->signal || !stop_signal())
        return;
    groups->signal = stop_signal();
    MPI_Isend(&groups->signal, 1, MPI_INT, 0, TAG_SIGNAL, MPI_COMM_WORLD, &request);
    MPI_Request_free(&request);
}

int cluster_signal(const struct cluster *cluster) {
    struct cluster_groups *groups = cluster->groups;
    int arrived = 0;
    if (!cluster->rank && !groups->signal)
        MPI_Iprobe(MPI_ANY_SOURCE, TAG_SIGNAL, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
    if (arrived)
        MPI_Recv(&groups->signal, 1, MPI_INT, MPI_ANY_SOURCE, TAG_SIGNAL, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return stop_signal() ? stop_signal() : groups->signal;
}

/* Waiting in a collective call keeps a core busy, which on a full node others draw on. */
static void wait_for(const struct cluster *cluster, MPI_Request *request) {
    int done = 0;
    for (double start = clock_now(); !done; MPI_Test(request, &done, MPI_STATUS_IGNORE)) {
        tell_signal(cluster);
        clock_pause(fmin((clock_now() - start) / 10, 2e-3));
    }
}

int cluster_agree(const struct cluster *cluster, int status, struct error *error) {
    int mine = status ? cluster->rank : cluster->ranks, first;
    MPI_Request request;
    MPI_Iallreduce(&mine, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD, &request);
    wait_for(cluster, &request);
    if (first == cluster->ranks)
        return STATUS_OK;
    if (first == cluster->rank && first > 0) {
        char message[ERROR_MESSAGE_SIZE];
        snprintf(message, sizeof message, "%s", error->message);
        error_set(error, status, "rank %d on %s: %s", cluster->rank, cluster->host, message);
    }
    MPI_Bcast(error, sizeof *error, MPI_BYTE, first, MPI_COMM_WORLD);
    return error->status;
}

void groups_broadcast(MPI_Comm communicator, void *bytes, size_t size) {
    for (size_t done = 0; done < size; done += PIECE) {
        int count = (int)(size - done < PIECE ? size - done : PIECE);
        MPI_Bcast((char *)bytes + done, count, MPI_BYTE, 0, communicator);
    }
}

void cluster_broadcast(void *bytes, size_t size) { groups_broadcast(MPI_COMM_WORLD, bytes, size); }

int cluster_find_other(const struct cluster *cluster, const char *text, char other[CLUSTER_TEXT_SIZE]) {
    char mine[CLUSTER_TEXT_SIZE];
    snprintf(mine, sizeof mine, "%s", text);
    snprintf(other, CLUSTER_TEXT_SIZE, "%s", text);
    MPI_Bcast(other, CLUSTER_TEXT_SIZE, MPI_BYTE, 0, MPI_COMM_WORLD);
    int rank = strcmp(mine, other) ? cluster->rank : cluster->ranks, first;
    MPI_Allreduce(&rank, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == cluster->ranks)
        return -1;
    memcpy(other, mine, sizeof mine);
    MPI_Bcast(other, CLUSTER_TEXT_SIZE, MPI_BYTE, first, MPI_COMM_WORLD);
    return first;
}

int cluster_count_nodes(const struct cluster *cluster) {
    int nodes = 0;
    for (int r = 0; r < cluster->ranks; r++)
        nodes += cluster->leader[r] == r;
    return nodes;
}
