#include "filteratlas/model/weights.h"

#include "filteratlas/base/sha256.h"
#include "hdf5_file.h"
#include "keras_file.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)WEIGHTS_SHA256_SIZE == (int)SHA256_HEX_SIZE, "a digest fits");

enum {
    TAPS = 9,             /* of a 3x3 kernel */
    MAX_VALUES = 1 << 29, /* 27 times VGG19: more is no network but a broken or hostile file */
    MAX_NUMBER = 9        /* of a block or of a convolution in it, in a name */
};

/* Where the four extents of a kernel stand in its shape. */
struct order {
    const char *name;
    int rows, columns, in, out;
    bool flipped; /* in rows and columns */
};

static const struct order tensorflow = {"HWIO", 0, 1, 2, 3, false};
static const struct order theano = {"OIHW (Theano's, flipped)", 2, 3, 1, 0, true};

/* --- What is missing --------------------------------------------------------------------------------------------- */

/* Marks the blocks and numbers that the layers' names give; false if one has no such name. */
static bool mark_names(const struct keras_file *file, bool found[MAX_NUMBER + 1][MAX_NUMBER + 1]) {
    for (int l = 0; l < file->convolutions && l < VGG_MAX_LAYERS; l++) {
        int block, number;
        if (!keras_block_name(file->convolution[l].name, &block, &number))
            return false;
        found[block][number] = true;
    }
    return true;
}

/* Of a variant's layers, how many the file has, and the first that it lacks ("" if none). */
static int compare_names(const struct vgg *net, bool found[MAX_NUMBER + 1][MAX_NUMBER + 1],
                         char lacking[VGG_NAME_SIZE]) {
    int present = 0;
    lacking[0] = '\0';
    for (int l = 0; l < net->layers; l++) {
        int block, number;
        keras_block_name(net->layer[l].name, &block, &number);
        present += found[block][number];
        if (!found[block][number] && !lacking[0])
            snprintf(lacking, VGG_NAME_SIZE, "%s", net->layer[l].name);
    }
    return present;
}

/* Where the names follow VGG's pattern: the smallest variant that has them all must be there whole. Names of another
 * kind, or more names than any variant has, are left to the checks of number and shape. */
static int check_names(const char *path, const struct keras_file *file, struct error *error) {
    static const int variants[] = {8, 10, 13, 16};
    static const int widths[VGG_MAX_LAYERS];
    bool found[MAX_NUMBER + 1][MAX_NUMBER + 1] = {{false}};
    if (file->convolutions > VGG_MAX_LAYERS || !mark_names(file, found))
        return STATUS_OK;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        struct vgg net;
        char lacking[VGG_NAME_SIZE];
        if (vgg_make(variants[v], widths, &net, error))
            return error->status;
        if (compare_names(&net, found, lacking) < file->convolutions)
            continue;
        if (lacking[0])
            return error_set(error, STATUS_USAGE, "%s: %s is missing; save all of %s's convolutions", path, lacking,
                             net.variant);
        return STATUS_OK;
    }
    return STATUS_OK;
}

/* --- Shapes ------------------------------------------------------------------------------------------------------ */

/* How many of the first layers have 3x3 kernels that chain from 3 channels, if stored in this order. */
static int count_fitting(const struct keras_file *file, const struct order *order) {
    size_t channels = VGG_INPUT_CHANNELS;
    for (int l = 0; l < file->convolutions; l++) {
        const size_t *shape = file->convolution[l].shape;
        if (shape[order->rows] != 3 || shape[order->columns] != 3 || shape[order->in] != channels)
            return l;
        channels = shape[order->out];
    }
    return file->convolutions;
}

/* The order is one for the whole file; where both fit alike it is the common one. */
static const struct order *find_order(const struct keras_file *file) {
    return count_fitting(file, &theano) > count_fitting(file, &tensorflow) ? &theano : &tensorflow;
}

static int check_layer(const char *path, const struct keras_convolution *c, const struct order *order, size_t channels,
                       struct error *error) {
    const size_t *s = c->shape, out = s[order->out];
    if (s[order->rows] != 3 || s[order->columns] != 3)
        return error_set(error, STATUS_USAGE,
                         "%s: %s's kernel is of shape %zux%zux%zux%zu, not 3x3; give the weights of a VGG network",
                         path, c->name, s[0], s[1], s[2], s[3]);
    if (s[order->in] != channels)
        return error_set(error, STATUS_USAGE,
                         "%s: %s takes %zu channels but gets %zu; give the weights of a VGG network on RGB input", path,
                         c->name, s[order->in], channels);
    if (out < 1 || out > VGG_MAX_CHANNELS)
        return error_set(error, STATUS_USAGE, "%s: %s has %zu output channels; 1 to %d can be used", path, c->name, out,
                         VGG_MAX_CHANNELS);
    if (!c->bias[0])
        return error_set(error, STATUS_USAGE, "%s: %s has no bias; train and save it with use_bias=True", path,
                         c->name);
    if (c->bias_length != out)
        return error_set(error, STATUS_USAGE, "%s: %s has %zu biases for %zu output channels; save the weights again",
                         path, c->name, c->bias_length, out);
    return STATUS_OK;
}

static int check_layers(const char *path, const struct keras_file *file, const struct order *order,
                        struct error *error) {
    size_t channels = VGG_INPUT_CHANNELS;
    for (int l = 0; l < file->convolutions; l++) {
        if (check_layer(path, &file->convolution[l], order, channels, error))
            return error->status;
        channels = file->convolution[l].shape[order->out];
    }
    return STATUS_OK;
}

/* The names that the network gets stand for positions: a file that lists block5_conv2 before block5_conv1 would be
 * drawn under wrong names. */
static int check_positions(const char *path, const struct keras_file *file, const struct vgg *net,
                           struct error *error) {
    for (int l = 0; l < net->layers; l++) {
        int block, number;
        const char *name = file->convolution[l].name;
        if (keras_block_name(name, &block, &number) && strcmp(name, net->layer[l].name))
            return error_set(error, STATUS_USAGE, "%s: lists %s where %s belongs; save the layers in order", path, name,
                             net->layer[l].name);
    }
    return STATUS_OK;
}

/* Makes the network that the file describes, or says what is wrong with it. */
static int make_network(const char *path, const struct keras_file *file, const struct order *order, struct vgg *net,
                        struct error *error) {
    int widths[VGG_MAX_LAYERS] = {0};
    struct error why;
    if (check_names(path, file, error))
        return error->status;
    if (vgg_make(file->convolutions, widths, net, &why))
        return error_set(error, why.status, "%s: %s; give the weights of one of these", path, why.message);
    if (check_layers(path, file, order, error) || check_positions(path, file, net, error))
        return error->status;
    for (int l = 0; l < file->convolutions; l++)
        widths[l] = (int)file->convolution[l].shape[order->out];
    return vgg_make(file->convolutions, widths, net, error);
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

static size_t kernel_count(const struct vgg_layer *layer) {
    return (size_t)TAPS * layer->in_channels * layer->out_channels;
}

static size_t layer_offset(const struct vgg *net, int layer) {
    size_t offset = 0;
    for (int l = 0; l < layer; l++)
        offset += vgg_parameters(&net->layer[l]);
    return offset;
}

/* stored [out][in][3][3], flipped -> kernel [3][3][in][out] */
static void unflip(const struct vgg_layer *layer, const float *stored, float *kernel) {
    size_t in = layer->in_channels, out = layer->out_channels;
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            for (int tap = 0; tap < TAPS; tap++)
                kernel[((TAPS - 1 - tap) * in + i) * out + o] = stored[(o * in + i) * TAPS + tap];
}

static int read_kernel(const struct keras_file *file, const struct keras_convolution *c, const struct order *order,
                       const struct vgg_layer *layer, float *kernel, struct error *error) {
    size_t count = kernel_count(layer);
    if (!order->flipped)
        return hdf5_read_floats(file->hdf5, c->kernel, count, kernel, error);
    float *stored = malloc(count * sizeof *stored); /* [out][in][3][3] */
    if (!stored)
        return error_memory(error, (double)count * sizeof *stored, "a kernel");
    int status = hdf5_read_floats(file->hdf5, c->kernel, count, stored, error);
    if (!status)
        unflip(layer, stored, kernel);
    free(stored);
    return status;
}

static int check_finite(const char *path, const char *name, const float *values, size_t count, struct error *error) {
    size_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += !isfinite(values[i]);
    if (bad)
        return error_set(error, STATUS_USAGE,
                         "%s: %s holds NaN or infinity in %zu of its %zu values; give weights of a training that did "
                         "not diverge",
                         path, name, bad, count);
    return STATUS_OK;
}

static int read_values(const char *path, const struct keras_file *file, const struct order *order,
                       struct weights *weights, struct error *error) {
    const struct vgg *net = &weights->net;
    weights->count = layer_offset(net, net->layers);
    if (weights->count > MAX_VALUES)
        return error_set(error, STATUS_USAGE,
                         "%s: has %zu weights, more than the %d that are read; give a narrower net", path,
                         weights->count, MAX_VALUES);
    weights->values = malloc(weights->count * sizeof *weights->values);
    if (!weights->values)
        return error_memory(error, (double)weights->count * sizeof *weights->values, "the weights");
    for (int l = 0; l < net->layers; l++) {
        const struct vgg_layer *layer = &net->layer[l];
        const struct keras_convolution *c = &file->convolution[l];
        float *values = weights->values + layer_offset(net, l);
        if (read_kernel(file, c, order, layer, values, error) ||
            hdf5_read_floats(file->hdf5, c->bias, layer->out_channels, values + kernel_count(layer), error) ||
            check_finite(path, c->name, values, vgg_parameters(layer), error))
            return error->status;
    }
    return STATUS_OK;
}

/* --- The module -------------------------------------------------------------------------------------------------- */

static int read_open_file(const char *path, const struct keras_file *file, struct weights *weights,
                          struct error *error) {
    const struct order *order = find_order(file);
    snprintf(weights->layout, sizeof weights->layout, "%s, kernels %s, float%zu", file->layout, order->name,
             file->bits);
    if (make_network(path, file, order, &weights->net, error))
        return error->status;
    return read_values(path, file, order, weights, error);
}

/* Names come from the file: what would steer a terminal does not reach it. */
static void make_printable(char *message) {
    for (char *c = message; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
}

int weights_read(const char *path, struct weights *weights, struct error *error) {
    struct keras_file file;
    memset(weights, 0, sizeof *weights);
    int status = keras_file_open(path, &file, error);
    if (!status) {
        status = read_open_file(path, &file, weights, error);
        keras_file_close(&file);
    }
    if (!status)
        status = sha256_file(path, weights->sha256, error);
    if (status) {
        make_printable(error->message);
        weights_free(weights);
    }
    return status;
}

const float *weights_kernel(const struct weights *weights, int layer) {
    return weights->values + layer_offset(&weights->net, layer);
}

const float *weights_bias(const struct weights *weights, int layer) {
    return weights_kernel(weights, layer) + kernel_count(&weights->net.layer[layer]);
}

void weights_free(struct weights *weights) {
    free(weights->values);
    memset(weights, 0, sizeof *weights);
}

const char *weights_description(void) { return hdf5_description(); }
