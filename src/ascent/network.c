#include "filteratlas/network.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

int network_make(const struct weights *weights, struct network *network, struct error *error) {
    *network = (struct network){.net = weights->net};
    for (int l = 0; l < network->net.layers; l++) {
        const struct vgg_layer *layer = &network->net.layer[l];
        int status = convolution_make(layer->in_channels, layer->out_channels, layer->pooled,
                                      weights_kernel(weights, l), weights_bias(weights, l), &network->layer[l], error);
        if (status)
            return status;
    }
    return STATUS_OK;
}

void network_free(struct network *network) {
    for (int l = 0; l < network->net.layers; l++)
        convolution_free(&network->layer[l]);
}

static size_t greater(size_t a, size_t b) { return a > b ? a : b; }

/* *memory = `count` elements of `size` bytes; adds to *bytes what was asked for. */
static void *allocate(size_t count, size_t size, size_t *bytes) {
    size_t rounded = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *bytes += rounded;
    return aligned_alloc(ALIGNMENT, rounded);
}

int network_memory_make(const struct network *network, int layer, int height, int width, struct network_memory *memory,
                        struct error *error) {
    size_t activations = 0, scratch = 0, bytes = 0;
    *memory = (struct network_memory){0};
    bool complete = true;
    for (int l = 0; l <= layer; l++) {
        int h = vgg_extent(&network->net, l, height), w = vgg_extent(&network->net, l, width);
        size_t gates = (size_t)h * w * network->layer[l].out_stride / (network->layer[l].pooled ? 4 : 1);
        activations = greater(activations, (size_t)h * w * network->layer[l].in_stride);
        scratch = greater(scratch, convolution_scratch(&network->layer[l], h, w));
        memory->gate[l] = allocate(gates + 1, 1, &bytes);
        complete = complete && memory->gate[l];
        activations = greater(activations, gates);
    }
    memory->activations[0] = allocate(activations, sizeof(float), &bytes);
    memory->activations[1] = allocate(activations, sizeof(float), &bytes);
    memory->scratch = allocate(scratch, sizeof(float), &bytes);
    memory->z = allocate((size_t)height * width, sizeof(float), &bytes);
    complete = complete && memory->activations[0] && memory->activations[1] && memory->scratch && memory->z;
    return complete ? STATUS_OK : error_memory(error, (double)bytes, "activations");
}

void network_memory_free(struct network_memory *memory) {
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        free(memory->gate[l]);
    free(memory->activations[0]);
    free(memory->activations[1]);
    free(memory->scratch);
    free(memory->z);
}

/* z [count] before the ReLU becomes the gradient of its mean after the ReLU, which is returned. */
static double mean_activation(float *z, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += z[i] > 0 ? z[i] : 0;
        z[i] = z[i] > 0 ? (float)(1.0 / (double)count) : 0;
    }
    return sum / (double)count;
}

double network_gradient(const struct network *network, struct network_memory *memory, int layer, int filter,
                        const float *x, int height, int width, float *gradient) {
    const struct vgg *net = &network->net;
    const float *in = x;
    for (int l = 0; l < layer; l++) {
        float *out = memory->activations[l % 2];
        convolution_forward(&network->layer[l], in, vgg_extent(net, l, height), vgg_extent(net, l, width), out,
                            memory->gate[l], memory->scratch);
        in = out;
    }
    int h = vgg_extent(net, layer, height), w = vgg_extent(net, layer, width);
    convolution_channel_forward(&network->layer[layer], filter, in, h, w, memory->z, memory->scratch);
    double loss = mean_activation(memory->z, (size_t)h * w);
    float *in_gradient = layer == 0 ? gradient : memory->activations[0];
    convolution_channel_backward(&network->layer[layer], filter, memory->z, h, w, in_gradient, memory->scratch);
    for (int l = layer - 1; l >= 0; l--) {
        const float *out_gradient = in_gradient;
        in_gradient = l == 0                                   ? gradient
                      : out_gradient == memory->activations[0] ? memory->activations[1]
                                                               : memory->activations[0];
        convolution_backward(&network->layer[l], out_gradient, memory->gate[l], vgg_extent(net, l, height),
                             vgg_extent(net, l, width), in_gradient, memory->scratch);
    }
    return loss;
}
