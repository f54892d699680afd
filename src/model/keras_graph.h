/* From a model's description and its weights to a graph. */
#ifndef MODEL_KERAS_GRAPH_H
#define MODEL_KERAS_GRAPH_H

#include "keras_operations.h"

/* Fills context->graph, which is empty, with the nodes of a model whose weights are found. What isn't known is left out
 * with all behind it, and named in graph->left_out; a convolution that would be left out is STATUS_USAGE. */
int keras_graph_make(struct keras_context *context, const struct keras_model *model, struct error *error);

#endif
