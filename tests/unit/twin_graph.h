/* The slow twin of a graph: forward in double precision by plain loops, after the definitions in graph.h. */
#ifndef TESTS_TWIN_GRAPH_H
#define TESTS_TWIN_GRAPH_H

#include "filteratlas/model/graph.h"

/* The output of node `target`, [height][width][channels] of *shape, for a picture [height][width][channels]; the caller
 * frees it. A graph whose shapes don't fit fails the test. */
double *twin_graph_forward(const struct graph *graph, int target, int height, int width, const double *picture,
                           struct graph_shape *shape);

#endif
