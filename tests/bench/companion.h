/* A process on another core that works while something is timed on this one. */
#ifndef BENCH_COMPANION_H
#define BENCH_COMPANION_H

#include <stddef.h>
#include <sys/types.h>

struct companion {
    pid_t process;
    volatile double *done; /* what it has done so far, in units of its own */
};

/* Starts a process that is bound to `core`, gets ready with `prepare` (NULL: nothing to do), whose result is given to
 * each call of `work`, and then does `work` again and again, adding up what it returns; stopped so far. It ends with
 * this process. A failure ends the process. */
struct companion companion_start(int core, void *(*prepare)(const void *task), double (*work)(void *prepared),
                                 const void *task);

/* Lets it work and holds it again. */
void companion_release(const struct companion *companion);
void companion_hold(const struct companion *companion);

void companion_end(struct companion *companion);

#endif
