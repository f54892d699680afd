#include "filteratlas/model/graph.h"

#include <math.h>
#include <stdlib.h>

/* A window of k taps, which are `dilation` apart, that begins `before` above its first position. */
static void widen(struct graph_field *field, int axis, int kernel, int stride, int dilation, int before) {
    field->first[axis] -= field->step[axis] * before;
    field->last[axis] += field->step[axis] * ((kernel - 1) * dilation - before);
    field->step[axis] *= stride;
}

/* The reverse: each position of the input is spread over a window of the output. */
static void narrow(struct graph_field *field, int axis, int kernel, int stride, int before) {
    field->step[axis] /= stride;
    field->first[axis] += field->step[axis] * (before - (kernel - 1));
    field->last[axis] += field->step[axis] * before;
}

static int one_at_least(int n) { return n > 0 ? n : 1; }

static void pass_window(const struct graph_node *node, const struct graph_shape *in, struct graph_field *field) {
    const int extent[2] = {in->height, in->width};
    for (int axis = 0; axis < 2; axis++) {
        int kernel = one_at_least(node->kernel[axis]), stride = one_at_least(node->stride[axis]), before;
        int dilation = one_at_least(node->dilation[axis]);
        graph_window(extent[axis], kernel, stride, dilation, node->same, &before);
        if (node->operation == GRAPH_TRANSPOSED)
            narrow(field, axis, kernel, stride, node->same ? (kernel - stride) / 2 : 0);
        else
            widen(field, axis, kernel, stride, dilation, before);
    }
}

static void move(const struct graph_node *node, struct graph_field *field) {
    int sign = node->operation == GRAPH_PAD ? -1 : 1;
    for (int axis = 0; axis < 2; axis++) {
        field->first[axis] += sign * field->step[axis] * node->border[2 * axis];
        field->last[axis] += sign * field->step[axis] * node->border[2 * axis];
    }
}

/* Of a node, from that of what it reads. */
static void pass_node(const struct graph_node *node, const struct graph_shape *in, struct graph_field *field) {
    switch (node->operation) {
    case GRAPH_CONVOLUTION:
    case GRAPH_DEPTHWISE:
    case GRAPH_TRANSPOSED:
    case GRAPH_MAX_POOLING:
    case GRAPH_AVERAGE_POOLING:
        pass_window(node, in, field);
        break;
    case GRAPH_PAD:
    case GRAPH_CROP:
        move(node, field);
        break;
    case GRAPH_UPSAMPLE:
        for (int axis = 0; axis < 2; axis++)
            narrow(field, axis, node->bilinear ? 2 * node->stride[axis] : node->stride[axis], node->stride[axis], 0);
        break;
    case GRAPH_GLOBAL_MAX:
    case GRAPH_GLOBAL_AVERAGE:
    case GRAPH_FLATTEN:
        for (int axis = 0; axis < 2; axis++) {
            field->first[axis] = -INFINITY;
            field->last[axis] = INFINITY;
        }
        break;
    default:
        break;
    }
}

/* Whether a single value is spread over a map, as a gate's is: it says how much, not where. */
static bool is_spread(const struct graph_shape *in, const struct graph_shape *out) {
    return in->height * in->width == 1 && out->height * out->width > 1;
}

static struct graph_field field_of(const struct graph *graph, int n, const struct graph_shape *shapes,
                                   const struct graph_field *fields) {
    struct graph_field field = {{1, 1}, {INFINITY, INFINITY}, {-INFINITY, -INFINITY}};
    for (int i = 0; i < graph->node[n].inputs; i++) {
        int input = graph_input(graph, n, i);
        if (is_spread(&shapes[input], &shapes[n]) && graph->node[n].inputs > 1)
            continue;
        for (int axis = 0; axis < 2; axis++) {
            field.step[axis] = fields[input].step[axis];
            field.first[axis] = fmin(field.first[axis], fields[input].first[axis]);
            field.last[axis] = fmax(field.last[axis], fields[input].last[axis]);
        }
    }
    pass_node(&graph->node[n], &shapes[graph_input(graph, n, 0)], &field);
    return field;
}

int graph_find_field(const struct graph *graph, int target, int height, int width, struct graph_field *field,
                     struct error *error) {
    struct graph_shape *shapes = malloc((size_t)graph->nodes * sizeof *shapes);
    struct graph_field *fields = malloc((size_t)graph->nodes * sizeof *fields);
    int status = shapes && fields ? graph_shapes(graph, height, width, target, shapes, error)
                                  : error_memory(error, graph->nodes * (double)sizeof *fields, "the network's layers");
    if (!status)
        fields[0] = (struct graph_field){{1, 1}, {0, 0}, {0, 0}};
    for (int n = 1; n <= target && !status; n++)
        if (shapes[n].channels)
            fields[n] = field_of(graph, n, shapes, fields);
    if (!status)
        *field = fields[target];
    free(shapes);
    free(fields);
    return status;
}
