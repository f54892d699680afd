#include "limit.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/stop.h"

#include <math.h>
#include <time.h>

/* With a margin for the last commits and the files. */
static struct limit before(double end, double margin) { return (struct limit){end - margin, end - margin / 5}; }

const struct limit limit_none = {INFINITY, INFINITY};

int limit_set(const struct options *options, double start, const struct interrupt *interrupt, struct limit *limit,
              struct error *error) {
    static const double margin = 5;
    double seconds = options->time_limit;
    *limit = limit_none;
    if (seconds > 0)
        *limit = before(start + seconds, fmin(margin, seconds / 10));
    if (seconds != OPTIONS_TIME_AUTO)
        return STATUS_OK;
    double end = stop_slurm_end(interrupt);
    if (interrupt_check(interrupt, error))
        return error->status;
    if (end <= 0)
        return error_set(error, STATUS_USAGE, "--time-limit auto: Slurm gives no end of this job; give [H:]M:S");
    *limit = before(clock_now() + (end - (double)time(NULL)), margin);
    return STATUS_OK;
}
