/* What drawing costs, before anything is drawn: for balanced slices, for the time a job will take. */
#ifndef FILTERATLAS_COST_H
#define FILTERATLAS_COST_H

#include "filteratlas/ascent/ascent.h"
#include "filteratlas/model/vgg.h"

/* What the filters of a layer cost, live ones: a filter that dies on the way costs less. */
struct layer_cost {
    int filters;  /* that there are */
    double flops; /* of direct convolutions, for the picture of one */
    /* Seconds, on the core the rule was fitted to, for drawing so many of them together. Another core differs by a
     * factor that hardly depends on layer and number. */
    double seconds[ASCENT_MAX_BATCH + 1];
};

/* Of a layer of any network, by an executor that could draw it (which needs no tables yet). */
int cost_of_layer(const struct executor *executor, const struct ascent_job *job, int layer, struct layer_cost *cost,
                  struct error *error);

/* Of convolution `layer` of a VGG. */
void cost_of_vgg_layer(const struct vgg *net, const struct ascent_job *job, int layer, struct layer_cost *cost);

/* The seconds of one iteration of `count` filters at one octave. */
int cost_iteration(const struct executor *executor, const struct ascent_job *job, int octave, int layer, int count,
                   double *seconds, struct error *error);

#endif
