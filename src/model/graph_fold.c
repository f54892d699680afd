#include "filteratlas/model/graph.h"

#include <stdlib.h>
#include <string.h>

static bool is_linear(enum graph_operation operation) {
    return operation == GRAPH_CONVOLUTION || operation == GRAPH_DEPTHWISE || operation == GRAPH_TRANSPOSED ||
           operation == GRAPH_DENSE;
}

static size_t count_kernel(const struct graph_node *node) {
    size_t taps = (size_t)node->kernel[0] * node->kernel[1];
    switch (node->operation) {
    case GRAPH_DENSE:
        return (size_t)node->in_channels * node->channels;
    case GRAPH_DEPTHWISE:
        return taps * node->channels;
    case GRAPH_CONVOLUTION:
        return taps * (node->in_channels / node->groups) * node->channels;
    default:
        return taps * node->in_channels * node->channels;
    }
}

/* Whether another node, a second use of the same layer, has the same kernel. */
static bool is_shared(const struct graph *graph, int n) {
    for (int other = 0; other < graph->nodes; other++)
        if (other != n && graph->node[other].weights == graph->node[n].weights &&
            is_linear(graph->node[other].operation))
            return true;
    return false;
}

/* Gives a node a kernel of its own, and a bias. */
static int own_values(struct graph *graph, int n, struct error *error) {
    struct graph_node *node = &graph->node[n];
    bool shared = is_shared(graph, n);
    size_t kernel = shared ? count_kernel(node) : 0, bias = shared || node->bias == GRAPH_NOTHING ? node->channels : 0;
    size_t place = kernel + bias ? graph_reserve(graph, kernel + bias, error) : 0;
    if (place == GRAPH_NOTHING)
        return error->status;
    if (bias && node->bias != GRAPH_NOTHING)
        memcpy(graph->values + place + kernel, graph->values + node->bias, bias * sizeof *graph->values);
    else if (bias)
        memset(graph->values + place + kernel, 0, bias * sizeof *graph->values);
    if (kernel) {
        memcpy(graph->values + place, graph->values + node->weights, kernel * sizeof *graph->values);
        node->weights = place;
    }
    if (bias)
        node->bias = place + kernel;
    return STATUS_OK;
}

/* Puts the affine node's scale and shift into the kernel and bias of the node that it reads. */
static int fold_node(struct graph *graph, const struct graph_node *affine, int n, struct error *error) {
    if (own_values(graph, n, error))
        return error->status;
    struct graph_node *node = &graph->node[n];
    const float *scale = graph->values + affine->weights, *shift = graph->values + affine->bias;
    float *kernel = graph->values + node->weights, *bias = graph->values + node->bias;
    size_t count = count_kernel(node), channels = node->channels;
    size_t run = node->operation == GRAPH_TRANSPOSED ? node->in_channels : 1; /* of one output channel's numbers */
    for (size_t i = 0; i < count; i++)
        kernel[i] *= scale[i / run % channels];
    for (size_t c = 0; c < channels; c++)
        bias[c] = (float)((double)bias[c] * scale[c] + shift[c]);
    node->consumers = affine->consumers;
    return STATUS_OK;
}

static bool can_fold(const struct graph *graph, int n) {
    const struct graph_node *node = &graph->node[n];
    if (node->operation != GRAPH_AFFINE)
        return false;
    const struct graph_node *input = &graph->node[graph_input(graph, n, 0)];
    return is_linear(input->operation) && input->consumers == 1;
}

/* Takes nodes out whose number in `moved` is that of their input. */
static void close_gaps(struct graph *graph, int *moved, const bool *folded) {
    int kept = 0, inputs = 0;
    for (int n = 0; n < graph->nodes; n++) {
        struct graph_node node = graph->node[n];
        if (folded[n]) {
            moved[n] = moved[graph_input(graph, n, 0)];
            continue;
        }
        int first = inputs;
        for (int i = 0; i < node.inputs; i++)
            graph->input[inputs++] = moved[graph->input[node.first_input + i]];
        node.first_input = first;
        moved[n] = kept;
        graph->node[kept++] = node;
    }
    graph->nodes = kept;
    graph->inputs = inputs;
}

int graph_fold(struct graph *graph, struct error *error) {
    bool *folded = calloc(graph->nodes, sizeof *folded);
    int *moved = calloc(graph->nodes, sizeof *moved);
    int status = folded && moved ? STATUS_OK : error_memory(error, (double)graph->nodes * sizeof *moved, "layers");
    for (int n = 0; n < graph->nodes && !status; n++) {
        int input = n ? graph_input(graph, n, 0) : 0;
        folded[n] = can_fold(graph, n) && !folded[input];
        if (folded[n])
            status = fold_node(graph, &graph->node[n], input, error);
    }
    if (!status)
        close_gaps(graph, moved, folded);
    free(folded);
    free(moved);
    return status ? status : graph_mark_stages(graph, error);
}
