/* When a command that runs under a time limit stops. */
#ifndef LIMIT_H
#define LIMIT_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "options.h"

/* Seconds of the monotonic clock: no work is begun after the deadline, nothing written after the end. */
struct limit {
    double deadline, end;
};

/* No limit. */
extern const struct limit limit_none;

/* From --time-limit; `start` is when the command began. STATUS_STOPPED if *interrupt said so while Slurm was asked. On
 * rank 0. */
int limit_set(const struct options *options, double start, const struct interrupt *interrupt, struct limit *limit,
              struct error *error);

#endif
