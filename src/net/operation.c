#include "operation.h"

enum { CLOSE = 16 };

size_t map_floats(const struct map *map, int pictures) {
    return (size_t)pictures * (size_t)map->height * (size_t)map->width * (size_t)map->stride;
}

int map_stride(int channels) { return channels < CLOSE ? channels : winograd_padded(channels); }

const struct graph_node *operation_node(const struct operation *operation) {
    return &operation->graph->node[operation->node];
}

const float *operation_weights(const struct operation *operation) {
    return operation->graph->values + operation_node(operation)->weights;
}

static int at_least_one(int n) { return n > 0 ? n : 1; }

struct window operation_window(const struct operation *operation, const struct map *in, const struct map *out) {
    const struct graph_node *node = operation_node(operation);
    struct window w = {.height = in->height,
                       .width = in->width,
                       .map_stride = in->stride,
                       .channels = in->stride,
                       .rows = out->height,
                       .columns = out->width};
    for (int axis = 0; axis < 2; axis++) {
        int extent = axis ? in->width : in->height, border = operation->border[2 * axis];
        w.kernel[axis] = at_least_one(node->kernel[axis]);
        w.stride[axis] = at_least_one(node->stride[axis]);
        w.dilation[axis] = at_least_one(node->dilation[axis]);
        graph_window(extent, w.kernel[axis], w.stride[axis], w.dilation[axis], node->same, &w.before[axis]);
        w.before[axis] += border;
    }
    return w;
}

struct activation_rows operation_rows(const struct map *out, int pictures) {
    size_t stride = (size_t)out->stride;
    int positions = out->height * out->width;
    return (struct activation_rows){.positions = (size_t)pictures * (size_t)positions,
                                    .map_positions = positions,
                                    .channels = out->stride,
                                    .z_stride = stride,
                                    .out_stride = stride};
}
