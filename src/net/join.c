#include "operation.h"

#include <string.h>

/* Joins of maps of one size, value by value. An input of 1 x 1 is spread over all positions, one of a single channel
 * over all channels; its gradient is the sum over what it was spread to. */

/* The inputs at one position. */
struct row {
    const float *values;
    size_t step; /* 0 if one channel stands for all */
};

/* y [channels] from the inputs at a position; and the gradient at input `which` of each channel. */
typedef void join_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y);
typedef void gradient_row(const struct operation_call *call, const struct row *rows, size_t channels,
                          const float *gradient, float *out);

static int input_count(const struct operation_call *call) { return operation_node(call->operation)->inputs; }

static bool is_point(const struct map *map) { return map->height == 1 && map->width == 1; }

/* Scratch holds the rows and, for the way back, one row of gradients and one of sums in double precision. */
static size_t rows_floats(const struct operation_call *call) {
    return ((size_t)input_count(call) * sizeof(struct row) + 63) / 64 * 64 / sizeof(float);
}

static size_t scratch(const struct operation_call *call) { return rows_floats(call) + 3 * (size_t)call->out.stride; }

static struct row *rows_of(const struct operation_call *call) { return (void *)call->scratch; }

static void find_rows(const struct operation_call *call, int picture, size_t position, struct row *rows) {
    for (int i = 0; i < input_count(call); i++) {
        const struct map *in = &call->in[i];
        size_t at = is_point(in) ? 0 : position;
        rows[i] = (struct row){call->x[i] + map_floats(in, picture) + at * (size_t)in->stride, in->channels > 1};
        if (call->out.channels == 1)
            rows[i].step = 1;
    }
}

static void join_forward(const struct operation_call *call, join_row *join) {
    struct row *rows = rows_of(call);
    size_t positions = (size_t)call->out.height * (size_t)call->out.width, stride = (size_t)call->out.stride;
    size_t channels = (size_t)call->out.channels;
    float *y = call->y;
    for (int picture = 0; picture < call->pictures; picture++)
        for (size_t p = 0; p < positions; p++, y += stride) {
            find_rows(call, picture, p, rows);
            join(call, rows, channels, y);
            memset(y + channels, 0, (stride - channels) * sizeof *y);
        }
}

static void add_to_sums(size_t channels, const float *from, bool one, double *sums) {
    for (size_t c = 0; c < channels; c++)
        sums[one ? 0 : c] += from[c];
}

/* The gradient of an input that is spread over all positions of a picture. */
static void gather_point(const struct operation_call *call, gradient_row *join, int picture, float *out) {
    const struct map *in = &call->in[call->which];
    struct row *rows = rows_of(call);
    size_t positions = (size_t)call->out.height * (size_t)call->out.width, channels = (size_t)call->out.channels;
    float *gradient = call->scratch + rows_floats(call);
    double *sums = (void *)(gradient + call->out.stride);
    const float *y_gradient = call->y_gradient + map_floats(&call->out, picture);
    memset(sums, 0, channels * sizeof *sums);
    for (size_t p = 0; p < positions; p++, y_gradient += call->out.stride) {
        find_rows(call, picture, p, rows);
        join(call, rows, channels, y_gradient, gradient);
        add_to_sums(channels, gradient, in->channels < call->out.channels, sums);
    }
    for (int c = 0; c < in->channels; c++)
        out[c] = (float)sums[c];
}

/* That of an input with as many positions as the output. */
static void gather_map(const struct operation_call *call, gradient_row *join, int picture, float *out) {
    const struct map *in = &call->in[call->which];
    struct row *rows = rows_of(call);
    size_t positions = (size_t)call->out.height * (size_t)call->out.width, channels = (size_t)call->out.channels;
    float *gradient = call->scratch + rows_floats(call);
    const float *y_gradient = call->y_gradient + map_floats(&call->out, picture);
    bool spread = in->channels < call->out.channels;
    for (size_t p = 0; p < positions; p++, y_gradient += call->out.stride, out += in->stride) {
        find_rows(call, picture, p, rows);
        join(call, rows, channels, y_gradient, spread ? gradient : out);
        if (!spread)
            continue;
        double sum = 0;
        add_to_sums(channels, gradient, true, &sum);
        out[0] = (float)sum;
    }
}

static void join_backward(const struct operation_call *call, gradient_row *join) {
    const struct map *in = &call->in[call->which];
    memset(call->x_gradient, 0, map_floats(in, call->pictures) * sizeof *call->x_gradient);
    for (int picture = 0; picture < call->pictures; picture++) {
        float *out = call->x_gradient + map_floats(in, picture);
        if (is_point(in) && !is_point(&call->out))
            gather_point(call, join, picture, out);
        else
            gather_map(call, join, picture, out);
    }
}

/* --- Sums: addition, subtraction, average */

static float factor_of(const struct operation_call *call, int input) {
    enum graph_operation operation = operation_node(call->operation)->operation;
    if (operation == GRAPH_AVERAGE)
        return 1.F / (float)input_count(call);
    return operation == GRAPH_SUBTRACT && input == 1 ? -1.F : 1.F;
}

static void add_row(const struct row *row, size_t channels, float factor, float *y) {
    if (row->step)
        for (size_t c = 0; c < channels; c++)
            y[c] += factor * row->values[c];
    else
        for (size_t c = 0; c < channels; c++)
            y[c] += factor * row->values[0];
}

static void sum_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y) {
    memset(y, 0, channels * sizeof *y);
    for (int i = 0; i < input_count(call); i++)
        add_row(&rows[i], channels, factor_of(call, i), y);
}

static void sum_row_back(const struct operation_call *call, const struct row *rows, size_t channels,
                         const float *gradient, float *out) {
    float factor = factor_of(call, call->which);
    (void)rows;
    for (size_t c = 0; c < channels; c++)
        out[c] = factor * gradient[c];
}

/* Whether the inputs are two maps like the output: then all of it is one long row. */
static bool is_plain_pair(const struct operation_call *call) {
    const struct map *a = call->in, *out = &call->out;
    bool alike = input_count(call) == 2 && a[0].channels == a[1].channels && a[0].height == a[1].height &&
                 a[0].width == a[1].width;
    return alike && a->height == out->height && a->width == out->width && a->channels == out->channels;
}

static void sum_forward(const struct operation_call *call) {
    size_t count = map_floats(&call->out, call->pictures);
    const float *a = call->x[0], *b = call->x[1];
    if (!is_plain_pair(call) || operation_node(call->operation)->operation != GRAPH_ADD) {
        join_forward(call, sum_row);
        return;
    }
    for (size_t i = 0; i < count; i++)
        call->y[i] = a[i] + b[i];
}

static void sum_backward(const struct operation_call *call) {
    if (is_plain_pair(call))
        sum_row_back(call, NULL, map_floats(&call->out, call->pictures), call->y_gradient, call->x_gradient);
    else
        join_backward(call, sum_row_back);
}

/* --- Products */

static void multiply_row(const struct row *row, size_t channels, float *y) {
    if (row->step)
        for (size_t c = 0; c < channels; c++)
            y[c] *= row->values[c];
    else
        for (size_t c = 0; c < channels; c++)
            y[c] *= row->values[0];
}

static void product_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y) {
    for (size_t c = 0; c < channels; c++)
        y[c] = 1;
    for (int i = 0; i < input_count(call); i++)
        multiply_row(&rows[i], channels, y);
}

static void product_row_back(const struct operation_call *call, const struct row *rows, size_t channels,
                             const float *gradient, float *out) {
    memcpy(out, gradient, channels * sizeof *out);
    for (int i = 0; i < input_count(call); i++)
        if (i != call->which)
            multiply_row(&rows[i], channels, out);
}

static void product_forward(const struct operation_call *call) { join_forward(call, product_row); }
static void product_backward(const struct operation_call *call) { join_backward(call, product_row_back); }

/* --- Maxima; the first of equals gets the gradient */

static float value_at(const struct row *row, size_t channel) { return row->values[channel * row->step]; }

static int first_greatest(const struct operation_call *call, const struct row *rows, size_t channel) {
    int first = 0;
    for (int i = 1; i < input_count(call); i++)
        if (value_at(&rows[i], channel) > value_at(&rows[first], channel))
            first = i;
    return first;
}

static void maximum_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y) {
    for (size_t c = 0; c < channels; c++)
        y[c] = value_at(&rows[first_greatest(call, rows, c)], c);
}

static void maximum_row_back(const struct operation_call *call, const struct row *rows, size_t channels,
                             const float *gradient, float *out) {
    for (size_t c = 0; c < channels; c++)
        out[c] = first_greatest(call, rows, c) == call->which ? gradient[c] : 0;
}

static void maximum_forward(const struct operation_call *call) { join_forward(call, maximum_row); }
static void maximum_backward(const struct operation_call *call) { join_backward(call, maximum_row_back); }

const struct operation_kind sum_join = {.scratch = scratch, .forward = sum_forward, .backward = sum_backward};
const struct operation_kind product_join = {
    .keeps_inputs = true, .scratch = scratch, .forward = product_forward, .backward = product_backward};
const struct operation_kind maximum_join = {
    .keeps_inputs = true, .scratch = scratch, .forward = maximum_forward, .backward = maximum_backward};
