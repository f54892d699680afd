#include "filteratlas/net/activations.h"

#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/first_layer.h"
#include "filteratlas/net/network.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

struct activations {
    const struct weights *weights;
    const struct vgg *net;
    int deepest, extent, filters;
    int joint; /* from this layer on all images go through together; before it a map is too large for that */
    struct first_layer first;
    struct winograd_layer layer[VGG_MAX_LAYERS]; /* [0] is not used */
    float *bias[VGG_MAX_LAYERS];                 /* padded; owned */
    void *table[VGG_MAX_LAYERS];                 /* not owned */
    float *alone[2], *together[2]; /* outputs of layers before `joint`, by turns; from the one before on */
    uint8_t *gate;                 /* of one layer, of all images */
    float *scratch, *row;          /* row: [padded channels] */
};

static size_t greater(size_t a, size_t b) { return a > b ? a : b; }

static enum winograd_tile tile_of(const struct vgg *net, int layer, int extent) {
    int side = vgg_extent(net, layer, extent);
    return winograd_choose_tile(side, side);
}

static size_t table_bytes(const struct vgg *net, int layer, int extent, const struct winograd_kernels *kernels) {
    const struct vgg_layer *shape = &net->layer[layer];
    return winograd_table_bytes(kernels, tile_of(net, layer, extent), shape->in_channels, shape->out_channels);
}

size_t activations_table_bytes(const struct vgg *net, int deepest, int extent, const struct winograd_kernels *kernels) {
    size_t bytes = 0;
    for (int l = 1; l <= deepest; l++)
        bytes += table_bytes(net, l, extent, kernels);
    return bytes;
}

/* Behind the deepest layer comes nothing. */
static bool is_pooled(const struct activations *a, int layer) {
    return layer < a->deepest && a->net->layer[layer].pooled;
}

/* Making it ----------------------------------------------------------------------------------------------------- */

static float *allocate(size_t floats) {
    float *memory = huge_pages_allocate(floats * sizeof *memory);
    if (memory)
        memset(memory, 0, floats * sizeof *memory);
    return memory;
}

static int make_bias(struct activations *a, int layer, struct error *error) {
    int channels = a->net->layer[layer].out_channels, padded = winograd_padded(channels);
    a->bias[layer] = allocate(padded);
    if (!a->bias[layer])
        return error_memory(error, padded * (double)sizeof(float), "the biases");
    memcpy(a->bias[layer], weights_bias(a->weights, layer), channels * sizeof(float));
    return STATUS_OK;
}

static char *place_layer(struct activations *a, int layer, const struct winograd_kernels *kernels, char *table) {
    const struct vgg_layer *shape = &a->net->layer[layer];
    struct winograd_layer *to = &a->layer[layer];
    *to = (struct winograd_layer){.cin = shape->in_channels,
                                  .cout = shape->out_channels,
                                  .pooled = is_pooled(a, layer),
                                  .bias = a->bias[layer],
                                  .kernels = {kernels, kernels}};
    to->table[WINOGRAD_FORWARD][tile_of(a->net, layer, a->extent)] = a->table[layer] = table;
    return table + table_bytes(a->net, layer, a->extent, kernels);
}

static int make_layers(struct activations *a, const struct winograd_kernels *kernels, char *tables,
                       struct error *error) {
    const struct vgg_layer *first = &a->net->layer[0];
    int status = STATUS_OK;
    for (int l = 0; l <= a->deepest && !status; l++)
        status = make_bias(a, l, error);
    if (!status)
        status = first_layer_make(weights_kernel(a->weights, 0), a->bias[0], first->out_channels, is_pooled(a, 0),
                                  kernels, &a->first, error);
    for (int l = 1; l <= a->deepest && !status; l++)
        tables = place_layer(a, l, kernels, tables);
    return status;
}

static int extent_of(const struct activations *a, int layer) { return vgg_extent(a->net, layer, a->extent); }

static int output_extent(const struct activations *a, int layer) {
    return extent_of(a, layer) / (is_pooled(a, layer) ? 2 : 1);
}

static size_t output_floats(const struct activations *a, int layer) {
    size_t side = output_extent(a, layer);
    return side * side * winograd_padded(a->net->layer[layer].out_channels);
}

static int images_of(const struct activations *a, int layer) { return layer < a->joint ? 1 : ACTIVATIONS_MOST_IMAGES; }

static int make_memory(struct activations *a, struct error *error) {
    size_t alone = 0, together = 0, gates = 0, scratch = first_layer_scratch(&a->first, a->extent), channels = 0;
    for (int l = 0; l <= a->deepest; l++) {
        size_t floats = output_floats(a, l), side = extent_of(a, l);
        alone = greater(alone, l < a->joint ? floats : 0);
        together = greater(together, l >= a->joint - 1 ? floats * ACTIVATIONS_MOST_IMAGES : 0);
        gates = greater(gates, floats * images_of(a, l));
        channels = greater(channels, winograd_padded(a->net->layer[l].out_channels));
        if (l > 0)
            scratch = greater(scratch, winograd_scratch_bytes(&a->layer[l], images_of(a, l), (int)side, (int)side) /
                                           sizeof(float));
    }
    for (int i = 0; i < 2; i++) {
        a->alone[i] = allocate(alone);
        a->together[i] = allocate(together);
    }
    a->gate = huge_pages_allocate(gates);
    a->scratch = allocate(scratch);
    a->row = allocate(channels);
    bool there = a->alone[0] && a->alone[1] && a->together[0] && a->together[1] && a->gate && a->scratch && a->row;
    double bytes = (2 * (alone + together) + scratch + channels) * (double)sizeof(float) + (double)gates;
    return there ? STATUS_OK : error_memory(error, bytes, "activations");
}

int activations_make(const struct weights *weights, int deepest, int extent, const struct winograd_kernels *kernels,
                     void *tables, struct activations **activations, struct error *error) {
    struct activations *a = *activations = calloc(1, sizeof *a);
    if (!a)
        return error_memory(error, sizeof *a, "activations");
    a->weights = weights;
    a->net = &weights->net;
    a->deepest = deepest;
    a->extent = extent;
    a->joint = network_first_joint(a->net, deepest + 1, extent, extent);
    for (int l = 0; l <= deepest; l++)
        a->filters += a->net->layer[l].out_channels;
    int status = make_layers(a, kernels, tables, error);
    return status ? status : make_memory(a, error);
}

void activations_free(struct activations *a) {
    if (!a)
        return;
    first_layer_free(&a->first);
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        free(a->bias[l]);
    for (int i = 0; i < 2; i++) {
        free(a->alone[i]);
        free(a->together[i]);
    }
    free(a->gate);
    free(a->scratch);
    free(a->row);
    free(a);
}

void activations_fill_tables(const struct activations *a, int part, int parts) {
    for (int l = 1; l <= a->deepest; l++)
        winograd_fill_table(a->layer[l].kernels[WINOGRAD_FORWARD], tile_of(a->net, l, a->extent), WINOGRAD_FORWARD,
                            a->net->layer[l].in_channels, a->net->layer[l].out_channels, weights_kernel(a->weights, l),
                            part, parts, a->table[l]);
}

/* Looking at a map ---------------------------------------------------------------------------------------------- */

/* highest: of the layer's first channel and the first image; the next image's is a->filters further on. */
static void scan_layer(struct activations *a, int layer, const float *out, int images, struct activation *highest) {
    size_t floats = output_floats(a, layer);
    const struct vgg_layer *shape = &a->net->layer[layer];
    for (int i = 0; i < images; i++) {
        int side = output_extent(a, layer);
        const struct scanned_map map = {.values = out + i * floats,
                                        .gate = is_pooled(a, layer) ? a->gate + i * floats : NULL,
                                        .height = side,
                                        .width = side,
                                        .stride = winograd_padded(shape->out_channels),
                                        .channels = shape->out_channels};
        scan_map(&map, a->row, highest + (size_t)i * a->filters);
    }
}

/* The pass ------------------------------------------------------------------------------------------------------ */

/* Where a layer's output goes: image number `image` of those that stand together. */
static float *output_of(const struct activations *a, int layer, int image) {
    return layer < a->joint - 1 ? a->alone[layer % 2] : a->together[layer % 2] + image * output_floats(a, layer);
}

/* Layers [from, to) of `images` images, from number `first` on. highest: of the layer `from` and the first image. */
static bool pass(struct activations *a, int from, int to, const float *x, int first, int images,
                 struct activation *highest, const struct interrupt *interrupt) {
    for (int l = from; l < to; l++) {
        float *out = output_of(a, l, first);
        int side = extent_of(a, l);
        if (!interrupt_goes_on(interrupt))
            return false;
        if (l == 0)
            first_layer_forward(&a->first, x, side, side, out, a->gate, a->scratch);
        else
            winograd_forward(&a->layer[l], output_of(a, l - 1, first), images, side, side, out, a->gate, a->scratch);
        scan_layer(a, l, out, images, highest);
        highest += a->net->layer[l].out_channels;
    }
    return true;
}

bool activations_measure(struct activations *a, const float *x, int count, struct activation *highest,
                         const struct interrupt *interrupt) {
    size_t floats = (size_t)a->extent * a->extent * VGG_INPUT_CHANNELS;
    int layers = a->deepest + 1, joint = a->joint < layers ? a->joint : layers, before = 0;
    for (int l = 0; l < joint; l++)
        before += a->net->layer[l].out_channels;
    for (int i = 0; i < count; i++)
        if (!pass(a, 0, joint, x + i * floats, i, 1, highest + (size_t)i * a->filters, interrupt))
            return false;
    return pass(a, joint, layers, NULL, 0, count, highest + before, interrupt);
}
