/* What drawing costs, before anything is drawn: for balanced slices, for the time a job will take. */
#ifndef FILTERATLAS_COST_H
#define FILTERATLAS_COST_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/model/vgg.h"

/* Seconds, on the core the rule was fitted to, for drawing `count` filters of a layer together: [layer][count]. Another
 * core differs by a factor that hardly depends on layer and count. */
struct costs {
    double seconds[VGG_MAX_LAYERS][ASCENT_MAX_BATCH + 1];
};

/* For live filters: a filter that dies on the way costs less. */
void costs_make(const struct vgg *net, const struct ascent_job *job, struct costs *costs);

/* The same for one iteration at one octave. */
double cost_iteration(const struct vgg *net, const struct ascent_job *job, int octave, int layer, int count);

/* The same for a layer of any network, by the executor that is to draw it (which needs no tables yet): one iteration
 * at one octave, and a whole unit of `count` filters. */
int cost_graph_iteration(const struct executor *executor, const struct ascent_job *job, int octave, int layer,
                         int count, double *seconds, struct error *error);
int cost_graph_filters(const struct executor *executor, const struct ascent_job *job, int layer, int count,
                       double *seconds, struct error *error);

#endif
