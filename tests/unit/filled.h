/* Networks whose tables stand in memory of their own, filled, for tests and benchmark. A failure ends the process. */
#ifndef TESTS_FILLED_H
#define TESTS_FILLED_H

#include "filteratlas/net/executor.h"

/* As network_place, for layers up to `deepest`. Returns the tables, which the caller frees after network_free. */
void *filled_network(const struct weights *weights, const struct octaves *octaves, int deepest,
                     const struct winograd_kernels *kernels, struct network *network);

/* As executor_make, for one layer, the number of its node. Returns the tables, which the caller frees after
 * executor_free. */
void *filled_executor(const struct graph *graph, const struct octaves *octaves, int layer,
                      const struct winograd_kernels *kernels, struct executor **executor);

/* An executor of a VGG's weights, which are copied. */
struct filled_vgg {
    struct graph graph;
    int node[VGG_MAX_LAYERS]; /* of each convolution */
    struct executor *executor;
    void *tables;
};

/* For convolutions up to `deepest`. Other code points into *vgg: it must stay where it is until filled_vgg_free. */
void filled_vgg_make(const struct weights *weights, const struct octaves *octaves, int deepest,
                     const struct winograd_kernels *kernels, struct filled_vgg *vgg);
void filled_vgg_free(struct filled_vgg *vgg);

#endif
