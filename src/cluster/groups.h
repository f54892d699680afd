/* The communicators of a job: the ranks of a node, and the first rank of every node, its leader. */
#ifndef GROUPS_H
#define GROUPS_H

#include <mpi.h>
#include <stddef.h>

struct cluster_groups {
    MPI_Comm node;    /* this rank's node; rank 0 in it is the leader */
    MPI_Comm leaders; /* MPI_COMM_NULL on all other ranks; rank 0 of the job is rank 0 in it */
    int signal;       /* that rank 0 was told of, or has heard of; 0: none */
};

/* The bytes of rank 0 of a communicator to all its ranks, in pieces that stay far under INT_MAX. Collective on it. */
void groups_broadcast(MPI_Comm communicator, void *bytes, size_t size);

#endif
