#include "filteratlas/cluster.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 << 20 }; /* bytes of one broadcast */

void cluster_start(struct cluster *cluster) {
    int provided, length;
    char version[MPI_MAX_LIBRARY_VERSION_STRING], host[MPI_MAX_PROCESSOR_NAME];
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &cluster->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &cluster->ranks);
    MPI_Get_processor_name(host, &length);
    snprintf(cluster->host, sizeof cluster->host, "%s", host);
    MPI_Get_library_version(version, &length);
    snprintf(cluster->mpi, sizeof cluster->mpi, "%.*s", (int)strcspn(version, ","), version);
    char *v = strstr(cluster->mpi, "MPI v");
    if (v)
        memmove(v + 4, v + 5, strlen(v + 5) + 1); /* "Open MPI v4.1.4" */
    cluster->hosts = cluster->rank == 0 ? malloc(cluster->ranks * sizeof *cluster->hosts) : NULL;
    if (cluster->rank == 0 && !cluster->hosts)
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
    MPI_Gather(cluster->host, CLUSTER_HOST_SIZE, MPI_BYTE, cluster->hosts, CLUSTER_HOST_SIZE, MPI_BYTE, 0,
               MPI_COMM_WORLD);
}

void cluster_end(struct cluster *cluster) {
    free(cluster->hosts);
    MPI_Finalize();
}

int cluster_agree(const struct cluster *cluster, int status, struct error *error) {
    int mine = status ? cluster->rank : cluster->ranks, first;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
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

void cluster_broadcast(void *bytes, size_t size) {
    for (size_t done = 0; done < size; done += PIECE) {
        int count = (int)(size - done < PIECE ? size - done : PIECE);
        MPI_Bcast((char *)bytes + done, count, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

int cluster_broadcast_weights(const struct cluster *cluster, struct weights *weights, struct error *error) {
    float *values = weights->values;
    cluster_broadcast(weights, sizeof *weights);
    size_t bytes = weights->count * sizeof *values;
    weights->values = cluster->rank == 0 ? values : malloc(bytes);
    int status = weights->values ? STATUS_OK : error_memory(error, (double)bytes, "the weights");
    status = cluster_agree(cluster, status, error);
    if (!status)
        cluster_broadcast(weights->values, bytes);
    return status;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

int cluster_count_hosts(const struct cluster *cluster) {
    size_t bytes = cluster->ranks * sizeof *cluster->hosts;
    char(*sorted)[CLUSTER_HOST_SIZE] = malloc(bytes);
    int different = 1;
    if (!sorted)
        return different;
    memcpy(sorted, cluster->hosts, bytes);
    qsort(sorted, cluster->ranks, sizeof *sorted, by_name);
    for (int r = 1; r < cluster->ranks; r++)
        different += strcmp(sorted[r], sorted[r - 1]) != 0;
    free(sorted);
    return different;
}
