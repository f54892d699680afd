/* Time, for measurements. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include "filteratlas/base/clock.h"

/* Keeps the least time that something took: *best = min(*best, now - since). */
static inline void clock_keep_least(double *best, double since) {
    double taken = clock_now() - since;
    *best = taken < *best ? taken : *best;
}

#endif
