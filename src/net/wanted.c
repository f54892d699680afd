#include "wanted.h"

#include "columns.h"

#include <string.h>

/* What lies under a row of the window at a position: values that stand side by side, one run for all taps of the row if
 * it can be, else one for each tap. */
struct run {
    size_t at, weights; /* floats to the first value and the first weight */
    size_t count;
};

/* A channel's weights [taps][count], and the input channels that they are for. */
struct taps {
    struct window window; /* over the whole map, its values from `first` on */
    int first, count;     /* input channels; the map's padding too where they are all of them */
    float *weights;
    struct run *runs; /* [kernel's width] */
};

static int tap_count(const struct window *w) { return w->kernel[0] * w->kernel[1]; }

/* Input channels that the output channel sees. */
static void find_inputs(const struct operation *o, int channel, const struct map *in, struct taps *taps) {
    const struct graph_node *n = operation_node(o);
    taps->first = 0;
    taps->count = in->stride;
    if (n->operation == GRAPH_DEPTHWISE) {
        taps->first = channel / (n->channels / n->in_channels);
        taps->count = 1;
    } else if (n->groups > 1) {
        taps->count = n->in_channels / n->groups;
        taps->first = channel / (n->channels / n->groups) * taps->count;
    }
}

static float weight(const struct operation *o, int tap, int input, int channel) {
    const struct graph_node *n = operation_node(o);
    int inputs = n->operation == GRAPH_DEPTHWISE ? 1 : n->in_channels / (n->groups > 1 ? n->groups : 1);
    if (input >= inputs)
        return 0;
    size_t row = (size_t)tap * (size_t)inputs + (size_t)input;
    float w = operation_weights(o)[row * (size_t)n->channels + (size_t)channel];
    return o->scale ? w * o->scale[channel] : w;
}

static size_t runs_floats(const struct window *w) {
    return ((size_t)w->kernel[1] * sizeof(struct run) + 63) / 64 * 64 / sizeof(float);
}

static struct taps take_taps(const struct operation *o, const struct map *in, const struct map *out, int channel,
                             float *memory) {
    struct taps taps = {.window = operation_window(o, in, out), .runs = (void *)memory};
    taps.weights = memory + runs_floats(&taps.window);
    find_inputs(o, channel, in, &taps);
    for (int tap = 0; tap < tap_count(&taps.window); tap++)
        for (int i = 0; i < taps.count; i++)
            taps.weights[tap * taps.count + i] = weight(o, tap, i, channel);
    return taps;
}

size_t wanted_scratch(const struct operation *o, const struct map *in, const struct map *out) {
    struct window w = operation_window(o, in, out);
    return runs_floats(&w) + (size_t)tap_count(&w) * (size_t)in->stride;
}

/* Whether taps of a row stand side by side. */
static bool joins_taps(const struct taps *t) { return t->window.dilation[1] == 1 && t->count == t->window.map_stride; }

/* Runs of kernel row `tap_row` for the window at (y, x); returns their number, up to the kernel's width. */
static int find_runs(const struct taps *t, int y, int x, int tap_row, struct run *runs) {
    const struct window *w = &t->window;
    int row = y * w->stride[0] + tap_row * w->dilation[0] - w->before[0], left = x * w->stride[1] - w->before[1];
    int from, to, count = 0;
    if (row < 0 || row >= w->height)
        return 0;
    columns_inside(w, left, &from, &to);
    int step = joins_taps(t) && to > from ? to - from : 1;
    for (int tap = from; tap < to; tap += step) {
        size_t pixel = (size_t)row * (size_t)w->width + (size_t)(left + tap * w->dilation[1]);
        runs[count++] = (struct run){.at = pixel * (size_t)w->map_stride + (size_t)t->first,
                                     .weights = (size_t)(tap_row * w->kernel[1] + tap) * (size_t)t->count,
                                     .count = (size_t)step * (size_t)t->count};
    }
    return count;
}

void wanted_forward(const struct operation *o, const struct map *in, const struct map *out, int channel, const float *x,
                    float *z, float *scratch) {
    struct taps taps = take_taps(o, in, out, channel, scratch);
    float bias = o->bias ? o->bias[channel] : 0;
    for (int row = 0; row < out->height; row++)
        for (int column = 0; column < out->width; column++) {
            float sum = bias;
            for (int tap_row = 0; tap_row < taps.window.kernel[0]; tap_row++) {
                int count = find_runs(&taps, row, column, tap_row, taps.runs);
                for (int i = 0; i < count; i++)
                    sum += o->loops->dot(taps.runs[i].count, x + taps.runs[i].at, taps.weights + taps.runs[i].weights);
            }
            *z++ = sum;
        }
}

/* The same on the way back, of one position. */
static void spread(const struct operation *o, const struct taps *taps, int row, int column, float gradient,
                   float *x_gradient) {
    for (int tap_row = 0; tap_row < taps->window.kernel[0]; tap_row++) {
        int count = find_runs(taps, row, column, tap_row, taps->runs);
        for (int i = 0; i < count; i++)
            o->loops->add_scaled(taps->runs[i].count, taps->weights + taps->runs[i].weights, gradient,
                                 x_gradient + taps->runs[i].at);
    }
}

void wanted_backward(const struct operation *o, const struct map *in, const struct map *out, int channel,
                     const float *z_gradient, float *x_gradient, float *scratch) {
    struct taps taps = take_taps(o, in, out, channel, scratch);
    memset(x_gradient, 0, map_floats(in, 1) * sizeof *x_gradient);
    for (int row = 0; row < out->height; row++)
        for (int column = 0; column < out->width; column++, z_gradient++)
            if (*z_gradient != 0)
                spread(o, &taps, row, column, *z_gradient, x_gradient);
}
