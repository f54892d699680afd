#include "operation.h"

#include <string.h>

/* A convolution of each channel by itself. What one position needs is a list of taps, each the place of a row of
 * values and that of its weights; a block of channels then stays in registers from the first tap to the last. Forward
 * and back differ in the lists alone. */

static int multiplier(const struct operation_call *call) { return call->out.channels / call->in->channels; }

static size_t scratch(const struct operation_call *call) {
    struct window w = operation_window(call->operation, call->in, &call->out);
    return (size_t)w.kernel[0] * (size_t)w.kernel[1] * (sizeof(struct loop_tap) / sizeof(float));
}

/* Sums with several outputs of each input channel. */
static void add_multiplied(const struct loop_tap *taps, int tap_count, const float *values, const float *weights,
                           const float *start, int channels, int multiplier, float *out) {
    for (int c = 0; c < channels; c++) {
        float sum = start ? start[c] : 0;
        for (int t = 0; t < tap_count; t++)
            sum += values[taps[t].value + (size_t)(c / multiplier)] * weights[taps[t].weight + (size_t)c];
        out[c] = sum;
    }
}

static void add_multiplied_back(const struct loop_tap *taps, int tap_count, const float *gradients,
                                const float *weights, int channels, int multiplier, float *out) {
    for (int c = 0; c < channels; c++) {
        float sum = 0;
        for (int t = 0; t < tap_count; t++)
            for (int m = c * multiplier; m < (c + 1) * multiplier; m++)
                sum += gradients[taps[t].value + (size_t)m] * weights[taps[t].weight + (size_t)m];
        out[c] = sum;
    }
}

/* Taps inside the map, of the window at output position (y, x). */
static int taps_under(const struct window *w, size_t weight_stride, int y, int x, struct loop_tap *taps) {
    int count = 0;
    for (int i = 0; i < w->kernel[0]; i++)
        for (int j = 0; j < w->kernel[1]; j++) {
            int row = y * w->stride[0] + i * w->dilation[0] - w->before[0];
            int column = x * w->stride[1] + j * w->dilation[1] - w->before[1];
            if (row >= 0 && row < w->height && column >= 0 && column < w->width)
                taps[count++] =
                    (struct loop_tap){((size_t)row * (size_t)w->width + (size_t)column) * (size_t)w->map_stride,
                                      (size_t)(i * w->kernel[1] + j) * weight_stride};
        }
    return count;
}

/* The output position whose tap number `tap` lies at `at`; -1 if there is none. */
static int position_over(int at, int tap, int stride, int dilation, int before, int positions) {
    int from = at + before - tap * dilation;
    return from >= 0 && from % stride == 0 && from / stride < positions ? from / stride : -1;
}

/* The output positions that see the map's (y, x), and by which weights. */
static int taps_over(const struct window *w, size_t weight_stride, size_t out_stride, int y, int x,
                     struct loop_tap *taps) {
    int count = 0;
    for (int i = 0; i < w->kernel[0]; i++) {
        int row = position_over(y, i, w->stride[0], w->dilation[0], w->before[0], w->rows);
        for (int j = 0; row >= 0 && j < w->kernel[1]; j++) {
            int column = position_over(x, j, w->stride[1], w->dilation[1], w->before[1], w->columns);
            if (column >= 0)
                taps[count++] = (struct loop_tap){((size_t)row * (size_t)w->columns + (size_t)column) * out_stride,
                                                  (size_t)(i * w->kernel[1] + j) * weight_stride};
        }
    }
    return count;
}

/* z of one position, and the activation. */
static void compute_position(const struct operation_call *call, const struct loop_tap *taps, int count, const float *x,
                             size_t position, size_t at) {
    const struct operation *o = call->operation;
    size_t bytes = activation_note_bytes(&o->activation);
    struct activation_rows rows = operation_rows(&call->out, 1);
    rows.position = position;
    rows.positions = 1;
    if (multiplier(call) == 1)
        o->loops->add_taps(taps, count, x, o->small, o->bias, (size_t)call->out.stride, call->y + at);
    else
        add_multiplied(taps, count, x, o->small, o->bias, call->out.channels, multiplier(call), call->y + at);
    memset(call->y + at + call->out.channels, 0, (size_t)(call->out.stride - call->out.channels) * sizeof *call->y);
    activation_forward(&o->activation, &rows, call->y + at, NULL, call->y + at, (char *)call->notes + at * bytes);
}

static void forward(const struct operation_call *call) {
    struct window w = operation_window(call->operation, call->in, &call->out);
    struct loop_tap *taps = (void *)call->scratch;
    size_t position = 0, stride = (size_t)call->out.stride;
    for (int picture = 0; picture < call->pictures; picture++)
        for (int y = 0; y < w.rows; y++)
            for (int x = 0; x < w.columns; x++, position++) {
                int count = taps_under(&w, stride, y, x, taps);
                compute_position(call, taps, count, call->x[0] + map_floats(call->in, picture), position,
                                 position * stride);
            }
}

static void backward(const struct operation_call *call) {
    const struct operation *o = call->operation;
    struct window w = operation_window(o, call->in, &call->out);
    struct loop_tap *taps = (void *)call->scratch;
    size_t out_stride = (size_t)call->out.stride;
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    float *to = call->x_gradient;
    activation_backward(&o->activation, &rows, call->y_gradient, call->notes, call->y_gradient);
    memset(to, 0, map_floats(call->in, call->pictures) * sizeof *to);
    for (int picture = 0; picture < call->pictures; picture++) {
        const float *gradient = call->y_gradient + map_floats(&call->out, picture);
        for (int y = 0; y < w.height; y++)
            for (int x = 0; x < w.width; x++, to += w.map_stride) {
                int count = taps_over(&w, out_stride, out_stride, y, x, taps);
                if (multiplier(call) == 1)
                    o->loops->add_taps(taps, count, gradient, o->small, NULL, (size_t)call->in->channels, to);
                else
                    add_multiplied_back(taps, count, gradient, o->small, call->in->channels, multiplier(call), to);
            }
    }
}

const struct operation_kind depthwise_convolution = {
    .activates = true, .one_channel = true, .scratch = scratch, .forward = forward, .backward = backward};
