#include "twin_graph.h"

#include <math.h>
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <string.h>

struct map {
    struct graph_shape shape;
    double *value; /* [height][width][channels] */
};

static double *at(const struct map *map, int y, int x, int c) {
    return &map->value[((size_t)y * map->shape.width + x) * map->shape.channels + c];
}

/* Of a map that may be spread: a single row, column or channel stands for all. */
static double spread(const struct map *map, int y, int x, int c) {
    const struct graph_shape *s = &map->shape;
    return *at(map, s->height == 1 ? 0 : y, s->width == 1 ? 0 : x, s->channels == 1 ? 0 : c);
}

static bool inside(const struct map *map, int y, int x) {
    return y >= 0 && x >= 0 && y < map->shape.height && x < map->shape.width;
}

/* What a window of a convolution or pooling sees: calls `see` for each place of the kernel that lies in the map. */
struct window {
    const struct graph_node *node;
    const float *kernel;
    const struct map *in;
    int channel; /* of the output */
    double sum, most;
    int count;
};

static void see(struct window *w, int tap, int y, int x) {
    const struct graph_node *n = w->node;
    int in = w->in->shape.channels, each = n->groups ? in / n->groups : in;
    w->count++;
    if (n->operation == GRAPH_CONVOLUTION) {
        int first = w->channel / (n->channels / n->groups) * each;
        for (int i = 0; i < each; i++)
            w->sum += *at(w->in, y, x, first + i) * w->kernel[((size_t)tap * each + i) * n->channels + w->channel];
    } else if (n->operation == GRAPH_DEPTHWISE) {
        w->sum += *at(w->in, y, x, w->channel / (n->channels / in)) * w->kernel[(size_t)tap * n->channels + w->channel];
    } else {
        double value = *at(w->in, y, x, w->channel);
        w->sum += value;
        w->most = value > w->most ? value : w->most;
    }
}

static double slide(const struct graph *graph, const struct graph_node *n, const struct map *in, int y, int x, int c) {
    struct window w = {.node = n, .in = in, .channel = c, .most = -INFINITY};
    bool weighs = n->operation == GRAPH_CONVOLUTION || n->operation == GRAPH_DEPTHWISE;
    int above, left;
    w.kernel = weighs ? graph->values + n->weights : NULL;
    graph_window(in->shape.height, n->kernel[0], n->stride[0], n->dilation[0], n->same, &above);
    graph_window(in->shape.width, n->kernel[1], n->stride[1], n->dilation[1], n->same, &left);
    for (int i = 0; i < n->kernel[0]; i++)
        for (int j = 0; j < n->kernel[1]; j++) {
            int row = y * n->stride[0] - above + i * n->dilation[0],
                column = x * n->stride[1] - left + j * n->dilation[1];
            if (inside(in, row, column))
                see(&w, i * n->kernel[1] + j, row, column);
        }
    if (n->operation == GRAPH_MAX_POOLING)
        return w.most;
    if (n->operation == GRAPH_AVERAGE_POOLING)
        return w.sum / w.count;
    return w.sum + (n->bias == GRAPH_NOTHING ? 0 : graph->values[n->bias + c]);
}

/* out[y * stride + i - before] += in[y] * kernel[i], the convolution of that window turned around. */
static void transpose(const struct graph *graph, const struct graph_node *n, const struct map *in, struct map *out) {
    int before[2], channels = n->channels, each = n->in_channels;
    graph_window(out->shape.height, n->kernel[0], n->stride[0], n->dilation[0], n->same, &before[0]);
    graph_window(out->shape.width, n->kernel[1], n->stride[1], n->dilation[1], n->same, &before[1]);
    for (int y = 0; y < out->shape.height; y++)
        for (int x = 0; x < out->shape.width; x++)
            for (int c = 0; c < channels; c++)
                *at(out, y, x, c) = n->bias == GRAPH_NOTHING ? 0 : graph->values[n->bias + c];
    for (int y = 0; y < in->shape.height; y++)
        for (int x = 0; x < in->shape.width; x++)
            for (int i = 0; i < n->kernel[0]; i++)
                for (int j = 0; j < n->kernel[1]; j++) {
                    int row = y * n->stride[0] + i * n->dilation[0] - before[0];
                    int column = x * n->stride[1] + j * n->dilation[1] - before[1];
                    const float *kernel = graph->values + n->weights + (size_t)(i * n->kernel[1] + j) * channels * each;
                    for (int c = 0; inside(out, row, column) && c < channels; c++)
                        for (int k = 0; k < each; k++)
                            *at(out, row, column, c) += *at(in, y, x, k) * kernel[c * each + k];
                }
}

static double dense(const struct graph *graph, const struct graph_node *n, const struct map *in, int y, int x, int c) {
    double sum = n->bias == GRAPH_NOTHING ? 0 : graph->values[n->bias + c];
    for (int i = 0; i < in->shape.channels; i++)
        sum += *at(in, y, x, i) * graph->values[n->weights + (size_t)i * n->channels + c];
    return sum;
}

static double softmax(const struct map *in, int y, int x, int c) {
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < in->shape.channels; i++)
        most = fmax(most, *at(in, y, x, i));
    for (int i = 0; i < in->shape.channels; i++)
        sum += exp(*at(in, y, x, i) - most);
    return exp(*at(in, y, x, c) - most) / sum;
}

static double slope_at(const struct graph *graph, const struct graph_node *n, const struct map *in, int y, int x,
                       int c) {
    size_t place = n->full ? ((size_t)y * in->shape.width + x) * in->shape.channels : 0;
    return graph->values[n->weights + place + c];
}

static double activate(const struct graph *graph, const struct graph_node *n, const struct map *in, int y, int x,
                       int c) {
    double v = *at(in, y, x, c), pi = acos(-1), lambda = 1.0507009873554805, alpha = 1.6732632423543772;
    const float *p = n->parameter;
    switch (n->function) {
    case GRAPH_RELU:
        return v >= p[0] ? p[0] : v >= p[2] ? v : p[1] * (v - p[2]);
    case GRAPH_PRELU:
        return v >= 0 ? v : v * slope_at(graph, n, in, y, x, c);
    case GRAPH_ELU:
        return v >= 0 ? v : p[0] * expm1(v);
    case GRAPH_SELU:
        return lambda * (v >= 0 ? v : alpha * expm1(v));
    case GRAPH_SWISH:
        return v / (1 + exp(-v));
    case GRAPH_GELU:
        return 0.5 * v * (1 + erf(v / sqrt(2)));
    case GRAPH_GELU_TANH:
        return 0.5 * v * (1 + tanh(sqrt(2 / pi) * (v + 0.044715 * v * v * v)));
    case GRAPH_SIGMOID:
        return 1 / (1 + exp(-v));
    case GRAPH_HARD_SIGMOID:
        return fmin(1, fmax(0, p[0] * v + 0.5));
    case GRAPH_TANH:
        return tanh(v);
    case GRAPH_SOFTPLUS:
        return log1p(exp(v));
    case GRAPH_SOFTSIGN:
        return v / (1 + fabs(v));
    case GRAPH_EXPONENTIAL:
        return exp(v);
    case GRAPH_SOFTMAX:
        return softmax(in, y, x, c);
    default:
        return v;
    }
}

static double look_beyond(const struct graph_node *n, const struct map *in, int y, int x, int c) {
    int sign = n->operation == GRAPH_PAD ? 1 : -1;
    y -= sign * n->border[0];
    x -= sign * n->border[2];
    return inside(in, y, x) ? *at(in, y, x, c) : 0;
}

static double globe(const struct graph_node *n, const struct map *in, int c) {
    double sum = 0, most = -INFINITY;
    for (int y = 0; y < in->shape.height; y++)
        for (int x = 0; x < in->shape.width; x++) {
            sum += *at(in, y, x, c);
            most = fmax(most, *at(in, y, x, c));
        }
    return n->operation == GRAPH_GLOBAL_MAX ? most : sum / ((double)in->shape.height * in->shape.width);
}

/* Between the four nearest centres; beyond the outermost the value there. */
static double enlarge(const struct graph_node *n, const struct map *in, int y, int x, int c) {
    if (!n->bilinear)
        return *at(in, y / n->stride[0], x / n->stride[1], c);
    double row = (y + 0.5) / n->stride[0] - 0.5, column = (x + 0.5) / n->stride[1] - 0.5, sum = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int r = (int)floor(row) + i, k = (int)floor(column) + j;
            double weight = (1 - fabs(row - r)) * (1 - fabs(column - k));
            r = r < 0 ? 0 : r >= in->shape.height ? in->shape.height - 1 : r;
            k = k < 0 ? 0 : k >= in->shape.width ? in->shape.width - 1 : k;
            sum += weight * *at(in, r, k, c);
        }
    return sum;
}

static double join(const struct graph_node *n, const struct map *in, int y, int x, int c) {
    double value = spread(&in[0], y, x, c);
    for (int i = 1; i < n->inputs; i++) {
        double other = spread(&in[i], y, x, c);
        value = n->operation == GRAPH_SUBTRACT   ? value - other
                : n->operation == GRAPH_MULTIPLY ? value * other
                : n->operation == GRAPH_MAXIMUM  ? fmax(value, other)
                                                 : value + other;
    }
    return n->operation == GRAPH_AVERAGE ? value / n->inputs : value;
}

static double concatenate(const struct graph_node *n, const struct map *in, int y, int x, int c) {
    int i = 0;
    for (; i + 1 < n->inputs && c >= in[i].shape.channels; i++)
        c -= in[i].shape.channels;
    return *at(&in[i], y, x, c);
}

static double compute(const struct graph *graph, const struct graph_node *n, const struct map *in, int y, int x,
                      int c) {
    switch (n->operation) {
    case GRAPH_CONVOLUTION:
    case GRAPH_DEPTHWISE:
    case GRAPH_MAX_POOLING:
    case GRAPH_AVERAGE_POOLING:
        return slide(graph, n, in, y, x, c);
    case GRAPH_DENSE:
        return dense(graph, n, in, y, x, c);
    case GRAPH_AFFINE:
        return *at(in, y, x, c) * graph->values[n->weights + c] + graph->values[n->bias + c];
    case GRAPH_ACTIVATION:
        return activate(graph, n, in, y, x, c);
    case GRAPH_PAD:
    case GRAPH_CROP:
        return look_beyond(n, in, y, x, c);
    case GRAPH_GLOBAL_MAX:
    case GRAPH_GLOBAL_AVERAGE:
        return globe(n, in, c);
    case GRAPH_UPSAMPLE:
        return enlarge(n, in, y, x, c);
    case GRAPH_CONCATENATE:
        return concatenate(n, in, y, x, c);
    case GRAPH_FLATTEN:
        return in->value[c];
    default:
        return join(n, in, y, x, c);
    }
}

static void fill(const struct graph *graph, const struct graph_node *n, const struct map *in, struct map *out) {
    if (n->operation == GRAPH_TRANSPOSED) {
        transpose(graph, n, in, out);
        return;
    }
    for (int y = 0; y < out->shape.height; y++)
        for (int x = 0; x < out->shape.width; x++)
            for (int c = 0; c < out->shape.channels; c++)
                *at(out, y, x, c) = compute(graph, n, in, y, x, c);
}

static size_t count(const struct graph_shape *shape) { return (size_t)shape->height * shape->width * shape->channels; }

double *twin_graph_forward(const struct graph *graph, int target, int height, int width, const double *picture,
                           struct graph_shape *shape) {
    struct graph_shape *shapes = malloc(graph->nodes * sizeof *shapes);
    struct map *maps = calloc(graph->nodes, sizeof *maps), *in = calloc(graph->inputs + 1, sizeof *in);
    struct error error;
    if (graph_shapes(graph, height, width, target, shapes, &error))
        fail_msg("%s", error.message);
    for (int n = 0; n <= target; n++) {
        if (shapes[n].height == 0)
            continue;
        maps[n].shape = shapes[n];
        maps[n].value = malloc(count(&shapes[n]) * sizeof(double));
        for (int i = 0; i < graph->node[n].inputs; i++)
            in[i] = maps[graph_input(graph, n, i)];
        if (n == 0)
            memcpy(maps[0].value, picture, count(&shapes[0]) * sizeof(double));
        else
            fill(graph, &graph->node[n], in, &maps[n]);
    }
    double *value = maps[target].value;
    *shape = shapes[target];
    maps[target].value = NULL;
    for (int n = 0; n < graph->nodes; n++)
        free(maps[n].value);
    free(maps);
    free(in);
    free(shapes);
    return value;
}
