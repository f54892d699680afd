/* Keeps what ranks have drawn: threads of rank 0 that write pictures and records to the store, so that whoever hands
 * out work never waits for a disk. What has come in by the time the disk is free is committed together: all pictures
 * are written and flushed side by side, then named, then their folder is flushed once; the records likewise. A file
 * system that takes its time for each flush (20 ms on a busy disk, more on a parallel file system) is so used many
 * times over. No MPI in here. */
#ifndef COMMITTER_H
#define COMMITTER_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/model/layers.h"
#include "link.h"

enum { COMMITTER_THREADS = 16, COMMITTER_MOST_UNITS = 64 };

/* A unit's pictures on their way to the disk. */
struct commit {
    struct unit unit;
    int rank;                /* that drew them */
    struct report *pictures; /* list of its EVENT_FILTER reports; owned */
    size_t bytes;            /* of their PNG files */
    double since;            /* when it was handed in, seconds of the monotonic clock */
    int status;              /* once it is done */
    struct error error;
    struct commit *next;
};

struct committer;

/* What is kept of a filter: its traces are formatted with the layers and epochs. *store and *layers must outlive the
 * committer. Fewer threads do if the system has no more; with none, the error says so. */
int committer_start(const struct store *store, const struct layers *layers, int epochs, struct committer **committer,
                    struct error *error);

/* Hands in commits, which are the committer's until they come back. Returns at once. */
void committer_add(struct committer *committer, struct commit *commit);
void committer_add_all(struct committer *committer, struct commit *const *commits, int count);

/* A commit that is done, durably or not; NULL if there is none. The caller frees it with commit_free. */
struct commit *committer_take(struct committer *committer);
void commit_free(struct commit *commit);

/* Ends the threads, after the files that are being written now; what was not taken is freed. Accepts NULL. */
void committer_end(struct committer *committer);

#endif
