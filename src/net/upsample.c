#include "operation.h"

#include <math.h>
#include <string.h>

/* Enlargement by whole factors, nearest or bilinear: pixel i of the output lies at (i + 0.5) / factor - 0.5 of the
 * input, cut to its extent (tf.image.resize, by half pixel centres). */

/* Where one output row or column comes from: two neighbours and the second's weight. */
struct source {
    int first, second;
    float weight;
};

static struct source source_of(int at, int factor, int extent, bool bilinear) {
    if (!bilinear)
        return (struct source){at / factor, at / factor, 0};
    double place = (at + 0.5) / factor - 0.5;
    place = place < 0 ? 0 : place > extent - 1 ? extent - 1 : place;
    int first = (int)floor(place), second = first + 1 < extent ? first + 1 : first;
    return (struct source){first, second, (float)(place - first)};
}

/* The four pixels of an output pixel, by offset, and their weights; those of weight 0 are left out. */
struct corners {
    int count;
    size_t at[4];
    float weight[4];
};

static void add_corner(struct corners *c, const struct map *in, int y, int x, float weight) {
    if (weight == 0)
        return;
    c->at[c->count] = ((size_t)y * (size_t)in->width + (size_t)x) * (size_t)in->stride;
    c->weight[c->count++] = weight;
}

static struct corners corners_of(const struct operation_call *call, int y, int x) {
    const struct graph_node *node = operation_node(call->operation);
    const struct map *in = call->in;
    struct source row = source_of(y, node->stride[0], in->height, node->bilinear);
    struct source column = source_of(x, node->stride[1], in->width, node->bilinear);
    struct corners c = {0};
    add_corner(&c, in, row.first, column.first, (1 - row.weight) * (1 - column.weight));
    add_corner(&c, in, row.first, column.second, (1 - row.weight) * column.weight);
    add_corner(&c, in, row.second, column.first, row.weight * (1 - column.weight));
    add_corner(&c, in, row.second, column.second, row.weight * column.weight);
    return c;
}

static void enlarge(const struct operation_call *call, bool back) {
    const struct loops *loops = call->operation->loops;
    const struct map *in = call->in, *out = &call->out;
    size_t stride = (size_t)out->stride, at = 0;
    for (int picture = 0; picture < call->pictures; picture++) {
        size_t from = map_floats(in, picture);
        for (int y = 0; y < out->height; y++)
            for (int x = 0; x < out->width; x++, at += stride) {
                struct corners c = corners_of(call, y, x);
                for (int i = 0; i < c.count; i++)
                    if (back)
                        loops->add_scaled(stride, call->y_gradient + at, c.weight[i],
                                          call->x_gradient + from + c.at[i]);
                    else
                        loops->add_scaled(stride, call->x[0] + from + c.at[i], c.weight[i], call->y + at);
            }
    }
}

static void forward(const struct operation_call *call) {
    memset(call->y, 0, map_floats(&call->out, call->pictures) * sizeof *call->y);
    enlarge(call, false);
}

static void backward(const struct operation_call *call) {
    memset(call->x_gradient, 0, map_floats(call->in, call->pictures) * sizeof *call->x_gradient);
    enlarge(call, true);
}

const struct operation_kind upsampling = {.forward = forward, .backward = backward};
