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

static size_t positions_of(const struct map *map) { return (size_t)map->height * (size_t)map->width; }

static bool is_point(const struct map *map) { return map->height == 1 && map->width == 1; }

/* Scratch holds the rows and, for the way back, three rows of numbers: sums in double precision, the gradient at the
 * output before its activation, that at an input. */
static size_t rows_floats(const struct operation_call *call) {
    return ((size_t)input_count(call) * sizeof(struct row) + 63) / 64 * 64 / sizeof(float);
}

static size_t scratch(const struct operation_call *call) { return rows_floats(call) + 4 * (size_t)call->out.stride; }

static double *sums_of(const struct operation_call *call) { return (void *)(call->scratch + rows_floats(call)); }

static float *pulled_of(const struct operation_call *call) { return (void *)(sums_of(call) + call->out.stride); }

static float *gradient_of(const struct operation_call *call) { return pulled_of(call) + call->out.stride; }

/* Positions from one on, counted over all pictures. */
static struct activation_rows positions_from(const struct operation_call *call, size_t position, size_t count) {
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    rows.position = position;
    rows.positions = count;
    return rows;
}

static void activate(const struct operation_call *call, size_t position, size_t count) {
    const struct activation *a = &call->operation->activation;
    struct activation_rows rows = positions_from(call, position, count);
    size_t at = position * rows.out_stride;
    activation_forward(a, &rows, call->y + at, NULL, call->y + at, (char *)call->notes + at * activation_note_bytes(a));
}

/* The gradient before the activation, of positions from one on. */
static void pull(const struct operation_call *call, size_t position, size_t count, float *out) {
    const struct activation *a = &call->operation->activation;
    struct activation_rows rows = positions_from(call, position, count);
    size_t at = position * rows.out_stride;
    activation_backward(a, &rows, call->y_gradient + at, (char *)call->notes + at * activation_note_bytes(a), out);
}

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
    size_t positions = positions_of(&call->out), stride = (size_t)call->out.stride;
    size_t channels = (size_t)call->out.channels, at = 0;
    for (int picture = 0; picture < call->pictures; picture++)
        for (size_t p = 0; p < positions; p++, at++) {
            float *y = call->y + at * stride;
            find_rows(call, picture, p, rows);
            join(call, rows, channels, y);
            memset(y + channels, 0, (stride - channels) * sizeof *y);
            activate(call, at, 1);
        }
}

/* The gradient at the input, at one position of the output. */
static void pull_row(const struct operation_call *call, gradient_row *join, int picture, size_t p, float *out) {
    struct row *rows = rows_of(call);
    float *pulled = pulled_of(call);
    pull(call, (size_t)picture * positions_of(&call->out) + p, 1, pulled);
    find_rows(call, picture, p, rows);
    join(call, rows, (size_t)call->out.channels, pulled, out);
}

static void add_to_sums(const float *from, int channels, bool one, double *sums) {
    for (int c = 0; c < channels; c++)
        sums[one ? 0 : c] += from[c];
}

/* The gradient of an input that is spread over all positions of a picture. */
static void gather_point(const struct operation_call *call, gradient_row *join, int picture, float *out) {
    const struct map *in = &call->in[call->which];
    float *gradient = gradient_of(call);
    double *sums = sums_of(call);
    memset(sums, 0, (size_t)call->out.channels * sizeof *sums);
    for (size_t p = 0; p < positions_of(&call->out); p++) {
        pull_row(call, join, picture, p, gradient);
        add_to_sums(gradient, call->out.channels, in->channels < call->out.channels, sums);
    }
    for (int c = 0; c < in->channels; c++)
        out[c] = (float)sums[c];
}

/* That of an input with as many positions as the output. */
static void gather_map(const struct operation_call *call, gradient_row *join, int picture, float *out) {
    const struct map *in = &call->in[call->which];
    float *gradient = gradient_of(call);
    bool spread = in->channels < call->out.channels;
    for (size_t p = 0; p < positions_of(&call->out); p++, out += in->stride) {
        double sum = 0;
        pull_row(call, join, picture, p, spread ? gradient : out);
        if (spread) {
            add_to_sums(gradient, call->out.channels, true, &sum);
            out[0] = (float)sum;
        }
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

static void add_row(const struct loops *loops, const struct row *row, size_t channels, float factor, float *y) {
    for (size_t c = 0; !row->step && c < channels; c++)
        y[c] += factor * row->values[0];
    if (row->step)
        loops->add_scaled(channels, row->values, factor, y);
}

static void sum_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y) {
    memset(y, 0, channels * sizeof *y);
    for (int i = 0; i < input_count(call); i++)
        add_row(call->operation->loops, &rows[i], channels, factor_of(call, i), y);
}

static void sum_row_back(const struct operation_call *call, const struct row *rows, size_t channels,
                         const float *gradient, float *out) {
    (void)rows;
    call->operation->loops->scale(channels, gradient, factor_of(call, call->which), out);
}

/* Whether the inputs are two maps like the output, to be added: then rows are as long as one likes. */
static bool is_plain_sum(const struct operation_call *call) {
    const struct map *out = &call->out;
    bool alike = input_count(call) == 2 && operation_node(call->operation)->operation == GRAPH_ADD;
    for (int i = 0; i < 2; i++)
        alike &= call->in[i].height == out->height && call->in[i].width == out->width &&
                 call->in[i].channels == out->channels;
    return alike;
}

/* Positions of which the values are still near when the activation comes. */
enum { RUN = 16 };

static size_t run_length(size_t from, size_t count) { return count - from < RUN ? count - from : RUN; }

static void sum_forward(const struct operation_call *call) {
    size_t count = (size_t)call->pictures * positions_of(&call->out), stride = (size_t)call->out.stride;
    if (!is_plain_sum(call)) {
        join_forward(call, sum_row);
        return;
    }
    for (size_t p = 0; p < count; p += RUN) {
        size_t run = run_length(p, count), at = p * stride;
        call->operation->loops->sum(run * stride, call->x[0] + at, call->x[1] + at, call->y + at);
        activate(call, p, run);
    }
}

static void sum_backward(const struct operation_call *call) {
    if (is_plain_sum(call))
        pull(call, 0, (size_t)call->pictures * positions_of(&call->out), call->x_gradient);
    else
        join_backward(call, sum_row_back);
}

/* --- Products */

static void multiply_row(const struct loops *loops, const struct row *row, size_t channels, float *y) {
    if (row->step)
        loops->multiply(channels, y, row->values, y);
    else
        loops->scale(channels, y, row->values[0], y);
}

static void product_row(const struct operation_call *call, const struct row *rows, size_t channels, float *y) {
    for (size_t c = 0; c < channels; c++)
        y[c] = 1;
    for (int i = 0; i < input_count(call); i++)
        multiply_row(call->operation->loops, &rows[i], channels, y);
}

static void product_row_back(const struct operation_call *call, const struct row *rows, size_t channels,
                             const float *gradient, float *out) {
    memcpy(out, gradient, channels * sizeof *out);
    for (int i = 0; i < input_count(call); i++)
        if (i != call->which)
            multiply_row(call->operation->loops, &rows[i], channels, out);
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

const struct operation_kind sum_join = {
    .activates = true, .scratch = scratch, .forward = sum_forward, .backward = sum_backward};
const struct operation_kind product_join = {.activates = true,
                                            .keeps_inputs = true,
                                            .scratch = scratch,
                                            .forward = product_forward,
                                            .backward = product_backward};
const struct operation_kind maximum_join = {.activates = true,
                                            .keeps_inputs = true,
                                            .scratch = scratch,
                                            .forward = maximum_forward,
                                            .backward = maximum_backward};
