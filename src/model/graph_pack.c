#include "filteratlas/model/graph.h"

#include <stdlib.h>
#include <string.h>

static size_t count_bias(const struct graph_node *node) {
    if (node->bias == GRAPH_NOTHING)
        return 0;
    return (size_t)(node->channels ? node->channels : node->in_channels); /* behind a flattened map */
}

static size_t count_weights(const struct graph_node *node) {
    return node->weights == GRAPH_NOTHING ? 0 : graph_node_parameters(node) - count_bias(node);
}

/* The first node that has these weights: a layer may be used several times. */
static int find_first(const struct graph *graph, int n) {
    int first = 0;
    while (graph->node[first].weights != graph->node[n].weights)
        first++;
    return first;
}

/* Copies values to *end, and moves that on; returns their new place. */
static size_t copy(const struct graph *graph, size_t place, size_t count, float *values, size_t *end) {
    size_t to = *end;
    if (place == GRAPH_NOTHING)
        return GRAPH_NOTHING;
    memcpy(values + to, graph->values + place, count * sizeof *values);
    *end += count;
    return to;
}

/* places[nodes][2], of weights and bias; returns the number of all values. */
static size_t copy_all(const struct graph *graph, float *values, size_t (*places)[2]) {
    size_t end = 0;
    for (int n = 1; n < graph->nodes; n++) {
        const struct graph_node *node = &graph->node[n];
        int first = node->weights == GRAPH_NOTHING ? n : find_first(graph, n);
        if (first < n) {
            memcpy(places[n], places[first], sizeof places[n]);
            continue;
        }
        places[n][0] = copy(graph, node->weights, count_weights(node), values, &end);
        places[n][1] = copy(graph, node->bias, count_bias(node), values, &end);
    }
    return end;
}

int graph_pack(struct graph *graph, struct error *error) {
    size_t(*places)[2] = malloc((size_t)graph->nodes * sizeof *places);
    float *values = malloc((graph->value_count + 1) * sizeof *values);
    if (!places || !values) {
        free(places);
        free(values);
        return error_memory(error, (double)graph->value_count * sizeof *values, "the network's weights");
    }
    graph->value_count = copy_all(graph, values, places);
    for (int n = 1; n < graph->nodes; n++) {
        graph->node[n].weights = places[n][0];
        graph->node[n].bias = places[n][1];
    }
    free(places);
    free(graph->values);
    float *fitting = realloc(values, (graph->value_count + 1) * sizeof *values);
    graph->values = fitting ? fitting : values;
    return STATUS_OK;
}
