#include "twin_network.h"

#include <stdlib.h>

int twin_height(const struct twin_pass *pass, int l) { return vgg_extent(&pass->weights->net, l, pass->height); }
int twin_width(const struct twin_pass *pass, int l) { return vgg_extent(&pass->weights->net, l, pass->width); }

static size_t out_count(const struct twin_pass *pass, int l) {
    return twin_out_count(&pass->layer[l], twin_height(pass, l), twin_width(pass, l));
}

struct twin_pass twin_run(const struct weights *weights, int layers, const float *x, int height, int width) {
    struct twin_pass pass = {.weights = weights, .height = height, .width = width, .layers = layers};
    pass.in[0] = twin_widen(x, (size_t)height * width * 3);
    for (int l = 0; l < weights->net.layers; l++) {
        const struct vgg_layer *shape = &weights->net.layer[l];
        pass.layer[l] = (struct twin_layer){shape->in_channels,      shape->out_channels, shape->in_channels,
                                            shape->out_channels,     shape->pooled,       weights_kernel(weights, l),
                                            weights_bias(weights, l)};
    }
    for (int l = 0; l < layers; l++) {
        int h = twin_height(&pass, l), w = twin_width(&pass, l);
        double *z = twin_zeros((size_t)h * w * pass.layer[l].out_stride);
        twin_convolve(&pass.layer[l], pass.in[l], h, w, z);
        pass.gate[l] = guarded_allocate(out_count(&pass, l));
        double *out = twin_zeros(out_count(&pass, l));
        twin_rectify(&pass.layer[l], z, h, w, out, pass.gate[l]);
        if (l + 1 < weights->net.layers)
            pass.in[l + 1] = out;
        else
            free(out);
        free(z);
    }
    return pass;
}

void twin_end(struct twin_pass *pass) {
    for (int l = 0; l < VGG_MAX_LAYERS; l++) {
        free(pass->in[l]);
        guarded_free(pass->gate[l]);
    }
}

double *twin_z(const struct twin_pass *pass, int layer, int filter) {
    int h = twin_height(pass, layer), w = twin_width(pass, layer);
    double *z = twin_zeros((size_t)h * w);
    twin_channel_forward(&pass->layer[layer], filter, pass->in[layer], h, w, z);
    return z;
}

double *twin_gradient(const struct twin_pass *pass, int layer, int filter, const double *z_gradient,
                      uint8_t *const *gates) {
    int h = twin_height(pass, layer), w = twin_width(pass, layer);
    double *gradient = twin_zeros(twin_in_count(&pass->layer[layer], h, w));
    twin_channel_backward(&pass->layer[layer], filter, z_gradient, h, w, gradient);
    for (int l = layer - 1; l >= 0; l--) {
        double *below = twin_zeros(twin_in_count(&pass->layer[l], twin_height(pass, l), twin_width(pass, l)));
        twin_backward(&pass->layer[l], gradient, gates[l], twin_height(pass, l), twin_width(pass, l), below);
        free(gradient);
        gradient = below;
    }
    return gradient;
}

void twin_copy_gates(const struct twin_pass *pass, const struct network_memory *memory, int layer, uint8_t **gates) {
    for (int l = 0; l < layer; l++) {
        int channels = pass->layer[l].out_channels, stride = winograd_padded(channels);
        size_t count = out_count(pass, l);
        gates[l] = guarded_allocate(count);
        for (size_t i = 0; i < count; i++)
            gates[l][i] = memory->gate[l][i / channels * stride + i % channels];
    }
}
