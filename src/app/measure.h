/* What a job costs on this machine: a short measurement, and the memory it takes. */
#ifndef MEASURE_H
#define MEASURE_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/model.h"

struct measurement {
    double scale;      /* seconds here for a nominal second of cost.h; 0 without a measurement */
    int processes;     /* that measured at once */
    double node_bytes; /* weights and tables, once per node */
    double rank_bytes; /* each rank's own */
};

/* For drawing the chosen layers, chosen[layers.count], in batches of `batch`. With ranks > 0, draws single iterations
 * for about two seconds, on as many cores as so many ranks would take of this machine. */
int measure(const struct model *model, const bool *chosen, const struct ascent_job *job,
            const struct winograd_kernels *kernels, int batch, int ranks, struct measurement *measurement,
            struct error *error);

/* How fast a rank is, in seconds for a nominal one of cost.h: an iteration at the smallest octave for a filter of the
 * last layer that the executor draws, or of one before it whose filter isn't dead. In a run all ranks do so at once, as
 * they will draw. 0 if it was interrupted. */
double measure_rank(struct ascent *ascent, const struct executor *executor, const struct layers *layers,
                    const struct ascent_job *job, const struct interrupt *interrupt);

#endif
