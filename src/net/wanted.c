#include "wanted.h"

#include <string.h>

/* A channel's weights [taps][count], and the input channels that they are for. */
struct taps {
    struct window window; /* over the whole map, its values from `first` on */
    int first, count;     /* input channels; the map's padding too where they are all of them */
    float *weights;
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

static struct taps take_taps(const struct operation *o, const struct map *in, const struct map *out, int channel,
                             float *memory) {
    struct taps taps = {.window = operation_window(o, in, out), .weights = memory};
    find_inputs(o, channel, in, &taps);
    for (int tap = 0; tap < tap_count(&taps.window); tap++)
        for (int i = 0; i < taps.count; i++)
            taps.weights[tap * taps.count + i] = weight(o, tap, i, channel);
    return taps;
}

size_t wanted_scratch(const struct operation *o, const struct map *in, const struct map *out) {
    struct window w = operation_window(o, in, out);
    return (size_t)tap_count(&w) * (size_t)in->stride;
}

/* The place of a tap of the window at (y, x) in the map; false outside. */
static bool find_value(const struct taps *taps, int y, int x, int tap, size_t *at) {
    const struct window *w = &taps->window;
    int row = y * w->stride[0] + tap / w->kernel[1] * w->dilation[0] - w->before[0];
    int column = x * w->stride[1] + tap % w->kernel[1] * w->dilation[1] - w->before[1];
    *at = ((size_t)row * (size_t)w->width + (size_t)column) * (size_t)w->map_stride + (size_t)taps->first;
    return row >= 0 && row < w->height && column >= 0 && column < w->width;
}

void wanted_forward(const struct operation *o, const struct map *in, const struct map *out, int channel, const float *x,
                    float *z, float *scratch) {
    struct taps taps = take_taps(o, in, out, channel, scratch);
    float bias = o->bias ? o->bias[channel] : 0;
    size_t at;
    for (int row = 0; row < out->height; row++)
        for (int column = 0; column < out->width; column++) {
            float sum = bias;
            for (int tap = 0; tap < tap_count(&taps.window); tap++)
                if (find_value(&taps, row, column, tap, &at))
                    sum += o->loops->dot((size_t)taps.count, x + at, taps.weights + (size_t)tap * (size_t)taps.count);
            *z++ = sum;
        }
}

void wanted_backward(const struct operation *o, const struct map *in, const struct map *out, int channel,
                     const float *z_gradient, float *x_gradient, float *scratch) {
    struct taps taps = take_taps(o, in, out, channel, scratch);
    size_t at;
    memset(x_gradient, 0, map_floats(in, 1) * sizeof *x_gradient);
    for (int row = 0; row < out->height; row++)
        for (int column = 0; column < out->width; column++) {
            float gradient = *z_gradient++;
            for (int tap = 0; tap < tap_count(&taps.window) && gradient != 0; tap++)
                if (find_value(&taps, row, column, tap, &at))
                    o->loops->add_scaled((size_t)taps.count, taps.weights + (size_t)tap * (size_t)taps.count, gradient,
                                         x_gradient + at);
        }
}
