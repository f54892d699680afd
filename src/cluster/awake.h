/* Time as a process has lived it: one that was suspended (SIGSTOP, Ctrl-Z, a Slurm suspend) finds the clock far ahead,
 * and must not take the others' silence meanwhile for their death. */
#ifndef AWAKE_H
#define AWAKE_H

/* Seconds between two looks of a process that is awake, at most: it looks many times in that. */
#define AWAKE_MOST 1.0

/* Starts as {.looked = the clock now, .most = AWAKE_MOST}; .most INFINITY: it never sleeps. */
struct awake {
    double most;
    double looked;  /* the clock at the last look, seconds */
    double seconds; /* lived through */
};

/* A look at the clock: what has passed since the last one counts, but for no more than `most`. Returns the seconds that
 * do not count. */
double awake_look(struct awake *awake, double clock);

#endif
