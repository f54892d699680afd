#include "activation.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

bool activation_is_relu(const struct activation *a) {
    return a->function == GRAPH_RELU && a->parameter[0] == INFINITY && a->parameter[1] == 0 && a->parameter[2] == 0;
}

static loop_activation *row_of(const struct activation *a) {
    if (a->function != GRAPH_RELU || activation_is_relu(a))
        return a->loops->activation[a->function];
    return a->parameter[1] == 0 ? a->loops->bounded_relu : a->loops->bent_relu;
}

size_t activation_note_bytes(const struct activation *a) {
    if (a->function == GRAPH_LINEAR)
        return 0;
    return a->function == GRAPH_RELU && a->parameter[1] == 0 ? sizeof(uint8_t) : sizeof(float);
}

static const float *slopes_of(const struct activation *a, size_t position, int channel) {
    if (a->function != GRAPH_PRELU)
        return NULL;
    return a->slopes + (a->full ? position * (size_t)a->channels : 0) + channel;
}

/* Rows that follow each other without gaps, and don't differ, are as good as one. */
static bool is_one_row(const struct activation *a, const struct activation_rows *rows, const float *bias) {
    size_t channels = (size_t)rows->channels;
    return !bias && a->function != GRAPH_PRELU && rows->z_stride == channels && rows->out_stride == channels;
}

/* Channels of rows that reach into the padding, where PReLU has no slopes. */
static size_t channels_of(const struct activation *a, const struct activation_rows *rows) {
    bool beyond = a->function == GRAPH_PRELU && rows->channel + rows->channels > a->channels;
    return (size_t)(beyond ? a->channels - rows->channel : rows->channels);
}

void activation_forward(const struct activation *a, const struct activation_rows *rows, const float *z,
                        const float *bias, float *out, void *notes) {
    loop_activation *row = row_of(a);
    size_t bytes = activation_note_bytes(a);
    if (is_one_row(a, rows, bias)) {
        row(a->parameter, rows->positions * (size_t)rows->channels, NULL, z, bias, out, notes);
        return;
    }
    size_t count = channels_of(a, rows), padding = (size_t)rows->channels - count;
    for (size_t p = 0; p < rows->positions; p++) {
        size_t at = (rows->position + p) % (size_t)rows->map_positions, to = p * rows->out_stride;
        row(a->parameter, count, slopes_of(a, at, rows->channel), z + p * rows->z_stride, bias, out + to,
            (char *)notes + to * bytes);
        memset(out + to + count, 0, padding * sizeof *out);
        memset((char *)notes + (to + count) * bytes, 0, padding * bytes);
    }
}

static void row_back(const struct activation *a, size_t count, const float *out_gradient, const char *notes,
                     float *z_gradient) {
    size_t bytes = activation_note_bytes(a);
    if (bytes == sizeof(uint8_t))
        a->loops->open_gates(count, out_gradient, (const uint8_t *)notes, z_gradient);
    else if (bytes)
        a->loops->multiply(count, out_gradient, (const float *)(const void *)notes, z_gradient);
    else if (z_gradient != out_gradient)
        memcpy(z_gradient, out_gradient, count * sizeof *z_gradient);
}

void activation_backward(const struct activation *a, const struct activation_rows *rows, const float *out_gradient,
                         const void *notes, float *z_gradient) {
    size_t bytes = activation_note_bytes(a), channels = (size_t)rows->channels;
    if (rows->z_stride == channels && rows->out_stride == channels) {
        row_back(a, rows->positions * channels, out_gradient, notes, z_gradient);
        return;
    }
    for (size_t p = 0; p < rows->positions; p++) {
        size_t from = p * rows->out_stride;
        row_back(a, channels, out_gradient + from, (const char *)notes + from * bytes, z_gradient + p * rows->z_stride);
    }
}

float activation_value(const struct activation *a, int position, int channel, float z, float *slope) {
    union {
        uint8_t gate;
        float slope;
    } note;
    float value;
    row_of(a)(a->parameter, 1, slopes_of(a, (size_t)position, channel), &z, NULL, &value, &note);
    size_t bytes = activation_note_bytes(a);
    *slope = bytes == sizeof(float) ? note.slope : bytes && !note.gate ? 0 : 1;
    return value;
}
