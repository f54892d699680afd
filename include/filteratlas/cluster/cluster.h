/* The ranks of a job: start and end of MPI, broadcasts, and agreeing on errors. All functions are
 * collective: every rank calls them, in the same order, from its main thread. */
#ifndef FILTERATLAS_CLUSTER_H
#define FILTERATLAS_CLUSTER_H

#include "filteratlas/base/error.h"
#include "filteratlas/cluster/launcher.h"

#include <stddef.h>

enum { CLUSTER_HOST_SIZE = 256, CLUSTER_TEXT_SIZE = 256 };

struct cluster_groups;

struct cluster {
    int rank, ranks;
    int node_rank, node_ranks;          /* among the ranks that share memory with this one */
    char host[CLUSTER_HOST_SIZE];       /* this rank's */
    char first_host[CLUSTER_HOST_SIZE]; /* rank 0's */
    char (*hosts)[CLUSTER_HOST_SIZE];   /* on rank 0, all ranks' [ranks]; elsewhere NULL */
    int *leader;                        /* on rank 0, the first rank of each rank's node [ranks]; elsewhere NULL */
    char mpi[LAUNCHER_MPI_SIZE];        /* "Open MPI 4.1.4" */
    struct cluster_groups *groups;      /* the communicators */
};

/* Starts MPI; alone, without a launcher, the program is a job of one rank. */
void cluster_start(struct cluster *cluster);
void cluster_end(struct cluster *cluster);

/* Waits, without keeping a core busy, until all ranks are here.
 * If any rank comes with a status other than STATUS_OK, all leave with the status and message of the lowest such rank;
 * a rank other than 0 is named in the message, with its host. error may be uninitialised where status is STATUS_OK. */
int cluster_agree(const struct cluster *cluster, int status, struct error *error);

/* The signal that asks this process to stop or, on rank 0, one that another rank got while it waited in cluster_agree;
 * 0: none. Not collective. */
int cluster_signal(const struct cluster *cluster);

/* Rank 0's bytes to all ranks. */
void cluster_broadcast(void *bytes, size_t size);

/* The lowest rank whose text is not rank 0's, with its text on all ranks; -1 if all have the same. Texts are cut at
 * CLUSTER_TEXT_SIZE. */
int cluster_find_other(const struct cluster *cluster, const char *text, char other[CLUSTER_TEXT_SIZE]);

/* On rank 0 the number of nodes: of groups of ranks that share memory. Not collective. */
int cluster_count_nodes(const struct cluster *cluster);

#endif
