#include "operation.h"

#include <string.h>

/* Operations that move values and compute nothing: padding and cropping, concatenation, flattening. */

static float *at(float *map, const struct map *shape, int row, int column) {
    return map + ((size_t)row * (size_t)shape->width + (size_t)column) * (size_t)shape->stride;
}

static void clear(float *map, const struct map *shape, int pictures) {
    memset(map, 0, map_floats(shape, pictures) * sizeof *map);
}

/* --- A smaller map within a larger one, whose strides are the same */

struct frame {
    const struct map *inner, *outer;
    int top, left; /* of the inner map in the outer one */
};

static void copy_rows(const struct frame *f, int pictures, float *inner, float *outer, bool outwards) {
    size_t bytes = (size_t)f->inner->width * (size_t)f->inner->stride * sizeof(float);
    for (int picture = 0; picture < pictures; picture++)
        for (int y = 0; y < f->inner->height; y++) {
            float *in = at(inner + map_floats(f->inner, picture), f->inner, y, 0);
            float *out = at(outer + map_floats(f->outer, picture), f->outer, y + f->top, f->left);
            memcpy(outwards ? out : in, outwards ? in : out, bytes);
        }
}

static struct frame frame_of(const struct operation_call *call, bool pads) {
    const int *border = operation_node(call->operation)->border;
    return (struct frame){.inner = pads ? call->in : &call->out,
                          .outer = pads ? &call->out : call->in,
                          .top = border[0],
                          .left = border[2]};
}

static void pad_forward(const struct operation_call *call) {
    struct frame f = frame_of(call, true);
    clear(call->y, &call->out, call->pictures);
    copy_rows(&f, call->pictures, (float *)call->x[0], call->y, true);
}

static void pad_backward(const struct operation_call *call) {
    struct frame f = frame_of(call, true);
    copy_rows(&f, call->pictures, call->x_gradient, call->y_gradient, false);
}

static void crop_forward(const struct operation_call *call) {
    struct frame f = frame_of(call, false);
    copy_rows(&f, call->pictures, call->y, (float *)call->x[0], false);
}

static void crop_backward(const struct operation_call *call) {
    struct frame f = frame_of(call, false);
    clear(call->x_gradient, call->in, call->pictures);
    copy_rows(&f, call->pictures, call->y_gradient, call->x_gradient, true);
}

/* --- Some channels of a map */

static void copy_channels(size_t positions, int channels, const float *from, int from_stride, float *to,
                          int to_stride) {
    for (size_t p = 0; p < positions; p++, from += from_stride, to += to_stride)
        memcpy(to, from, (size_t)channels * sizeof *to);
}

static size_t positions_of(const struct map *map, int pictures) {
    return (size_t)pictures * (size_t)map->height * (size_t)map->width;
}

static void concatenate(const struct operation_call *call) {
    int inputs = operation_node(call->operation)->inputs;
    float *y = call->y;
    if (call->out.stride > call->out.channels)
        clear(y, &call->out, call->pictures);
    for (int i = 0; i < inputs; y += call->in[i++].channels)
        copy_channels(positions_of(&call->out, call->pictures), call->in[i].channels, call->x[i], call->in[i].stride, y,
                      call->out.stride);
}

static void concatenate_back(const struct operation_call *call) {
    const struct map *in = &call->in[call->which];
    const float *from = call->y_gradient;
    for (int i = 0; i < call->which; i++)
        from += call->in[i].channels;
    if (in->stride > in->channels)
        clear(call->x_gradient, in, call->pictures);
    copy_channels(positions_of(in, call->pictures), in->channels, from, call->out.stride, call->x_gradient, in->stride);
}

/* --- A map as a vector */

static void flatten(const struct operation_call *call) {
    const struct map *in = call->in;
    clear(call->y, &call->out, call->pictures);
    for (int i = 0; i < call->pictures; i++)
        copy_channels(positions_of(in, 1), in->channels, call->x[0] + map_floats(in, i), in->stride,
                      call->y + map_floats(&call->out, i), in->channels);
}

static void flatten_back(const struct operation_call *call) {
    const struct map *in = call->in;
    clear(call->x_gradient, in, call->pictures);
    for (int i = 0; i < call->pictures; i++)
        copy_channels(positions_of(in, 1), in->channels, call->y_gradient + map_floats(&call->out, i), in->channels,
                      call->x_gradient + map_floats(in, i), in->stride);
}

const struct operation_kind pad_operation = {.forward = pad_forward, .backward = pad_backward};
const struct operation_kind crop_operation = {.forward = crop_forward, .backward = crop_backward};
const struct operation_kind concatenation = {.forward = concatenate, .backward = concatenate_back};
const struct operation_kind flattening = {.forward = flatten, .backward = flatten_back};
