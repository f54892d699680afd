/* Loss and gradient of filters of a VGG network with respect to their pictures, for a batch of filters of one layer. */
#ifndef FILTERATLAS_NETWORK_H
#define FILTERATLAS_NETWORK_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/octaves.h"
#include "filteratlas/model/vgg.h"
#include "filteratlas/model/weights.h"
#include "filteratlas/net/first_layer.h"
#include "filteratlas/net/objective.h"
#include "filteratlas/net/winograd.h"

/* The network as the convolutions want it. */
struct network {
    struct vgg net;
    const struct weights *weights;
    const struct winograd_kernels *kernels;
    struct first_layer first;
    struct winograd_layer layer[VGG_MAX_LAYERS];   /* [0] is not used */
    struct winograd_layer precise[VGG_MAX_LAYERS]; /* the same for small pictures, where it has tables */
    float *bias[VGG_MAX_LAYERS];                   /* padded; owned */
    void *table[VGG_MAX_LAYERS][2][2];             /* [layer][direction][tile], NULL where not needed; not owned */
    int deepest;                                   /* layers 1 ... deepest - 1 have tables */
};

/* Bytes of the tables for drawing layers up to `deepest` at the sizes of octaves. Which tiles a layer uses, and so the
 * bits of the pictures, depends on the sizes, not on what is drawn. */
size_t network_table_bytes(const struct vgg *net, const struct octaves *octaves, int deepest,
                           const struct winograd_kernels *kernels);

/* Makes the network for drawing layers up to `deepest` at the sizes of octaves, with its tables at `tables`,
 * network_table_bytes of them, aligned to 64 bytes, in memory that processes may share. They must be filled before use;
 * they and *weights must outlive *network. Release with network_free, after a failure too. */
int network_place(const struct weights *weights, const struct octaves *octaves, int deepest,
                  const struct winograd_kernels *kernels, void *tables, struct network *network, struct error *error);
void network_free(struct network *network);

/* Fills a part of the tables, 0 <= part < parts, so that the processes that share them share the work: the tables are
 * complete when all parts are filled. */
void network_fill_tables(const struct network *network, int part, int parts);

/* Whether pictures of this size go through the first two blocks in the tiles with the smaller rounding errors. */
bool network_is_small(int height, int width);

/* Layer `layer` > 0 with the tables that it uses for pictures of that size. */
const struct winograd_layer *network_layer(const struct network *network, int layer, int height, int width);

/* What layer `layer` > 0 computes in, one way, where `precision` is asked for. */
enum winograd_precision network_precision(enum winograd_precision precision, int layer,
                                          enum winograd_direction direction);

/* The tiles that layer `layer` > 0 then works in, without a network: `height` and `width` are those of the picture. */
enum winograd_tile network_tile(const struct vgg *net, const struct octaves *octaves, enum winograd_precision precision,
                                int layer, enum winograd_direction direction, int height, int width);

/* On the way to `layer`, the first layer that all pictures of a batch of that size go through together; `layer` itself
 * if there is none. */
int network_first_joint(const struct vgg *net, int layer, int height, int width);

/* What network_gradients writes to on the way; the contents are of no account between two calls. One allocation. */
struct network_memory {
    float *arena;
    size_t bytes;
    float *activations[2];         /* outputs of layers l, and their gradients, in activations[l % 2] */
    size_t single[2];              /* floats at the beginning that belong to one picture at a time */
    uint8_t *gate[VGG_MAX_LAYERS]; /* [pictures][the layer's output] */
    float *z;                      /* the wanted channel before its ReLU, [height][width] */
    void *scratch;
};

/* Enough for up to `pictures` pictures at the sizes of octaves, of layers up to `deepest`. Release with
 * network_memory_free, after a failure too. */
int network_memory_make(const struct network *network, const struct octaves *octaves, int deepest, int pictures,
                        struct network_memory *memory, struct error *error);
void network_memory_free(struct network_memory *memory);

/* One filter's part in a batch. */
struct network_picture {
    int filter;
    const float *x;  /* [height][width][3] */
    float *gradient; /* [height][width][3], out: of the objective with respect to x. NULL for all pictures of a call:
                        only the loss is wanted */
    double loss;     /* out: as objective_turn returns it for the layer's channel `filter` */
};

/* Loss and gradient of count pictures of one size. A picture's numbers do not depend on the others, to the bit. The
 * size must be one that network and memory were made for, and not smaller than vgg_least_extent asks. *interrupt is
 * asked between two layers and two pictures: false if it ended the work, whose results are then undefined. */
bool network_gradients(const struct network *network, struct network_memory *memory, const struct objective *objective,
                       int layer, int height, int width, struct network_picture *pictures, int count,
                       const struct interrupt *interrupt);

/* Bytes that loss and gradient of `count` pictures read and write of memory at most: tables once for every block of
 * tiles that goes through the products together, maps and their gates at every layer, the pictures and their gradients.
 * Counted from the shapes: what caches hold from one use to the next is not moved, and of gradients that are zero less
 * is read. */
struct network_traffic {
    double tables, maps;
};
struct network_traffic network_traffic(const struct network *network, int layer, int height, int width, int count);

#endif
