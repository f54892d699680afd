/* Making a network: its biases, its first layer and the tables of all others. */
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/network.h"

#include <stdlib.h>
#include <string.h>

static int make_bias(const struct weights *weights, int layer, struct network *network, struct error *error) {
    int channels = network->net.layer[layer].out_channels;
    size_t bytes = winograd_padded(channels) * sizeof(float);
    float *bias = network->bias[layer] = huge_pages_allocate(bytes);
    if (!bias)
        return error_memory(error, (double)bytes, "the biases");
    memset(bias, 0, bytes);
    memcpy(bias, weights_bias(weights, layer), channels * sizeof(float));
    return STATUS_OK;
}

/* Whether a layer gets tables for 4x4 tiles beside those for 6x6. They cost 4 times the weights' memory for each
 * direction, and time at the start; at the default sizes they save 3 % of the products in block 4, which is not worth
 * 190 MB, and 11 % in block 5. Costs as in winograd_choose_tile: a 6x6 tile counts as two 4x4 tiles. */
static bool wants_small_tiles(const struct vgg *net, const struct octaves *octaves, int layer) {
    int with = 0, without = 0;
    for (int octave = 0; octave < octaves->steps; octave++) {
        int h = vgg_extent(net, layer, octaves->height[octave]), w = vgg_extent(net, layer, octaves->width[octave]);
        int small = ((h + 3) / 4) * ((w + 3) / 4), large = 2 * ((h + 5) / 6) * ((w + 5) / 6);
        with += small < large ? small : large;
        without += large;
    }
    return without > 1.1 * with;
}

/* Small pictures go through the first two blocks in 4x4 tiles, whose rounding errors are a quarter to a third: there
 * most of the ReLUs are, and on a small picture one of them within rounding of 0 can turn the ascent. Measured on the
 * demo network from 61 pixels, filters in 60 whose first 10 losses leave double precision by over 0.1 %, with two of
 * OpenBLAS's kernel sets for the last layer's channel: 3 and 8 with 6x6 tiles, 2 and 3 with 4x4 tiles in blocks 1 and
 * 2, 4 and 2 with 4x4 tiles in block 3 too. So few that chance has a part in it; blocks 1 and 2 need but 8 MB of tables
 * at VGG16's width. */
enum { SMALL_PICTURE = 100 * 100 };

static bool is_precise_layer(const struct vgg *net, int layer) { return vgg_least_extent(net, layer) <= 2; }

bool network_is_small(int height, int width) { return height * width < SMALL_PICTURE; }

static bool has_small_picture(const struct octaves *octaves) {
    return network_is_small(octaves->height[0], octaves->width[0]);
}

/* Which tables a layer has. */
struct need {
    bool usual[2], precise[2]; /* [tile] */
};

static struct need need_of(const struct vgg *net, const struct octaves *octaves, enum winograd_precision precision,
                           int layer, enum winograd_direction direction) {
    if (!winograd_has_tile(precision, direction, WINOGRAD_F6))
        return (struct need){.usual[WINOGRAD_F4] = true};
    struct need need = {.usual[WINOGRAD_F6] = true, .usual[WINOGRAD_F4] = wants_small_tiles(net, octaves, layer)};
    need.precise[WINOGRAD_F4] = is_precise_layer(net, layer) && has_small_picture(octaves);
    return need;
}

/* The second layer's way forward stays in single precision: it makes edges of the first one's nearly even maps, so that
 * the rounding of operands is large beside what remains, and its ReLUs and maxima decide for all layers to come. Error
 * of the gradient at six photographs of 160 pixels, demo network, mean of each layer from block2_conv1 on (relative
 * L2): 0.125 to 0.184 with it in bfloat16, 0.022 to 0.154 without. What the way back rounds adds little to the gates'
 * turning: hence 6x6 tiles there (0.006 to 0.148 with 4x4), whose errors are four times as large. 6x6 tiles forward in
 * blocks 4 and 5 alone: up to 0.19. */
enum winograd_precision network_precision(enum winograd_precision precision, int layer,
                                          enum winograd_direction direction) {
    return layer == 1 && direction == WINOGRAD_FORWARD ? WINOGRAD_SINGLE : precision;
}

static const struct winograd_kernels *kernels_of(const struct winograd_kernels *kernels, int layer,
                                                 enum winograd_direction direction) {
    enum winograd_precision own = winograd_precision(kernels);
    return network_precision(own, layer, direction) == own ? kernels : winograd_single_kernels(kernels);
}

enum winograd_tile network_tile(const struct vgg *net, const struct octaves *octaves, enum winograd_precision precision,
                                int layer, enum winograd_direction direction, int height, int width) {
    static const float there;
    struct need need = need_of(net, octaves, network_precision(precision, layer, direction), layer, direction);
    struct winograd_layer shape = {0};
    bool precise = need.precise[WINOGRAD_F4] && network_is_small(height, width);
    for (int tile = 0; tile < 2; tile++)
        if (precise ? need.precise[tile] : need.usual[tile])
            shape.table[direction][tile] = &there;
    return winograd_used_tile(&shape, direction, vgg_extent(net, layer, height), vgg_extent(net, layer, width));
}

static size_t table_bytes(const struct vgg *net, int layer, enum winograd_tile tile,
                          const struct winograd_kernels *kernels) {
    return winograd_table_bytes(kernels, tile, net->layer[layer].in_channels, net->layer[layer].out_channels);
}

size_t network_table_bytes(const struct vgg *net, const struct octaves *octaves, int deepest,
                           const struct winograd_kernels *kernels) {
    size_t bytes = 0;
    for (int l = 1; l < deepest; l++)
        for (int d = 0; d < 2; d++) {
            const struct winograd_kernels *own = kernels_of(kernels, l, d);
            struct need need = need_of(net, octaves, winograd_precision(own), l, d);
            for (int tile = 0; tile < 2; tile++)
                if (need.usual[tile] || need.precise[tile])
                    bytes += table_bytes(net, l, tile, own);
        }
    return bytes;
}

/* Gives a layer its tables, the next in memory; returns what follows them. */
static char *place_layer(const struct octaves *octaves, int layer, char *memory, struct network *network) {
    const struct vgg_layer *shape = &network->net.layer[layer];
    struct winograd_layer without_tables = {.cin = shape->in_channels,
                                            .cout = shape->out_channels,
                                            .pooled = shape->pooled,
                                            .bias = network->bias[layer],
                                            .kernels = {kernels_of(network->kernels, layer, WINOGRAD_FORWARD),
                                                        kernels_of(network->kernels, layer, WINOGRAD_BACKWARD)}};
    struct winograd_layer *usual = &network->layer[layer], *precise = &network->precise[layer];
    *usual = *precise = without_tables;
    for (int d = 0; d < 2; d++) {
        struct need need = need_of(&network->net, octaves, winograd_precision(usual->kernels[d]), layer, d);
        for (int tile = 0; tile < 2; tile++) {
            if (!need.usual[tile] && !need.precise[tile])
                continue;
            network->table[layer][d][tile] = memory;
            usual->table[d][tile] = need.usual[tile] ? memory : NULL;
            precise->table[d][tile] = need.precise[tile] ? memory : NULL;
            memory += table_bytes(&network->net, layer, tile, usual->kernels[d]);
        }
    }
    return memory;
}

int network_place(const struct weights *weights, const struct octaves *octaves, int deepest,
                  const struct winograd_kernels *kernels, void *tables, struct network *network, struct error *error) {
    *network = (struct network){.net = weights->net, .weights = weights, .kernels = kernels, .deepest = deepest};
    const struct vgg_layer *first = &network->net.layer[0];
    char *memory = tables;
    int status = make_bias(weights, 0, network, error);
    if (!status)
        status = first_layer_make(weights_kernel(weights, 0), network->bias[0], first->out_channels, first->pooled,
                                  network->kernels, &network->first, error);
    for (int l = 1; l < deepest && !status; l++) {
        status = make_bias(weights, l, network, error);
        if (!status)
            memory = place_layer(octaves, l, memory, network);
    }
    return status;
}

void network_fill_tables(const struct network *network, int part, int parts) {
    for (int l = 1; l < network->deepest; l++)
        for (int i = 0; i < 4; i++) {
            enum winograd_direction direction = i / 2;
            enum winograd_tile tile = i % 2;
            const struct vgg_layer *shape = &network->net.layer[l];
            if (network->table[l][direction][tile])
                winograd_fill_table(network->layer[l].kernels[direction], tile, direction, shape->in_channels,
                                    shape->out_channels, weights_kernel(network->weights, l), part, parts,
                                    network->table[l][direction][tile]);
        }
}

void network_free(struct network *network) {
    first_layer_free(&network->first);
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        free(network->bias[l]);
}
