/* Time as a process has lived it: one that was suspended (SIGSTOP, Ctrl-Z, a Slurm suspend) finds the clock far ahead,
 * and must not take the others' silence meanwhile for their death. */
#ifndef AWAKE_H
#define AWAKE_H

/* Starts as {.looked = the clock now}. */
struct awake {
    double looked;  /* the clock at the last look, seconds */
    double seconds; /* lived through */
};

/* A look at the clock: what has passed since the last one counts, but for at most a second, since an awake process
 * looks many times in that. Returns the seconds that do not count. */
double awake_look(struct awake *awake, double clock);

#endif
