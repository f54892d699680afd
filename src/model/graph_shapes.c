#include "filteratlas/model/graph.h"

#include <stdlib.h>
#include <string.h>

/* Of one operation, on the shapes of its inputs; false if it can't be. */
typedef bool shape_rule(const struct graph_node *node, const struct graph_shape *in, int inputs,
                        struct graph_shape *out);

int graph_window(int n, int kernel, int stride, int dilation, bool same, int *before) {
    int reach = (kernel - 1) * dilation + 1;
    *before = 0;
    if (!same)
        return n < reach ? 0 : (n - reach) / stride + 1;
    int extent = (n + stride - 1) / stride, total = (extent - 1) * stride + reach - n;
    *before = total > 0 ? total / 2 : 0;
    return extent;
}

static bool window_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                         struct graph_shape *out) {
    int before;
    (void)inputs;
    out->height = graph_window(in->height, node->kernel[0], node->stride[0], node->dilation[0], node->same, &before);
    out->width = graph_window(in->width, node->kernel[1], node->stride[1], node->dilation[1], node->same, &before);
    out->channels = node->channels ? node->channels : in->channels;
    return true;
}

static bool weighted_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                           struct graph_shape *out) {
    return in->channels == node->in_channels && window_shape(node, in, inputs, out);
}

/* What a convolution from the output to the input would have shrunk. */
static int transposed_extent(int n, int kernel, int stride, int dilation, bool same) {
    int reach = (kernel - 1) * dilation + 1;
    return n * stride + (same || reach < stride ? 0 : reach - stride);
}

static bool transposed_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                             struct graph_shape *out) {
    (void)inputs;
    out->height = transposed_extent(in->height, node->kernel[0], node->stride[0], node->dilation[0], node->same);
    out->width = transposed_extent(in->width, node->kernel[1], node->stride[1], node->dilation[1], node->same);
    out->channels = node->channels;
    return in->channels == node->in_channels;
}

static bool dense_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                        struct graph_shape *out) {
    (void)inputs;
    *out = (struct graph_shape){in->height, in->width, node->channels};
    return in->channels == node->in_channels;
}

static bool kept_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                       struct graph_shape *out) {
    (void)inputs;
    *out = *in;
    return !node->in_channels || node->in_channels == in->channels;
}

/* PReLU with a slope for each place holds for the size alone that it was trained at. */
static bool activation_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                             struct graph_shape *out) {
    bool fits = !node->full || (in->height == node->kernel[0] && in->width == node->kernel[1]);
    return fits && kept_shape(node, in, inputs, out);
}

static bool pad_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                      struct graph_shape *out) {
    (void)inputs;
    int sign = node->operation == GRAPH_PAD ? 1 : -1;
    *out = (struct graph_shape){in->height + sign * (node->border[0] + node->border[1]),
                                in->width + sign * (node->border[2] + node->border[3]), in->channels};
    return true;
}

static bool global_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                         struct graph_shape *out) {
    (void)node, (void)inputs;
    *out = (struct graph_shape){1, 1, in->channels};
    return true;
}

static bool upsample_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                           struct graph_shape *out) {
    (void)inputs;
    *out = (struct graph_shape){in->height * node->stride[0], in->width * node->stride[1], in->channels};
    return true;
}

/* The larger of two extents, of which the smaller is 1 if they differ; 0 if they don't fit. */
static int join_extents(int a, int b) { return a == b || b == 1 ? a : a == 1 ? b : 0; }

static bool join_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                       struct graph_shape *out) {
    (void)node;
    *out = in[0];
    for (int i = 1; i < inputs; i++) {
        bool map = (out->height == in[i].height && out->width == in[i].width) ||
                   (out->height == 1 && out->width == 1) || (in[i].height == 1 && in[i].width == 1);
        if (!map)
            return false;
        *out = (struct graph_shape){join_extents(out->height, in[i].height), join_extents(out->width, in[i].width),
                                    join_extents(out->channels, in[i].channels)};
        if (!out->channels)
            return false;
    }
    return true;
}

static bool concatenated_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                               struct graph_shape *out) {
    (void)node;
    *out = in[0];
    for (int i = 1; i < inputs; i++) {
        if (in[i].height != out->height || in[i].width != out->width)
            return false;
        out->channels += in[i].channels;
        if (out->channels > GRAPH_MAX_EXTENT)
            return false;
    }
    return true;
}

static bool flattened_shape(const struct graph_node *node, const struct graph_shape *in, int inputs,
                            struct graph_shape *out) {
    (void)node, (void)inputs;
    double channels = (double)in->height * in->width * in->channels;
    *out = (struct graph_shape){1, 1, channels <= GRAPH_MAX_EXTENT ? (int)channels : 0};
    return true;
}

static shape_rule *const rules[] = {
    [GRAPH_CONVOLUTION] = weighted_shape,
    [GRAPH_DEPTHWISE] = weighted_shape,
    [GRAPH_TRANSPOSED] = transposed_shape,
    [GRAPH_DENSE] = dense_shape,
    [GRAPH_AFFINE] = kept_shape,
    [GRAPH_ACTIVATION] = activation_shape,
    [GRAPH_PAD] = pad_shape,
    [GRAPH_CROP] = pad_shape,
    [GRAPH_MAX_POOLING] = window_shape,
    [GRAPH_AVERAGE_POOLING] = window_shape,
    [GRAPH_GLOBAL_MAX] = global_shape,
    [GRAPH_GLOBAL_AVERAGE] = global_shape,
    [GRAPH_UPSAMPLE] = upsample_shape,
    [GRAPH_ADD] = join_shape,
    [GRAPH_SUBTRACT] = join_shape,
    [GRAPH_MULTIPLY] = join_shape,
    [GRAPH_AVERAGE] = join_shape,
    [GRAPH_MAXIMUM] = join_shape,
    [GRAPH_CONCATENATE] = concatenated_shape,
    [GRAPH_FLATTEN] = flattened_shape,
};

static int refuse_inputs(const struct graph_node *node, const struct graph_shape *in, int inputs, struct error *error) {
    if (inputs == 1)
        return error_set(error, STATUS_USAGE, "%s (%s) doesn't take a map of %d x %d x %d; give another --size",
                         node->name, node->class_name, in->height, in->width, in->channels);
    return error_set(error, STATUS_USAGE,
                     "%s (%s) joins maps of %d x %d x %d and %d x %d x %d, among others; give another --size",
                     node->name, node->class_name, in[0].height, in[0].width, in[0].channels, in[inputs - 1].height,
                     in[inputs - 1].width, in[inputs - 1].channels);
}

static int infer_shape(const struct graph *graph, int n, struct graph_shape *in, struct graph_shape *shapes,
                       struct error *error) {
    const struct graph_node *node = &graph->node[n];
    struct graph_shape *out = &shapes[n];
    for (int i = 0; i < node->inputs; i++)
        in[i] = shapes[graph_input(graph, n, i)];
    if (!rules[node->operation](node, in, node->inputs, out))
        return refuse_inputs(node, in, node->inputs, error);
    if (out->height < 1 || out->width < 1 || out->channels < 1)
        return error_set(error, STATUS_USAGE, "%s (%s) would be empty; give a larger --size", node->name,
                         node->class_name);
    if (out->height > GRAPH_MAX_EXTENT || out->width > GRAPH_MAX_EXTENT)
        return error_set(error, STATUS_USAGE, "%s (%s) would be %d x %d; give a smaller --size", node->name,
                         node->class_name, out->height, out->width);
    return STATUS_OK;
}

static int most_inputs(const struct graph *graph) {
    int most = 1;
    for (int n = 0; n < graph->nodes; n++)
        most = graph->node[n].inputs > most ? graph->node[n].inputs : most;
    return most;
}

int graph_shapes(const struct graph *graph, int height, int width, int target, struct graph_shape *shapes,
                 struct error *error) {
    size_t most = most_inputs(graph);
    struct graph_shape *in = malloc(most * sizeof *in); /* of one node */
    bool *needed = malloc(graph->nodes * sizeof *needed);
    int status = in && needed ? STATUS_OK : error_memory(error, (double)graph->nodes * sizeof *in, "shapes of maps");
    memset(shapes, 0, graph->nodes * sizeof *shapes);
    shapes[0] = (struct graph_shape){height, width, graph->node[0].channels};
    if (!status && target >= 0)
        graph_ancestors(graph, target, needed);
    for (int n = 1; n < graph->nodes && !status; n++)
        if (target < 0 || needed[n])
            status = infer_shape(graph, n, in, shapes, error);
    free(needed);
    free(in);
    return status;
}

static bool has_inputs(const struct graph *graph, int n, const struct graph_shape *shapes) {
    for (int i = 0; i < graph->node[n].inputs; i++)
        if (!shapes[graph_input(graph, n, i)].channels)
            return false;
    return true;
}

int graph_possible_shapes(const struct graph *graph, int height, int width, struct graph_shape *shapes,
                          struct error *error) {
    struct graph_shape *in = malloc((size_t)most_inputs(graph) * sizeof *in);
    struct error ignored;
    if (!in)
        return error_memory(error, (double)graph->nodes * sizeof *in, "shapes of maps");
    memset(shapes, 0, graph->nodes * sizeof *shapes);
    shapes[0] = (struct graph_shape){height, width, graph->node[0].channels};
    for (int n = 1; n < graph->nodes; n++)
        if (has_inputs(graph, n, shapes) && infer_shape(graph, n, in, shapes, &ignored))
            shapes[n] = (struct graph_shape){0, 0, 0};
    free(in);
    return STATUS_OK;
}

int graph_least_extent(const struct graph *graph, int target) {
    enum { MOST = 1024 };
    struct graph_shape *shapes = malloc((size_t)graph->nodes * sizeof *shapes);
    struct error ignored;
    int extent = shapes ? 1 : MOST + 1;
    while (extent <= MOST && graph_shapes(graph, extent, extent, target, shapes, &ignored))
        extent++;
    free(shapes);
    return extent <= MOST ? extent : 0;
}

bool graph_needs_size(const struct graph *graph, int target) {
    bool *needed = malloc((size_t)graph->nodes * sizeof *needed), needs = false;
    if (needed)
        graph_ancestors(graph, target, needed);
    for (int n = 0; n < graph->nodes && needed; n++)
        needs |= needed[n] && (graph->node[n].operation == GRAPH_FLATTEN || graph->node[n].full);
    free(needed);
    return needs;
}

/* --- Costs ------------------------------------------------------------------------------------------------------- */

size_t graph_node_parameters(const struct graph_node *node) {
    size_t taps = (size_t)node->kernel[0] * node->kernel[1], out = node->channels;
    size_t biases = node->bias == GRAPH_NOTHING ? 0 : out;
    switch (node->operation) {
    case GRAPH_CONVOLUTION:
        return taps * (node->in_channels / node->groups) * out + biases;
    case GRAPH_DEPTHWISE:
        return taps * out + biases;
    case GRAPH_TRANSPOSED:
        return taps * node->in_channels * out + biases;
    case GRAPH_DENSE:
        return (size_t)node->in_channels * out + biases;
    case GRAPH_AFFINE:
        return 2 * (size_t)node->in_channels;
    case GRAPH_ACTIVATION:
        return node->function == GRAPH_PRELU ? taps * node->in_channels : 0;
    default:
        return 0;
    }
}

double graph_node_flops(const struct graph *graph, int node, const struct graph_shape *shapes) {
    const struct graph_node *n = &graph->node[node];
    const struct graph_shape *out = &shapes[node];
    double values = (double)out->height * out->width * out->channels, taps = (double)n->kernel[0] * n->kernel[1];
    if (node == 0)
        return 0;
    const struct graph_shape *in = &shapes[graph_input(graph, node, 0)];
    double read = (double)in->height * in->width * in->channels;
    switch (n->operation) {
    case GRAPH_CONVOLUTION:
        return 2 * values * taps * n->in_channels / n->groups;
    case GRAPH_DEPTHWISE:
        return 2 * values * taps;
    case GRAPH_TRANSPOSED:
        return 2 * read * taps * n->channels;
    case GRAPH_DENSE:
        return 2 * values * n->in_channels;
    case GRAPH_MAX_POOLING:
    case GRAPH_AVERAGE_POOLING:
        return values * taps;
    case GRAPH_AFFINE:
        return 2 * values;
    case GRAPH_GLOBAL_MAX:
    case GRAPH_GLOBAL_AVERAGE:
        return read;
    case GRAPH_ADD:
    case GRAPH_SUBTRACT:
    case GRAPH_MULTIPLY:
    case GRAPH_AVERAGE:
    case GRAPH_MAXIMUM:
        return values * (n->inputs - 1);
    default:
        return values;
    }
}

int graph_gradient_flops(const struct graph *graph, int layer, int height, int width, double *flops,
                         struct error *error) {
    struct graph_shape *shapes = malloc((size_t)graph->nodes * sizeof *shapes);
    int status = shapes ? graph_shapes(graph, height, width, graph->node[layer].stage, shapes, error)
                        : error_memory(error, (double)graph->nodes * sizeof *shapes, "shapes of maps");
    *flops = 0;
    for (int n = 0; n < graph->nodes && !status; n++)
        if (shapes[n].channels)
            *flops += 2 * graph_node_flops(graph, n, shapes) / (n >= layer ? shapes[n].channels : 1);
    free(shapes);
    return status;
}
