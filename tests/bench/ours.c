#include "ours.h"

#include "operands.h"

#include <stdlib.h>

struct ours {
    const struct first_layer *first;       /* of the first layer, else NULL */
    const struct winograd_layer *winograd; /* of any other */
    int extent, pictures;
    float *in, *out, *out_gradient, *in_gradient;
    void *scratch;
    uint8_t *gate;
};

static size_t scratch_bytes(const struct ours *o) {
    return o->first ? first_layer_scratch(o->first, o->extent) * sizeof(float)
                    : winograd_scratch_bytes(o->winograd, o->pictures, o->extent, o->extent);
}

struct ours *ours_make(const struct network *network, const struct task *task) {
    struct ours *o = operands_zero(sizeof *o);
    *o = (struct ours){.extent = task->extent, .pictures = task->pictures};
    if (task->number == 0)
        o->first = &network->first;
    else
        o->winograd = network_layer(network, task->number, task->picture, task->picture);
    size_t in = o->first ? VGG_INPUT_CHANNELS : winograd_padded(task->layer->in_channels);
    size_t out = winograd_padded(task->layer->out_channels);
    size_t positions = (size_t)task->pictures * task->extent * task->extent;
    o->in = operands_noise(positions * in, 1);
    o->out = operands_zero(positions * out * sizeof(float));
    o->gate = operands_zero(positions * out);
    o->out_gradient = operands_noise(positions * out, 1);
    o->in_gradient = operands_zero(positions * in * sizeof(float));
    o->scratch = operands_zero(scratch_bytes(o));
    return o;
}

void ours_free(struct ours *o) {
    void *owned[] = {o->in, o->out, o->gate, o->out_gradient, o->in_gradient, o->scratch};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(o);
}

void ours_forward(struct ours *o) {
    if (o->first)
        first_layer_forward(o->first, o->in, o->extent, o->extent, o->out, o->gate, o->scratch);
    else
        winograd_forward(o->winograd, o->in, o->pictures, o->extent, o->extent, o->out, o->gate, o->scratch);
}

void ours_backward(struct ours *o) {
    if (o->first)
        first_layer_backward(o->first, o->out_gradient, o->gate, o->extent, o->extent, o->in_gradient, o->scratch);
    else
        winograd_backward(o->winograd, o->out_gradient, o->gate, o->pictures, o->extent, o->extent, o->in_gradient,
                          o->scratch);
}

int ours_pictures(const struct vgg *net, int layer, int extent, int batch) {
    return network_first_joint(net, layer + 1, extent, extent) <= layer ? batch : 1;
}

double ours_saving(const struct ours *o) {
    if (o->first)
        return 1;
    int side = winograd_used_tile(o->winograd, WINOGRAD_BACKWARD, o->extent, o->extent) == WINOGRAD_F6 ? 6 : 4,
        points = side + 2;
    double tiles = (double)((o->extent + side - 1) / side) * ((o->extent + side - 1) / side);
    return 9.0 * o->extent * o->extent / (tiles * points * points);
}
