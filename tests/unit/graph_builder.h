/* Small graphs with random weights, built by hand, and what the slow twin says of them. */
#ifndef TESTS_GRAPH_BUILDER_H
#define TESTS_GRAPH_BUILDER_H

#include "filteratlas/model/graph.h"

/* Mean of a channel of the node `stage` for a picture x [height][width][the input's channels], and its gradient with
 * respect to x by central differences, which the caller frees. */
double graph_loss(const struct graph *graph, int height, int width, int stage, int channel, const double *x);
double *graph_gradient(const struct graph *graph, int height, int width, int stage, int channel, const double *x);

/* Nodes with random weights, appended; each returns its number. What `like` leaves at 0 is that: kernel, stride and
 * dilation are 1, one group, no bias where it says so. Names are "n" and the number. */
int build_input(struct graph *graph, int channels);
int build_node(struct graph *graph, const struct graph_node *like, const int *inputs, int count);
int build_after(struct graph *graph, const struct graph_node *like, int input);
int build_convolution(struct graph *graph, int input, int kernel, int channels);
int build_activation(struct graph *graph, int input, enum graph_function function);
int build_normalisation(struct graph *graph, int input);

/* Graphs are ready once their stages are marked. */
void build_finish(struct graph *graph);

#endif
