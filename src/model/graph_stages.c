#include "filteratlas/model/graph.h"

#include <stdlib.h>
#include <string.h>

static bool is_convolution(enum graph_operation operation) {
    return operation == GRAPH_CONVOLUTION || operation == GRAPH_DEPTHWISE || operation == GRAPH_TRANSPOSED;
}

static bool is_join(enum graph_operation operation) { return operation >= GRAPH_ADD && operation <= GRAPH_CONCATENATE; }

/* Whether a node is a later part of the same layer as the node it reads: a convolution's own activation, say. */
static bool continues_layer(const struct graph *graph, int n) {
    return n > 0 && !strcmp(graph->node[n].name, graph->node[graph_input(graph, n, 0)].name);
}

/* only[n]: the one node that reads n, -1 if none or several do. */
static void find_readers(const struct graph *graph, int *only) {
    for (int n = 0; n < graph->nodes; n++) {
        only[n] = -1;
        for (int i = 0; i < graph->node[n].inputs; i++) {
            int input = graph_input(graph, n, i);
            only[input] = graph->node[input].consumers == 1 ? n : -1;
        }
    }
}

/* Whether a person can ask for the node: a convolution that is not the first half of a separable one, a dense layer, a
 * join, an activation that is a layer of its own. */
static bool can_be_asked_for(const struct graph *graph, int n, const int *only) {
    enum graph_operation operation = graph->node[n].operation;
    if (is_convolution(operation))
        return only[n] < 0 || !is_convolution(graph->node[only[n]].operation) || !continues_layer(graph, only[n]);
    if (operation == GRAPH_ACTIVATION)
        return !continues_layer(graph, n);
    return operation == GRAPH_DENSE || is_join(operation);
}

/* From the node on through batch normalisation to an activation, as long as nobody else reads what lies between. */
static int find_stage(const struct graph *graph, int n, const int *only) {
    while (graph->node[n].operation != GRAPH_ACTIVATION && only[n] >= 0) {
        const struct graph_node *next = &graph->node[only[n]];
        bool normalises = next->operation == GRAPH_AFFINE && !strncmp(next->class_name, "BatchNorm", 9);
        if (!normalises && next->operation != GRAPH_ACTIVATION)
            break;
        n = only[n];
    }
    return n;
}

int graph_mark_stages(struct graph *graph, struct error *error) {
    int number = 0;
    int *only = malloc(graph->nodes * sizeof *only);
    if (!only)
        return error_memory(error, (double)graph->nodes * sizeof *only, "the network's layers");
    find_readers(graph, only);
    for (int n = 0; n < graph->nodes; n++)
        graph->node[n].stage = can_be_asked_for(graph, n, only) ? find_stage(graph, n, only) : -1;
    for (int others = 0; others < 2; others++)
        for (int n = 0; n < graph->nodes; n++)
            if (graph->node[n].stage >= 0 && is_convolution(graph->node[n].operation) != others)
                graph->node[n].number = number++;
    free(only);
    return STATUS_OK;
}
