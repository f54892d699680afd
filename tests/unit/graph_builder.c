#include "graph_builder.h"

#include "twin.h"
#include "twin_graph.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double graph_loss(const struct graph *graph, int height, int width, int stage, int channel, const double *x) {
    struct graph_shape shape;
    double *map = twin_graph_forward(graph, stage, height, width, x, &shape), sum = 0;
    size_t positions = (size_t)shape.height * shape.width;
    for (size_t p = 0; p < positions; p++)
        sum += map[p * shape.channels + channel];
    free(map);
    return sum / positions;
}

double *graph_gradient(const struct graph *graph, int height, int width, int stage, int channel, const double *x) {
    static const double step = 1e-7; /* seldom across the edge of a ReLU */
    size_t count = (size_t)height * width * graph->node[0].channels;
    double *gradient = twin_zeros(count), *moved = twin_zeros(count);
    memcpy(moved, x, count * sizeof *moved);
    for (size_t i = 0; i < count; i++) {
        moved[i] = x[i] + step;
        double above = graph_loss(graph, height, width, stage, channel, moved);
        moved[i] = x[i] - step;
        gradient[i] = (above - graph_loss(graph, height, width, stage, channel, moved)) / (2 * step);
        moved[i] = x[i];
    }
    free(moved);
    return gradient;
}

/* --- Building ----------------------------------------------------------------------------------------------------- */

static int one_if_none(int n) { return n ? n : 1; }

static size_t random_values(struct graph *graph, size_t count, float scale, float middle) {
    struct error error;
    size_t place = graph_reserve(graph, count, &error);
    assert_true(place != GRAPH_NOTHING);
    for (size_t i = 0; i < count; i++)
        graph->values[place + i] = middle + scale * random_float();
    return place;
}

static size_t weight_count(const struct graph_node *n) {
    size_t taps = (size_t)n->kernel[0] * n->kernel[1];
    switch (n->operation) {
    case GRAPH_CONVOLUTION:
        return taps * (n->in_channels / n->groups) * n->channels;
    case GRAPH_DEPTHWISE:
        return taps * n->channels;
    case GRAPH_TRANSPOSED:
        return taps * n->channels * n->in_channels;
    case GRAPH_DENSE:
        return (size_t)n->in_channels * n->channels;
    case GRAPH_AFFINE:
        return n->channels;
    case GRAPH_ACTIVATION:
        return n->function != GRAPH_PRELU ? 0 : n->full ? taps * n->channels : (size_t)n->channels;
    default:
        return 0;
    }
}

/* Of about the same size as what comes in. */
static float weight_scale(const struct graph_node *n, size_t weights) {
    double sums = n->operation == GRAPH_DEPTHWISE    ? (double)n->kernel[0] * n->kernel[1]
                  : n->operation == GRAPH_TRANSPOSED ? (double)weights / n->channels / n->stride[0] / n->stride[1]
                                                     : (double)weights / n->channels;
    return n->operation == GRAPH_AFFINE || n->operation == GRAPH_ACTIVATION ? 0.3F : (float)sqrt(3 / sums);
}

int build_node(struct graph *graph, const struct graph_node *like, const int *inputs, int count) {
    struct graph_node n = *like;
    struct error error;
    snprintf(n.name, sizeof n.name, "n%d", graph->nodes);
    snprintf(n.class_name, sizeof n.class_name, n.operation == GRAPH_AFFINE ? "BatchNormalization" : "Layer");
    n.groups = one_if_none(n.groups);
    for (int axis = 0; axis < 2; axis++) {
        n.kernel[axis] = one_if_none(n.kernel[axis]);
        n.stride[axis] = one_if_none(n.stride[axis]);
        n.dilation[axis] = one_if_none(n.dilation[axis]);
    }
    if (count && !n.in_channels)
        n.in_channels = graph->node[inputs[0]].channels;
    if (!n.channels)
        n.channels = n.in_channels;
    size_t weights = weight_count(&n);
    bool affine = n.operation == GRAPH_AFFINE;
    n.weights = weights ? random_values(graph, weights, weight_scale(&n, weights), affine ? 1 : 0) : GRAPH_NOTHING;
    n.bias = weights && n.operation != GRAPH_ACTIVATION ? random_values(graph, n.channels, 0.3F, 0) : GRAPH_NOTHING;
    if (!weights)
        n.in_channels = 0;
    int number = graph_append(graph, &n, inputs, count, &error);
    if (number < 0)
        fail_msg("%s", error.message);
    return number;
}

int build_after(struct graph *graph, const struct graph_node *like, int input) {
    return build_node(graph, like, &input, 1);
}

int build_input(struct graph *graph, int channels) {
    memset(graph, 0, sizeof *graph);
    return build_node(graph, &(struct graph_node){.operation = GRAPH_INPUT, .channels = channels}, NULL, 0);
}

int build_convolution(struct graph *graph, int input, int kernel, int channels) {
    const struct graph_node like = {
        .operation = GRAPH_CONVOLUTION, .kernel = {kernel, kernel}, .channels = channels, .same = true};
    return build_after(graph, &like, input);
}

int build_activation(struct graph *graph, int input, enum graph_function function) {
    struct graph_node like = {.operation = GRAPH_ACTIVATION, .function = function};
    like.parameter[0] = function == GRAPH_RELU ? INFINITY : function == GRAPH_ELU ? 0.8F : 0.2F;
    return build_after(graph, &like, input);
}

int build_normalisation(struct graph *graph, int input) {
    return build_after(graph, &(struct graph_node){.operation = GRAPH_AFFINE}, input);
}

void build_finish(struct graph *graph) {
    struct error error;
    assert_int_equal(graph_mark_stages(graph, &error), 0);
}
