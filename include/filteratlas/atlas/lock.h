/* One writer per layer of a store, also on network file systems where flock does nothing: a lock is a file made by
 * link(), which is atomic everywhere, or, on a file system without hard links, by creating it exclusively. Its owner
 * keeps one descriptor of it for the lock's life, through which it writes a beat every two seconds, from the first lock
 * it takes.
 *
 *   DIR/units/.NAME.lock: "HOST PID START PLACE BEAT", where START is the process's start time in clock ticks and PLACE
 * the kernel's boot and pid namespace; with both, a process of the same machine is known to live or not at once.
 * Elsewhere a lock is dead whose beat does not change while an observer looks at it for 20 s of his own clock: nothing
 * depends on what time it is on either machine. The lock of a dead owner is taken over. */
#ifndef FILTERATLAS_LOCK_H
#define FILTERATLAS_LOCK_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

#include <stdbool.h>

struct lock;

/* 3 s, so that a job that is just being killed may end; 10 minutes, for files that another process is making. */
enum { LOCK_ENDING_SECONDS = 3, LOCK_LONG_SECONDS = 600 };

/* How to wait for a live owner. Starts as {0}: LOCK_ENDING_SECONDS, whatever happens, without a word. */
struct lock_patience {
    double seconds;
    const struct interrupt *interrupt;
    /* Called once per lock that is waited for longer than a second, with a sentence on what for; not for a live owner
     * where the patience is short, since the error names him soon. NULL: not. */
    void (*say)(const char *sentence);
};

/* Takes the locks of all names, or none, for the store in `folder`. If a live process holds one for longer than the
 * patience lasts, STATUS_FAILURE names its host and pid; STATUS_STOPPED if the interrupt said so. patience may be NULL.
 * Release with lock_release. */
int lock_take(const char *folder, const char *const *names, int count, const struct lock_patience *patience,
              struct lock **lock, struct error *error);

/* Whether another process has taken one of the locks over, since this one was stopped for too long. NULL: false. */
bool lock_is_lost(const struct lock *lock);

/* Whether the store's file system had no hard links for one of the locks. NULL: false. */
bool lock_is_linkless(const struct lock *lock);

/* Whether there is a lock of that name: of a live process, or left by one that was killed. */
bool lock_exists(const char *folder, const char *name);

/* *held: whether a live process holds any lock of the store but those of `except` (a name), for a caller that keeps new
 * ones from being taken. Looks at locks of other machines for up to 20 s. */
int lock_find_any(const char *folder, const char *except, const struct interrupt *interrupt, bool *held,
                  struct error *error);

/* Accepts NULL. */
void lock_release(struct lock *lock);

#endif
