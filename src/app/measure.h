/* What a job costs on this machine: a short measurement, and the memory it takes. */
#ifndef MEASURE_H
#define MEASURE_H

#include "filteratlas/ascent.h"
#include "filteratlas/weights.h"

struct measurement {
    double scale;      /* seconds here for a nominal second of cost.h; 0 without a measurement */
    double node_bytes; /* weights and tables, once per node */
    double rank_bytes; /* each rank's own */
};

/* For drawing layers up to `deepest` in batches of `batch`. With `timed`, draws single iterations for about two
 * seconds. */
int measure(const struct weights *weights, const struct ascent_job *job, int deepest, int batch, bool timed,
            struct measurement *measurement, struct error *error);

#endif
