/* Being asked to stop: signals, a time limit, a file. Any rank may get a signal; it is rank 0 that decides. */
#ifndef FILTERATLAS_STOP_H
#define FILTERATLAS_STOP_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

#include <stdbool.h>

/* Catches from now on SIGUSR1, SIGUSR2, SIGTERM and SIGINT: what Slurm sends ahead of the limit and at it, what mpirun
 * passes on, and Ctrl-C; SIGXCPU, of a limit on processor time (ulimit -t); and SIGHUP, of a terminal that is closed,
 * but under nohup. The handler notes the signal and does nothing else. Who reads the output may end before the run:
 * SIGPIPE is ignored. */
void stop_catch_signals(void);

/* The last signal caught, 0 if there was none. */
int stop_signal(void);

/* "SIGTERM" and so on. Static. */
const char *stop_signal_name(int signal);

/* Seconds that what is in flight may go on after a signal, where nobody says otherwise: 0.5 after SIGTERM and SIGHUP,
 * else INFINITY. */
double stop_signal_grace(int signal);

/* Whether there is a file of that name, or anything else; then it is removed. What can't be is named on standard error.
 */
bool stop_take_file(const char *path);

/* When to stop before all is done. Times in seconds of the monotonic clock. */
struct stop_rules {
    double deadline;  /* nothing is drawn any more after that; INFINITY for none */
    double limit;     /* nor committed or published after that */
    double grace;     /* how long units in flight may go on after a signal; negative: stop_signal_grace */
    double silence;   /* a rank not heard of, or that does not get on, for so many seconds is taken for lost */
    const char *file; /* when it appears, stop_take_file, the run stops */
};

/* STATUS_STOPPED, for a reason such as a signal's name. */
int stop_error(const char *reason, struct error *error);

/* When Slurm will end this job, in seconds of the system clock since 1970: SLURM_JOB_END_TIME, else what scontrol
 * says within a minute; INFINITY if the job has no limit, 0 if that isn't known, this is no Slurm job, or *interrupt
 * was asked and said so. May run a command: for rank 0, at the start. */
double stop_slurm_end(const struct interrupt *interrupt);

#endif
