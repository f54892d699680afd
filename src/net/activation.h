/* What stands behind an operation: bias and activation, forward, and back by what the way forward has noted: the sign
 * for functions that are 0 or 1 steep, else the slope itself. Rows are positions of a map; the formulas are those of
 * Keras (keras/activations.py, keras/layers/activation). */
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include "filteratlas/model/graph.h"
#include "loops.h"

#include <stdbool.h>
#include <stddef.h>

struct activation {
    const struct loops *loops;
    enum graph_function function; /* GRAPH_LINEAR: the bias alone */
    float parameter[3];
    const float *slopes; /* of GRAPH_PRELU: [channels], or [positions][channels] if full */
    bool full;
    int channels;
};

/* Which part of a map is worked on: positions from `position` on, counted over pictures of map_positions each, and
 * channels from `channel` on. Strides are floats from one position to the next. */
struct activation_rows {
    size_t position, positions;
    int map_positions;
    int channel, channels;
    size_t z_stride, out_stride;
};

/* Bytes that are noted for each value: 0 (nothing is), 1 (255 where it is 1 steep, else 0) or 4 (the slope). */
size_t activation_note_bytes(const struct activation *activation);

/* Whether it is max(z, 0). */
bool activation_is_relu(const struct activation *activation);

/* out = f(z + bias), and what is to be noted. bias [channels of the rows] or NULL; z, out and notes point at the first
 * row's first channel, notes are as far apart as out. out may be z. */
void activation_forward(const struct activation *activation, const struct activation_rows *rows, const float *z,
                        const float *bias, float *out, void *notes);

/* The gradient at z from that at out: rows as above, with z_gradient for z and out_gradient for out. They may be the
 * same. */
void activation_backward(const struct activation *activation, const struct activation_rows *rows,
                         const float *out_gradient, const void *notes, float *z_gradient);

/* f at one value, and its slope there. */
float activation_value(const struct activation *activation, int position, int channel, float z, float *slope);

#endif
