/* What inspect says of a network that is no VGG: its graph, as Keras's summary() shows a model. */
#ifndef INSPECT_GRAPH_H
#define INSPECT_GRAPH_H

#include "filteratlas/model/graph.h"

/* Prints a line per layer: what it is, its map for a picture of height x width, its weights, what it reads, and of a
 * layer that can be asked for by name how many filters it has and where they are seen. */
int inspect_print_graph(const char *path, const struct graph *graph, int height, int width, struct error *error);

/* As summary() does: "920,123". */
void inspect_print_thousands(int width, size_t number);

#endif
