#include "filteratlas/model/vgg.h"

#include <stdio.h>
#include <string.h>

enum { BLOCKS = 5 };

static const struct variant {
    const char *name;
    int convolutions[BLOCKS];
} variants[] = {
    {"VGG11", {1, 1, 2, 2, 2}},
    {"VGG13", {2, 2, 2, 2, 2}},
    {"VGG16", {2, 2, 3, 3, 3}},
    {"VGG19", {2, 2, 4, 4, 4}},
};

static const struct variant *find_variant(int layers) {
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        int sum = 0;
        for (int b = 0; b < BLOCKS; b++)
            sum += variants[i].convolutions[b];
        if (sum == layers)
            return &variants[i];
    }
    return NULL;
}

int vgg_make(int layers, const int *out_channels, struct vgg *net, struct error *error) {
    const struct variant *variant = find_variant(layers);
    if (!variant)
        return error_set(error, STATUS_USAGE,
                         "%d convolutions make no VGG network (VGG11 has 8, VGG13 10, VGG16 13, VGG19 16)", layers);
    *net = (struct vgg){.layers = layers};
    snprintf(net->variant, sizeof net->variant, "%s", variant->name);
    int channels = VGG_INPUT_CHANNELS, l = 0;
    for (int b = 0; b < BLOCKS; b++) {
        for (int c = 0; c < variant->convolutions[b]; c++, l++) {
            struct vgg_layer *layer = &net->layer[l];
            snprintf(layer->name, sizeof layer->name, "block%d_conv%d", b + 1, c + 1);
            layer->in_channels = channels;
            layer->out_channels = channels = out_channels[l];
            layer->pooled = c == variant->convolutions[b] - 1;
        }
    }
    return STATUS_OK;
}

int vgg_find(const struct vgg *net, const char *name) {
    for (int l = 0; l < net->layers; l++)
        if (!strcmp(net->layer[l].name, name))
            return l;
    return -1;
}

int vgg_filters(const struct vgg *net) {
    int sum = 0;
    for (int l = 0; l < net->layers; l++)
        sum += net->layer[l].out_channels;
    return sum;
}

size_t vgg_parameters(const struct vgg_layer *layer) {
    return ((size_t)9 * layer->in_channels + 1) * layer->out_channels;
}

static int poolings_before(const struct vgg *net, int layer) {
    int poolings = 0;
    for (int l = 0; l < layer; l++)
        poolings += net->layer[l].pooled;
    return poolings;
}

int vgg_extent(const struct vgg *net, int layer, int extent) { return extent >> poolings_before(net, layer); }

int vgg_least_extent(const struct vgg *net, int layer) { return 1 << poolings_before(net, layer); }

double vgg_gradient_flops(const struct vgg *net, int layer, int height, int width) {
    double flops = 0;
    for (int l = 0; l <= layer; l++) {
        double positions = (double)vgg_extent(net, l, height) * vgg_extent(net, l, width);
        int filters = l == layer ? 1 : net->layer[l].out_channels;
        flops += 2 * (2 * 9.0) * positions * net->layer[l].in_channels * filters;
    }
    return flops;
}

double vgg_filter_flops(const struct vgg *net, int layer, const struct octaves *octaves, int epochs) {
    double flops = 0;
    for (int i = 0; i < octaves->steps; i++)
        flops += epochs * vgg_gradient_flops(net, layer, octaves->height[i], octaves->width[i]);
    return flops;
}
