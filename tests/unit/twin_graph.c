#include "twin_graph.h"

#include "twin.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One node at work: its inputs' maps and its own, dense [height][width][channels]. */
struct work {
    const struct graph *graph;
    const struct graph_node *node;
    struct graph_shape in[8], out;
    const double *x[8];
    double *y;
};

static size_t count_of(struct graph_shape s) { return (size_t)s.height * s.width * s.channels; }

static double at(const struct work *w, int input, int y, int x, int c) {
    struct graph_shape s = w->in[input];
    bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
    return inside ? w->x[input][((size_t)y * s.width + x) * s.channels + c] : 0;
}

static double weight_at(const struct work *w, size_t place) { return w->graph->values[w->node->weights + place]; }

static double bias_at(const struct work *w, int c) {
    return w->node->bias == GRAPH_NOTHING ? 0 : w->graph->values[w->node->bias + c];
}

/* Zeros in front, of an axis. */
static int before(const struct work *w, int axis, int extent) {
    int zeros;
    graph_window(extent, w->node->kernel[axis], w->node->stride[axis], w->node->dilation[axis], w->node->same, &zeros);
    return zeros;
}

/* Calls visit for each output value (y, x, c). */
typedef double twin_value(const struct work *w, int y, int x, int c);

static void each(const struct work *w, twin_value *value) {
    double *to = w->y;
    for (int y = 0; y < w->out.height; y++)
        for (int x = 0; x < w->out.width; x++)
            for (int c = 0; c < w->out.channels; c++)
                *to++ = value(w, y, x, c);
}

static double convolution_value(const struct work *w, int y, int x, int c) {
    const struct graph_node *n = w->node;
    int ins = n->in_channels / n->groups, group = c / (n->channels / n->groups);
    int top = before(w, 0, w->in->height), left = before(w, 1, w->in->width);
    double sum = bias_at(w, c);
    for (int i = 0; i < n->kernel[0]; i++)
        for (int j = 0; j < n->kernel[1]; j++)
            for (int k = 0; k < ins; k++)
                sum += at(w, 0, y * n->stride[0] + i * n->dilation[0] - top,
                          x * n->stride[1] + j * n->dilation[1] - left, group * ins + k) *
                       weight_at(w, (((size_t)i * n->kernel[1] + j) * ins + k) * n->channels + c);
    return sum;
}

static double depthwise_value(const struct work *w, int y, int x, int c) {
    const struct graph_node *n = w->node;
    int multiplier = n->channels / n->in_channels;
    int top = before(w, 0, w->in->height), left = before(w, 1, w->in->width);
    double sum = bias_at(w, c);
    for (int i = 0; i < n->kernel[0]; i++)
        for (int j = 0; j < n->kernel[1]; j++)
            sum += at(w, 0, y * n->stride[0] + i * n->dilation[0] - top, x * n->stride[1] + j * n->dilation[1] - left,
                      c / multiplier) *
                   weight_at(w, ((size_t)i * n->kernel[1] + j) * n->channels + c);
    return sum;
}

/* Every input value spread by the kernel: what a convolution from the output to the input would have read. */
static double transposed_value(const struct work *w, int y, int x, int c) {
    const struct graph_node *n = w->node;
    int top = before(w, 0, w->out.height), left = before(w, 1, w->out.width);
    double sum = bias_at(w, c);
    for (int sy = 0; sy < w->in->height; sy++)
        for (int sx = 0; sx < w->in->width; sx++)
            for (int i = 0; i < n->kernel[0]; i++)
                for (int j = 0; j < n->kernel[1]; j++)
                    for (int k = 0; k < n->in_channels; k++)
                        if (sy * n->stride[0] + i * n->dilation[0] - top == y &&
                            sx * n->stride[1] + j * n->dilation[1] - left == x)
                            sum +=
                                at(w, 0, sy, sx, k) *
                                weight_at(w, (((size_t)i * n->kernel[1] + j) * n->channels + c) * n->in_channels + k);
    return sum;
}

static double dense_value(const struct work *w, int y, int x, int c) {
    double sum = bias_at(w, c);
    for (int k = 0; k < w->node->in_channels; k++)
        sum += at(w, 0, y, x, k) * weight_at(w, (size_t)k * w->node->channels + c);
    return sum;
}

static double affine_value(const struct work *w, int y, int x, int c) {
    return at(w, 0, y, x, c) * weight_at(w, c) + bias_at(w, c);
}

static double elu(double x, double alpha) { return x > 0 ? x : alpha * expm1(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double function_value(const struct graph_node *n, double slope, double x) {
    const float *p = n->parameter;
    switch (n->function) {
    case GRAPH_RELU:
        return x >= p[0] ? p[0] : x >= p[2] ? x : p[1] * (x - p[2]);
    case GRAPH_PRELU:
        return x > 0 ? x : slope * x;
    case GRAPH_ELU:
        return elu(x, p[0]);
    case GRAPH_SELU:
        return 1.05070098735548049342 * elu(x, 1.67326324235437728482);
    case GRAPH_SWISH:
        return x * sigmoid(x);
    case GRAPH_GELU:
        return x * 0.5 * (1 + erf(x / sqrt(2)));
    case GRAPH_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case GRAPH_SIGMOID:
        return sigmoid(x);
    case GRAPH_HARD_SIGMOID:
        return clip(p[0] * x + 0.5, 0, 1);
    case GRAPH_TANH:
        return tanh(x);
    case GRAPH_SOFTPLUS:
        return log1p(exp(x));
    case GRAPH_SOFTSIGN:
        return x / (1 + fabs(x));
    case GRAPH_EXPONENTIAL:
        return exp(x);
    default:
        return x;
    }
}

static double activation_value(const struct work *w, int y, int x, int c) {
    double slope = 0, sum = 0;
    if (w->node->function == GRAPH_PRELU)
        slope = weight_at(w, w->node->full ? ((size_t)y * w->out.width + x) * w->out.channels + c : (size_t)c);
    if (w->node->function != GRAPH_SOFTMAX)
        return function_value(w->node, slope, at(w, 0, y, x, c));
    for (int k = 0; k < w->out.channels; k++)
        sum += exp(at(w, 0, y, x, k));
    return exp(at(w, 0, y, x, c)) / sum;
}

static double pad_value(const struct work *w, int y, int x, int c) {
    return at(w, 0, y - w->node->border[0], x - w->node->border[2], c);
}

static double crop_value(const struct work *w, int y, int x, int c) {
    return at(w, 0, y + w->node->border[0], x + w->node->border[2], c);
}

/* Greatest and mean over the part of a window that lies in the map. */
static double pool(const struct work *w, const int from[2], const int extent[2], int c, bool mean) {
    double greatest = -INFINITY, sum = 0;
    int count = 0;
    for (int y = from[0]; y < from[0] + extent[0]; y++)
        for (int x = from[1]; x < from[1] + extent[1]; x++)
            if (y >= 0 && y < w->in->height && x >= 0 && x < w->in->width) {
                greatest = fmax(greatest, at(w, 0, y, x, c));
                sum += at(w, 0, y, x, c);
                count++;
            }
    return mean ? sum / count : greatest;
}

static double pooling_value(const struct work *w, int y, int x, int c) {
    const struct graph_node *n = w->node;
    const int from[2] = {y * n->stride[0] - before(w, 0, w->in->height), x * n->stride[1] - before(w, 1, w->in->width)};
    return pool(w, from, n->kernel, c, n->operation == GRAPH_AVERAGE_POOLING);
}

static double global_value(const struct work *w, int y, int x, int c) {
    const int from[2] = {y, x}, extent[2] = {w->in->height, w->in->width};
    return pool(w, from, extent, c, w->node->operation == GRAPH_GLOBAL_AVERAGE);
}

static double upsampled_value(const struct work *w, int y, int x, int c) {
    const int *factor = w->node->stride;
    if (!w->node->bilinear)
        return at(w, 0, y / factor[0], x / factor[1], c);
    double py = clip((y + 0.5) / factor[0] - 0.5, 0, w->in->height - 1);
    double px = clip((x + 0.5) / factor[1] - 0.5, 0, w->in->width - 1);
    int top = (int)py, left = (int)px;
    double fy = py - top, fx = px - left;
    return (1 - fy) * ((1 - fx) * at(w, 0, top, left, c) + fx * at(w, 0, top, left + 1, c)) +
           fy * ((1 - fx) * at(w, 0, top + 1, left, c) + fx * at(w, 0, top + 1, left + 1, c));
}

static double spread(const struct work *w, int input, int y, int x, int c) {
    struct graph_shape s = w->in[input];
    bool point = s.height == 1 && s.width == 1;
    return at(w, input, point ? 0 : y, point ? 0 : x, s.channels == 1 ? 0 : c);
}

static double joined_value(const struct work *w, int y, int x, int c) {
    double value = spread(w, 0, y, x, c);
    for (int i = 1; i < w->node->inputs; i++) {
        double other = spread(w, i, y, x, c);
        switch (w->node->operation) {
        case GRAPH_SUBTRACT:
            value -= other;
            break;
        case GRAPH_MULTIPLY:
            value *= other;
            break;
        case GRAPH_MAXIMUM:
            value = fmax(value, other);
            break;
        default:
            value += other;
        }
    }
    return w->node->operation == GRAPH_AVERAGE ? value / w->node->inputs : value;
}

static double concatenated_value(const struct work *w, int y, int x, int c) {
    int input = 0;
    while (c >= w->in[input].channels)
        c -= w->in[input++].channels;
    return at(w, input, y, x, c);
}

static double flattened_value(const struct work *w, int y, int x, int c) {
    (void)y, (void)x;
    return w->x[0][c];
}

static twin_value *const rules[] = {
    [GRAPH_CONVOLUTION] = convolution_value,
    [GRAPH_DEPTHWISE] = depthwise_value,
    [GRAPH_TRANSPOSED] = transposed_value,
    [GRAPH_DENSE] = dense_value,
    [GRAPH_AFFINE] = affine_value,
    [GRAPH_ACTIVATION] = activation_value,
    [GRAPH_PAD] = pad_value,
    [GRAPH_CROP] = crop_value,
    [GRAPH_MAX_POOLING] = pooling_value,
    [GRAPH_AVERAGE_POOLING] = pooling_value,
    [GRAPH_GLOBAL_MAX] = global_value,
    [GRAPH_GLOBAL_AVERAGE] = global_value,
    [GRAPH_UPSAMPLE] = upsampled_value,
    [GRAPH_ADD] = joined_value,
    [GRAPH_SUBTRACT] = joined_value,
    [GRAPH_MULTIPLY] = joined_value,
    [GRAPH_AVERAGE] = joined_value,
    [GRAPH_MAXIMUM] = joined_value,
    [GRAPH_CONCATENATE] = concatenated_value,
    [GRAPH_FLATTEN] = flattened_value,
};

static void run_node(const struct graph *graph, int n, const struct graph_shape *shapes, double **maps) {
    struct work w = {.graph = graph, .node = &graph->node[n], .out = shapes[n]};
    for (int i = 0; i < w.node->inputs; i++) {
        w.in[i] = shapes[graph_input(graph, n, i)];
        w.x[i] = maps[graph_input(graph, n, i)];
    }
    w.y = maps[n] = twin_zeros(count_of(w.out));
    each(&w, rules[w.node->operation]);
}

static double channel_mean(struct graph_shape shape, const double *map, int channel) {
    int positions = shape.height * shape.width;
    double sum = 0;
    for (int p = 0; p < positions; p++)
        sum += map[(size_t)p * shape.channels + channel];
    return sum / positions;
}

double twin_graph_loss(const struct graph *graph, int height, int width, int stage, int channel, const double *x) {
    struct graph_shape *shapes = calloc(graph->nodes, sizeof *shapes);
    double **maps = calloc(graph->nodes, sizeof *maps);
    struct error error;
    if (graph_shapes(graph, height, width, stage, shapes, &error))
        fail_msg("%s", error.message);
    maps[0] = (double *)x;
    for (int n = 1; n <= stage; n++)
        if (shapes[n].height)
            run_node(graph, n, shapes, maps);
    double loss = channel_mean(shapes[stage], maps[stage], channel);
    for (int n = 1; n < graph->nodes; n++)
        free(maps[n]);
    free(maps);
    free(shapes);
    return loss;
}

double *twin_graph_gradient(const struct graph *graph, int height, int width, int stage, int channel, const double *x) {
    static const double step = 1e-7; /* seldom across the edge of a ReLU */
    size_t count = (size_t)height * width * graph->node[0].channels;
    double *gradient = twin_zeros(count), *moved = twin_zeros(count);
    memcpy(moved, x, count * sizeof *moved);
    for (size_t i = 0; i < count; i++) {
        moved[i] = x[i] + step;
        double above = twin_graph_loss(graph, height, width, stage, channel, moved);
        moved[i] = x[i] - step;
        gradient[i] = (above - twin_graph_loss(graph, height, width, stage, channel, moved)) / (2 * step);
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
