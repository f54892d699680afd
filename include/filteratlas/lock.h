/* One writer per layer of a store, also on network file systems where flock does nothing: a lock is a file made by
 * link(), which is atomic everywhere, and kept alive by a beat that its owner writes every two seconds.
 *
 *   DIR/units/.NAME.lock: "HOST PID START PLACE BEAT", where START is the process's start time in clock ticks and PLACE
 * the kernel's boot and pid namespace; with both, a process of the same machine is known to live or not at once.
 * Elsewhere a lock whose beat does not change for 20 s is dead. The lock of a dead owner is taken over. */
#ifndef FILTERATLAS_LOCK_H
#define FILTERATLAS_LOCK_H

#include "filteratlas/error.h"

#include <stdbool.h>

struct lock;

/* How long to wait for a live owner: up to 10 minutes, as long as goes_on says so. */
struct lock_patience {
    bool (*goes_on)(void *context); /* NULL: always */
    void *context;
};

/* Takes the locks of all names, or none, for the store in `folder`. If a live process holds one, the error names its
 * host and pid: without patience (NULL) after 3 s, so that a job that is just being killed may end. STATUS_STOPPED if
 * goes_on said so. Release with lock_release. */
int lock_take(const char *folder, const char *const *names, int count, const struct lock_patience *patience,
              struct lock **lock, struct error *error);

/* Whether another process has taken one of the locks over, since this one was stopped for too long. NULL: false. */
bool lock_is_lost(const struct lock *lock);

/* Accepts NULL. */
void lock_release(struct lock *lock);

#endif
