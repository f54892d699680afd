/* The slow twin of any network: a graph's nodes one by one, in double precision and plain loops, forward alone; its
 * gradients are central differences. And what builds small graphs by hand. */
#ifndef TESTS_TWIN_GRAPH_H
#define TESTS_TWIN_GRAPH_H

#include "filteratlas/model/graph.h"

#include <stdbool.h>
#include <stddef.h>

/* Mean of a channel of the node `stage` of a picture x [height][width][the input's channels]. Fails the test where the
 * graph has no shape at that size. */
double twin_graph_loss(const struct graph *graph, int height, int width, int stage, int channel, const double *x);

/* Its gradient with respect to x. The caller frees it. */
double *twin_graph_gradient(const struct graph *graph, int height, int width, int stage, int channel, const double *x);

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
