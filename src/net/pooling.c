#include "operation.h"

#include <stdint.h>
#include <string.h>

/* Poolings ignore what lies outside the map: windows are cut at its edges. A maximum's note is the place of the first
 * greatest value, counted over the map's positions. */

/* What of the window lies in the map: half open. */
struct patch {
    int top, bottom, left, right;
};

static int most(int a, int b) { return a > b ? a : b; }
static int least(int a, int b) { return a < b ? a : b; }

static struct patch patch_of(const struct window *w, int y, int x) {
    int top = y * w->stride[0] - w->before[0], left = x * w->stride[1] - w->before[1];
    return (struct patch){most(top, 0), least(top + w->kernel[0], w->height), most(left, 0),
                          least(left + w->kernel[1], w->width)};
}

/* The whole map. */
static struct window whole(const struct map *in) {
    return (struct window){.height = in->height,
                           .width = in->width,
                           .map_stride = in->stride,
                           .rows = 1,
                           .columns = 1,
                           .kernel = {in->height, in->width},
                           .stride = {1, 1}};
}

static struct window window_of(const struct operation_call *call) {
    return operation_window(call->operation, call->in, &call->out);
}

/* One position of a pooling: x the picture, p the patch of it; y and notes, or the gradients, at the position. */
typedef void position_forward(const struct loops *loops, const struct window *w, const struct patch *p, const float *x,
                              float *y, uint32_t *note);
typedef void position_backward(const struct loops *loops, const struct window *w, const struct patch *p,
                               const float *gradient, const uint32_t *note, float *x_gradient);

static void each_forward(const struct operation_call *call, const struct window *w, position_forward *at_position) {
    size_t at = 0;
    for (int picture = 0; picture < call->pictures; picture++)
        for (int y = 0; y < w->rows; y++)
            for (int x = 0; x < w->columns; x++, at += (size_t)w->map_stride) {
                struct patch p = patch_of(w, y, x);
                at_position(call->operation->loops, w, &p, call->x[0] + map_floats(call->in, picture), call->y + at,
                            call->notes ? (uint32_t *)call->notes + at : NULL);
            }
}

static void each_backward(const struct operation_call *call, const struct window *w, position_backward *at_position) {
    size_t at = 0;
    memset(call->x_gradient, 0, map_floats(call->in, call->pictures) * sizeof *call->x_gradient);
    for (int picture = 0; picture < call->pictures; picture++)
        for (int y = 0; y < w->rows; y++)
            for (int x = 0; x < w->columns; x++, at += (size_t)w->map_stride) {
                struct patch p = patch_of(w, y, x);
                at_position(call->operation->loops, w, &p, call->y_gradient + at,
                            call->notes ? (const uint32_t *)call->notes + at : NULL,
                            call->x_gradient + map_floats(call->in, picture));
            }
}

/* --- Maxima */

static void maximum_at(const struct loops *loops, const struct window *w, const struct patch *p, const float *x,
                       float *y, uint32_t *note) {
    size_t channels = (size_t)w->map_stride;
    uint32_t first = (uint32_t)(p->top * w->width + p->left);
    memcpy(y, x + first * channels, channels * sizeof *y);
    for (size_t c = 0; c < channels; c++)
        note[c] = first;
    for (int i = p->top; i < p->bottom; i++)
        for (int j = p->left; j < p->right; j++) {
            uint32_t place = (uint32_t)(i * w->width + j);
            loops->keep_greater(channels, x + place * channels, place, y, note);
        }
}

static void maximum_back(const struct loops *loops, const struct window *w, const struct patch *p,
                         const float *gradient, const uint32_t *note, float *x_gradient) {
    size_t channels = (size_t)w->map_stride;
    (void)loops, (void)p;
    for (size_t c = 0; c < channels; c++)
        x_gradient[note[c] * channels + c] += gradient[c];
}

static void max_forward(const struct operation_call *call) {
    struct window w = window_of(call);
    each_forward(call, &w, maximum_at);
}

static void max_backward(const struct operation_call *call) {
    struct window w = window_of(call);
    each_backward(call, &w, maximum_back);
}

static void global_max_forward(const struct operation_call *call) {
    struct window w = whole(call->in);
    each_forward(call, &w, maximum_at);
}

static void global_max_backward(const struct operation_call *call) {
    struct window w = whole(call->in);
    each_backward(call, &w, maximum_back);
}

/* --- Means */

static float share_of(const struct patch *p) {
    return (float)(1.0 / ((double)(p->bottom - p->top) * (p->right - p->left)));
}

/* A row of the patch at a time is summed by itself, which keeps sums over large patches exact enough. */
static void mean_at(const struct loops *loops, const struct window *w, const struct patch *p, const float *x, float *y,
                    uint32_t *note) {
    enum { BLOCK = 64 };
    int channels = w->map_stride;
    (void)note;
    for (int from = 0; from < channels; from += BLOCK) {
        size_t count = (size_t)least(BLOCK, channels - from);
        float sum[BLOCK] = {0};
        for (int i = p->top; i < p->bottom; i++) {
            float row[BLOCK] = {0};
            for (int j = p->left; j < p->right; j++)
                loops->add_scaled(count, x + (size_t)(i * w->width + j) * (size_t)channels + from, 1, row);
            loops->add_scaled(count, row, 1, sum);
        }
        for (size_t c = 0; c < count; c++)
            y[(size_t)from + c] = sum[c] * share_of(p);
    }
}

static void mean_back(const struct loops *loops, const struct window *w, const struct patch *p, const float *gradient,
                      const uint32_t *note, float *x_gradient) {
    size_t channels = (size_t)w->map_stride;
    (void)note;
    for (int i = p->top; i < p->bottom; i++)
        for (int j = p->left; j < p->right; j++)
            loops->add_scaled(channels, gradient, share_of(p), x_gradient + (size_t)(i * w->width + j) * channels);
}

static void average_forward(const struct operation_call *call) {
    struct window w = window_of(call);
    each_forward(call, &w, mean_at);
}

static void average_backward(const struct operation_call *call) {
    struct window w = window_of(call);
    each_backward(call, &w, mean_back);
}

static void global_average_forward(const struct operation_call *call) {
    struct window w = whole(call->in);
    each_forward(call, &w, mean_at);
}

static void global_average_backward(const struct operation_call *call) {
    struct window w = whole(call->in);
    each_backward(call, &w, mean_back);
}

const struct operation_kind max_pooling = {
    .note_bytes = sizeof(uint32_t), .forward = max_forward, .backward = max_backward};
const struct operation_kind global_max = {
    .note_bytes = sizeof(uint32_t), .forward = global_max_forward, .backward = global_max_backward};
const struct operation_kind average_pooling = {.forward = average_forward, .backward = average_backward};
const struct operation_kind global_average = {.forward = global_average_forward, .backward = global_average_backward};
