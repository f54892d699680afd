#include "filled.h"

#include "filteratlas/base/huge_pages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int status, const struct error *error) {
    if (!status)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static void *allocate(size_t bytes) {
    struct error error;
    void *tables = huge_pages_allocate(bytes);
    must(tables ? STATUS_OK : error_memory(&error, (double)bytes, "the tables"), &error);
    return tables;
}

void *filled_network(const struct weights *weights, const struct octaves *octaves, int deepest,
                     const struct winograd_kernels *kernels, struct network *network) {
    struct error error;
    void *tables = allocate(network_table_bytes(&weights->net, octaves, deepest, kernels));
    must(network_place(weights, octaves, deepest, kernels, tables, network, &error), &error);
    network_fill_tables(network, 0, 1);
    return tables;
}

void *filled_executor(const struct graph *graph, const struct octaves *octaves, int layer,
                      const struct winograd_kernels *kernels, struct executor **executor) {
    struct error error;
    bool *layers = calloc(graph->nodes, sizeof *layers);
    must(layers ? STATUS_OK : error_memory(&error, graph->nodes, "the layers"), &error);
    layers[layer] = true;
    must(executor_make(graph, octaves, layers, kernels, executor, &error), &error);
    free(layers);
    void *tables = allocate(executor_table_bytes(*executor));
    must(executor_place(*executor, tables, &error), &error);
    must(executor_fill_tables(*executor, 0, 1, &error), &error);
    return tables;
}

/* --- A VGG's graph ------------------------------------------------------------------------------------------------ */

static int append(struct graph *graph, struct graph_node node, const char *name) {
    struct error error;
    int before = graph->nodes - 1;
    snprintf(node.name, sizeof node.name, "%s", name);
    int number = graph_append(graph, &node, &before, graph->nodes > 0, &error);
    must(number < 0 ? error.status : STATUS_OK, &error);
    return number;
}

static int append_layer(struct graph *graph, const struct vgg_layer *layer, size_t weights) {
    const struct graph_node convolution = {.operation = GRAPH_CONVOLUTION,
                                           .kernel = {3, 3},
                                           .stride = {1, 1},
                                           .dilation = {1, 1},
                                           .groups = 1,
                                           .same = true,
                                           .in_channels = layer->in_channels,
                                           .channels = layer->out_channels,
                                           .weights = weights,
                                           .bias = weights + vgg_parameters(layer) - layer->out_channels};
    const struct graph_node relu = {.operation = GRAPH_ACTIVATION,
                                    .function = GRAPH_RELU,
                                    .parameter = {INFINITY},
                                    .weights = GRAPH_NOTHING,
                                    .bias = GRAPH_NOTHING};
    const struct graph_node pooling = {.operation = GRAPH_MAX_POOLING,
                                       .kernel = {2, 2},
                                       .stride = {2, 2},
                                       .weights = GRAPH_NOTHING,
                                       .bias = GRAPH_NOTHING};
    int number = append(graph, convolution, layer->name);
    append(graph, relu, layer->name);
    if (layer->pooled)
        append(graph, pooling, "pooling");
    return number;
}

static void make_graph(const struct weights *weights, struct filled_vgg *vgg) {
    const struct graph_node input = {
        .operation = GRAPH_INPUT, .channels = VGG_INPUT_CHANNELS, .weights = GRAPH_NOTHING, .bias = GRAPH_NOTHING};
    struct graph *graph = &vgg->graph;
    struct error error;
    must(graph_reserve(graph, weights->count, &error) == GRAPH_NOTHING ? error.status : STATUS_OK, &error);
    memcpy(graph->values, weights->values, weights->count * sizeof *weights->values);
    append(graph, input, "input");
    for (int l = 0; l < weights->net.layers; l++)
        vgg->node[l] =
            append_layer(graph, &weights->net.layer[l], (size_t)(weights_kernel(weights, l) - weights->values));
    must(graph_mark_stages(graph, &error), &error);
}

void filled_vgg_make(const struct weights *weights, const struct octaves *octaves, int deepest,
                     const struct winograd_kernels *kernels, struct filled_vgg *vgg) {
    *vgg = (struct filled_vgg){0};
    make_graph(weights, vgg);
    vgg->tables = filled_executor(&vgg->graph, octaves, vgg->node[deepest], kernels, &vgg->executor);
}

void filled_vgg_free(struct filled_vgg *vgg) {
    executor_free(vgg->executor);
    graph_free(&vgg->graph);
    free(vgg->tables);
}
