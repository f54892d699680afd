/* The topology of a VGG network: 3x3 convolutions with bias and ReLU in blocks, a 2x2 max pooling after each block
 * (Simonyan & Zisserman, "Very Deep Convolutional Networks", 2014, table 1). Widths and the number of convolutions
 * come from the weights file; a struct vgg is plain data that may be copied and sent between ranks as bytes. */
#ifndef FILTERATLAS_VGG_H
#define FILTERATLAS_VGG_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/octaves.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    VGG_MAX_LAYERS = 16, /* convolutions of VGG19, the largest */
    VGG_NAME_SIZE = 24,
    VGG_INPUT_CHANNELS = 3,
    VGG_MAX_CHANNELS = 16384
};

struct vgg_layer {
    char name[VGG_NAME_SIZE]; /* "block1_conv1" */
    int in_channels;
    int out_channels; /* the layer's filters */
    bool pooled;      /* a 2x2 max pooling stands between this layer and the next */
};

struct vgg {
    char variant[VGG_NAME_SIZE]; /* "VGG16" */
    int layers;
    struct vgg_layer layer[VGG_MAX_LAYERS];
};

/* Fills in names, chain and poolings from the number of convolutions and their output channels [layers].
 * 8, 10, 13 and 16 convolutions are VGG11, 13, 16 and 19; any other number is STATUS_USAGE. */
int vgg_make(int layers, const int *out_channels, struct vgg *net, struct error *error);

/* The 0-based position of a layer among the convolutions, -1 if there is none of that name. */
int vgg_find(const struct vgg *net, const char *name);

/* All filters of all layers. */
int vgg_filters(const struct vgg *net);

/* Weights and biases of one layer. */
size_t vgg_parameters(const struct vgg_layer *layer);

/* The extent [pixels] of the map that layer works on when the picture's extent is `extent`: halved, rounding down, at
 * every pooling before it. */
int vgg_extent(const struct vgg *net, int layer, int extent);

/* The least extent [pixels] of a picture for which the layer's map is not empty. */
int vgg_least_extent(const struct vgg *net, int layer);

/* Floating-point operations of a direct convolution that loss and gradient of one filter of `layer` need at one size
 * (multiply and add count as two, forward and backward; of the layer itself only the one channel is computed). */
double vgg_gradient_flops(const struct vgg *net, int layer, int height, int width);

/* The same for a filter's whole picture: `epochs` gradients at every octave but the last. */
double vgg_filter_flops(const struct vgg *net, int layer, const struct octaves *octaves, int epochs);

#endif
