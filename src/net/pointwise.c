#include "operation.h"

#include <math.h>
#include <string.h>

/* Operations on each position by itself: a factor and a summand for each channel, activations, softmax. */

/* Positions that are treated at a time, so that values are still near for the activation. */
enum { RUN = 64 };

static void scale(const struct operation *o, size_t positions, size_t stride, const float *x, float *y) {
    for (size_t p = 0; p < positions; p++)
        o->loops->multiply(stride, x + p * stride, o->small, y + p * stride);
}

/* A run of positions: RUN of them or what is left. */
static struct activation_rows run_of(const struct operation_call *call, size_t from) {
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    rows.positions = rows.positions - from < RUN ? rows.positions - from : RUN;
    rows.position = from;
    return rows;
}

static void affine_forward(const struct operation_call *call) {
    const struct operation *o = call->operation;
    size_t stride = (size_t)call->out.stride, count = operation_rows(&call->out, call->pictures).positions;
    size_t bytes = activation_note_bytes(&o->activation);
    for (size_t p = 0; p < count; p += RUN) {
        struct activation_rows rows = run_of(call, p);
        float *y = call->y + p * stride;
        scale(o, rows.positions, stride, call->x[0] + p * stride, y);
        activation_forward(&o->activation, &rows, y, o->bias, y, (char *)call->notes + p * stride * bytes);
    }
}

static void affine_backward(const struct operation_call *call) {
    const struct operation *o = call->operation;
    size_t stride = (size_t)call->out.stride, count = operation_rows(&call->out, call->pictures).positions;
    size_t bytes = activation_note_bytes(&o->activation);
    for (size_t p = 0; p < count; p += RUN) {
        struct activation_rows rows = run_of(call, p);
        float *to = call->x_gradient + p * stride;
        activation_backward(&o->activation, &rows, call->y_gradient + p * stride,
                            (char *)call->notes + p * stride * bytes, to);
        scale(o, rows.positions, stride, to, to);
    }
}

static void activate(const struct operation_call *call) {
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    activation_forward(&call->operation->activation, &rows, call->x[0], NULL, call->y, call->notes);
}

static void activate_back(const struct operation_call *call) {
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    activation_backward(&call->operation->activation, &rows, call->y_gradient, call->notes, call->x_gradient);
}

/* --- Softmax, over the channels */

static void softmax_row(int channels, const float *x, float *y) {
    float greatest = x[0];
    double sum = 0;
    for (int c = 1; c < channels; c++)
        greatest = x[c] > greatest ? x[c] : greatest;
    for (int c = 0; c < channels; c++)
        sum += y[c] = expf(x[c] - greatest);
    for (int c = 0; c < channels; c++)
        y[c] = (float)(y[c] / sum);
}

static void softmax(const struct operation_call *call) {
    size_t stride = (size_t)call->out.stride, count = map_floats(&call->out, call->pictures);
    memset(call->y, 0, count * sizeof *call->y);
    for (size_t at = 0; at < count; at += stride)
        softmax_row(call->out.channels, call->x[0] + at, call->y + at);
}

static void softmax_back(const struct operation_call *call) {
    size_t stride = (size_t)call->out.stride, count = map_floats(&call->out, call->pictures);
    memset(call->x_gradient, 0, count * sizeof *call->x_gradient);
    for (size_t at = 0; at < count; at += stride) {
        const float *y = call->y + at, *gradient = call->y_gradient + at;
        double sum = 0;
        for (int c = 0; c < call->out.channels; c++)
            sum += (double)y[c] * gradient[c];
        for (int c = 0; c < call->out.channels; c++)
            call->x_gradient[at + (size_t)c] = (float)(y[c] * (gradient[c] - sum));
    }
}

const struct operation_kind affine_operation = {
    .activates = true, .forward = affine_forward, .backward = affine_backward};
const struct operation_kind activation_operation = {.activates = true, .forward = activate, .backward = activate_back};
const struct operation_kind softmax_operation = {.keeps_output = true, .forward = softmax, .backward = softmax_back};
