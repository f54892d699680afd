/* Time, for measurements. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <time.h>

/* Seconds since some moment. */
static inline double clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Keeps the least time that something took: *best = min(*best, now - since). */
static inline void clock_keep_least(double *best, double since) {
    double taken = clock_seconds() - since;
    *best = taken < *best ? taken : *best;
}

#endif
