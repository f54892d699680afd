#include "filteratlas/model/weights.h"

#include "filteratlas/base/sha256.h"
#include "filteratlas/model/model_file.h"
#include "hdf5_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)WEIGHTS_SHA256_SIZE == (int)SHA256_HEX_SIZE, "a digest fits");

enum { TAPS = 9 }; /* of a 3x3 kernel */

/* A VGG as it is found in a graph. */
struct found {
    const char *path;
    const struct graph *graph;
    int layers;
    int node[VGG_MAX_LAYERS]; /* the convolutions */
    bool pooled[VGG_MAX_LAYERS];
};

/* --- Whether a graph is a VGG's ---------------------------------------------------------------------------------- */

static int refuse_node(const struct found *found, int n, struct error *error) {
    const struct graph_node *node = &found->graph->node[n];
    return error_set(error, STATUS_USAGE,
                     "%s: %s (%s) makes it another network than VGG11, 13, 16 or 19; give the weights of one of these",
                     found->path, node->name, node->class_name);
}

static bool is_convolution(const struct graph_node *node, bool padded) {
    return node->operation == GRAPH_CONVOLUTION && node->kernel[0] == 3 && node->kernel[1] == 3 && node->groups == 1 &&
           node->stride[0] == 1 && node->stride[1] == 1 && node->dilation[0] == 1 && node->dilation[1] == 1 &&
           node->same == !padded;
}

static bool is_padding(const struct graph_node *node) {
    const int *border = node->border;
    return node->operation == GRAPH_PAD && border[0] == 1 && border[1] == 1 && border[2] == 1 && border[3] == 1;
}

static bool is_relu(const struct graph_node *node) {
    return node->operation == GRAPH_ACTIVATION && node->function == GRAPH_RELU && isinf(node->parameter[0]) &&
           node->parameter[1] == 0 && node->parameter[2] == 0;
}

static bool is_pooling(const struct graph_node *node) {
    return node->operation == GRAPH_MAX_POOLING && node->kernel[0] == 2 && node->kernel[1] == 2 &&
           node->stride[0] == 2 && node->stride[1] == 2 && !node->same;
}

static bool ends_convolutions(const struct graph_node *node) {
    return node->operation == GRAPH_FLATTEN || node->operation == GRAPH_GLOBAL_AVERAGE ||
           node->operation == GRAPH_GLOBAL_MAX;
}

/* The next convolution with its padding and its ReLU, from node n on; the node behind them, or -1 and an error. */
static int find_convolution(struct found *found, int n, struct error *error) {
    const struct graph *graph = found->graph;
    bool padded = is_padding(&graph->node[n]);
    int conv = n + padded, relu = conv + 1;
    int odd = conv >= graph->nodes || !is_convolution(&graph->node[conv], padded) ? (padded ? n : conv)
              : relu >= graph->nodes || !is_relu(&graph->node[relu])              ? conv
              : found->layers == VGG_MAX_LAYERS                                   ? conv
                                                                                  : -1;
    if (odd >= 0) {
        refuse_node(found, odd, error);
        return -1;
    }
    found->node[found->layers++] = conv;
    return relu + 1;
}

/* Each node reads the one before it, up to a top. */
static int check_chain(const struct found *found, int end, struct error *error) {
    for (int n = 1; n < end; n++)
        if (found->graph->node[n].inputs != 1 || graph_input(found->graph, n, 0) != n - 1)
            return refuse_node(found, n, error);
    return STATUS_OK;
}

static int find_layers(struct found *found, struct error *error) {
    const struct graph *graph = found->graph;
    int n = 1;
    while (n < graph->nodes && !ends_convolutions(&graph->node[n])) {
        if (found->layers && is_pooling(&graph->node[n]) && !found->pooled[found->layers - 1])
            found->pooled[found->layers - 1] = n++ > 0;
        else if ((n = find_convolution(found, n, error)) < 0)
            return error->status;
    }
    for (int top = n; top < graph->nodes; top++)
        if (graph->node[top].operation == GRAPH_CONVOLUTION || graph->node[top].operation == GRAPH_DEPTHWISE)
            return refuse_node(found, top, error);
    return check_chain(found, n, error);
}

static int make_network(const struct found *found, struct vgg *net, struct error *error) {
    int widths[VGG_MAX_LAYERS];
    struct error why;
    for (int l = 0; l < found->layers; l++)
        widths[l] = found->graph->node[found->node[l]].channels;
    if (found->graph->node[0].channels != VGG_INPUT_CHANNELS)
        return error_set(error, STATUS_USAGE, "%s: takes %d channels; give a VGG network on RGB input", found->path,
                         found->graph->node[0].channels);
    if (vgg_make(found->layers, widths, net, &why))
        return error_set(error, why.status, "%s: %s; give the weights of one of these", found->path, why.message);
    for (int l = 0; l < found->layers; l++) {
        const struct graph_node *node = &found->graph->node[found->node[l]];
        if (widths[l] > VGG_MAX_CHANNELS)
            return error_set(error, STATUS_USAGE, "%s: %s has %d output channels; 1 to %d can be used", found->path,
                             node->name, widths[l], VGG_MAX_CHANNELS);
        if (l + 1 < found->layers && found->pooled[l] != net->layer[l].pooled)
            return error_set(error, STATUS_USAGE,
                             "%s: %s pooling stands behind %s (%s), which makes it another network than %s; give the "
                             "weights of a VGG network",
                             found->path, found->pooled[l] ? "a" : "no", node->name, node->class_name, net->variant);
    }
    return STATUS_OK;
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

static size_t kernel_count(const struct vgg_layer *layer) {
    return (size_t)TAPS * layer->in_channels * layer->out_channels;
}

static size_t layer_offset(const struct vgg *net, int layer) {
    size_t offset = 0;
    for (int l = 0; l < layer; l++)
        offset += vgg_parameters(&net->layer[l]);
    return offset;
}

/* Kernel and bias of each layer, in memory of their own. */
static int copy_values(const struct graph *graph, const int *nodes, struct weights *weights, struct error *error) {
    const struct vgg *net = &weights->net;
    weights->values = calloc(weights->count, sizeof *weights->values);
    if (!weights->values)
        return error_memory(error, (double)weights->count * sizeof *weights->values, "the weights");
    for (int l = 0; l < net->layers; l++) {
        const struct graph_node *node = &graph->node[nodes[l]];
        float *values = weights->values + layer_offset(net, l);
        size_t kernel = kernel_count(&net->layer[l]);
        memcpy(values, graph->values + node->weights, kernel * sizeof *values);
        if (node->bias != GRAPH_NOTHING)
            memcpy(values + kernel, graph->values + node->bias, (size_t)node->channels * sizeof *values);
    }
    return STATUS_OK;
}

/* Whether kernels and biases stand in the graph as struct weights wants them, one behind the other. */
static bool stand_together(const struct graph *graph, const struct vgg *net, const int *nodes) {
    size_t start = graph->node[nodes[0]].weights;
    for (int l = 0; l < net->layers; l++) {
        const struct graph_node *node = &graph->node[nodes[l]];
        size_t place = start + layer_offset(net, l);
        if (node->weights != place || node->bias != place + kernel_count(&net->layer[l]))
            return false;
    }
    return true;
}

/* --- The module -------------------------------------------------------------------------------------------------- */

static int find_network(struct found *found, struct vgg *net, struct error *error) {
    int status = find_layers(found, error);
    return status ? status : make_network(found, net, error);
}

int weights_find_vgg(const struct graph *graph, const char *path, struct vgg *net, int nodes[VGG_MAX_LAYERS],
                     struct error *error) {
    struct found found = {.path = path, .graph = graph};
    int status = find_network(&found, net, error);
    memcpy(nodes, found.node, sizeof found.node);
    return status;
}

static int read_graph(const char *path, struct graph *graph, struct weights *weights, struct error *error) {
    if (graph_fold(graph, error))
        return error->status;
    struct found found = {.path = path, .graph = graph};
    if (find_network(&found, &weights->net, error))
        return error->status;
    weights->count = layer_offset(&weights->net, weights->net.layers);
    return copy_values(graph, found.node, weights, error);
}

int weights_of_graph(const struct graph *graph, struct weights *weights, bool *borrows, struct error *error) {
    int nodes[VGG_MAX_LAYERS];
    if (weights_find_vgg(graph, "the network", &weights->net, nodes, error))
        return error->status;
    weights->count = layer_offset(&weights->net, weights->net.layers);
    *borrows = stand_together(graph, &weights->net, nodes);
    if (!*borrows)
        return copy_values(graph, nodes, weights, error);
    weights->values = graph->values + graph->node[nodes[0]].weights;
    return STATUS_OK;
}

int weights_read(const char *path, const char *config, struct weights *weights, struct error *error) {
    struct model_file model;
    memset(weights, 0, sizeof *weights);
    int status = model_file_read(path, config, true, &model, error);
    if (!status) {
        snprintf(weights->layout, sizeof weights->layout, "%s", model.layout);
        status = read_graph(path, &model.graph, weights, error);
        graph_free(&model.graph);
    }
    if (!status)
        status = model_file_digest(path, config, weights->sha256, error);
    if (status)
        weights_free(weights);
    return status;
}

const float *weights_kernel(const struct weights *weights, int layer) {
    return weights->values + layer_offset(&weights->net, layer);
}

const float *weights_bias(const struct weights *weights, int layer) {
    return weights_kernel(weights, layer) + kernel_count(&weights->net.layer[layer]);
}

void weights_free(struct weights *weights) {
    free(weights->values);
    memset(weights, 0, sizeof *weights);
}
