/* Being asked to stop: signals, a time limit, a file. Any rank may get a signal; it is rank 0 that decides. */
#ifndef FILTERATLAS_STOP_H
#define FILTERATLAS_STOP_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

/* Catches SIGUSR1, SIGUSR2, SIGTERM and SIGINT from now on: what Slurm sends ahead of the limit and at it, what mpirun
 * passes on, and Ctrl-C. The handler notes the signal and does nothing else. */
void stop_catch_signals(void);

/* The last signal caught, 0 if there was none. */
int stop_signal(void);

/* "SIGTERM" and so on. Static. */
const char *stop_signal_name(int signal);

/* When to stop before all is done. Times in seconds of the monotonic clock. */
struct stop_rules {
    double deadline; /* nothing is drawn any more after that; INFINITY for none */
    double limit;    /* nor committed or published after that */
    double grace; /* how long units in flight may go on after a signal; negative: 0.5 s after SIGTERM, else for ever */
    double silence;   /* a rank not heard of, or that does not get on, for so many seconds is taken for lost */
    const char *file; /* when a file of this name appears, it is removed and the run stops */
};

/* STATUS_STOPPED, for a reason such as a signal's name. */
int stop_error(const char *reason, struct error *error);

/* When Slurm will end this job, in seconds of the system clock since 1970: SLURM_JOB_END_TIME, else what scontrol
 * says within a minute; INFINITY if the job has no limit, 0 if that isn't known, this is no Slurm job, or *interrupt
 * was asked and said so. May run a command: for rank 0, at the start. */
double stop_slurm_end(const struct interrupt *interrupt);

#endif
