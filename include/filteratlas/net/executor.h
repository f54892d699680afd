/* Loss and gradient of the channels of any convolutional network with respect to their pictures, for a batch of filters
 * of one layer. A graph is prepared once: normalisation goes into the convolution in front of it, bias, activation and,
 * where the Winograd kernels can, 2x2 pooling into the operation they stand behind. Then every call runs the ancestors
 * of one layer's stage alone, forward and back, in memory that is shared out by when each map is last used: small maps
 * for all pictures of a batch together, large ones picture by picture. Of the last convolution only the one channel is
 * computed. The convolutions of a VGG go the way of struct network, bit for bit. One thread. */
#ifndef FILTERATLAS_EXECUTOR_H
#define FILTERATLAS_EXECUTOR_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/model/graph.h"
#include "filteratlas/model/octaves.h"
#include "filteratlas/net/network.h"
#include "filteratlas/net/objective.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>

struct executor;

/* Prepares graph, which must outlive it, for drawing layers at the sizes of octaves: layers[graph->nodes] marks the
 * nodes (with a stage) whose filters may be asked for. Which kernels a convolution uses, and so the bits of the
 * pictures, depends on the sizes, not on what is drawn. STATUS_USAGE if a map would be empty at the smallest size. */
int executor_make(const struct graph *graph, const struct octaves *octaves, const bool *layers,
                  const struct winograd_kernels *kernels, struct executor **executor, struct error *error);
void executor_free(struct executor *executor);

/* The same for executor_forward alone: one way through all the layers, for pictures of height x width. Half the tables.
 */
int executor_make_forward(const struct graph *graph, int height, int width, const bool *layers,
                          const struct winograd_kernels *kernels, struct executor **executor, struct error *error);

/* Bytes of the packed weights, which processes may share. */
size_t executor_table_bytes(const struct executor *executor);

/* Has them at `tables`, executor_table_bytes of them, aligned to 64 bytes, which must outlive the executor and be
 * filled before use. Fails only for want of memory. */
int executor_place(struct executor *executor, void *tables, struct error *error);

/* Fills a part of the tables, 0 <= part < parts, so that the processes that share them share the work: they are
 * complete when all parts are filled. Fails only for want of memory. */
int executor_fill_tables(const struct executor *executor, int part, int parts, struct error *error);

/* The graph it was made of. */
const struct graph *executor_graph(const struct executor *executor);

/* Whether it was made for a layer; of a VGG it can draw all convolutions up to the last of those. */
bool executor_has_layer(const struct executor *executor, int layer);

/* Filters of a layer, and whether its stage is a ReLU, if only up to a greatest value: a channel that is silent then
 * has no gradient. */
int executor_filters(const struct executor *executor, int layer);
bool executor_rectifies(const struct executor *executor, int layer);

/* A layer's number in the noise's key, and the channels of the pictures. */
int executor_number(const struct executor *executor, int layer);
int executor_channels(const struct executor *executor);

/* What executor_gradients writes to on the way; the contents are of no account between two calls. */
struct executor_memory;

/* Enough for up to `pictures` pictures, of every layer and size the executor was made for. */
int executor_memory_make(const struct executor *executor, int pictures, struct executor_memory **memory,
                         struct error *error);
void executor_memory_free(struct executor_memory *memory);
double executor_memory_bytes(const struct executor_memory *memory);

/* Loss and gradient of count pictures of one size, [height][width][the input's channels], of the channels `filter` of
 * the stage of a layer. A picture's numbers do not depend on the others, to the bit. Where the stage is a plain ReLU,
 * the objective is as objective_turn has it; else the loss is the mean of the stage over the positions that count. Size
 * and layer must be among those that executor and memory were made for. *interrupt is asked between two operations:
 * false if it ended the work, whose results are then undefined. */
bool executor_gradients(const struct executor *executor, struct executor_memory *memory,
                        const struct objective *objective, int layer, int height, int width,
                        struct network_picture *pictures, int count, const struct interrupt *interrupt);

/* The map of a layer's stage: values [height][width][stride], of each position `channels`. */
struct executor_map {
    const float *values;
    int height, width, stride, channels;
};

/* One picture x [height][width][the input's channels] forward; `look` is called with each layer's map as soon as it is
 * there. With memory for one picture. False if interrupted. */
bool executor_forward(const struct executor *executor, struct executor_memory *memory, const float *x,
                      void (*look)(void *context, int layer, const struct executor_map *map), void *context,
                      const struct interrupt *interrupt);

/* What loss and gradient of pictures take, forward and back, for a rule of seconds. */
struct executor_work {
    double products;             /* floating-point operations of products with packed weights, Winograd's included */
    double transforms[2];        /* Winograd's, [enum winograd_tile]: tiles times channels, in and out */
    double depthwise;            /* floating-point operations of depthwise convolutions */
    double channel;              /* and of the one wanted channel */
    double slopes;               /* values of activations whose slope has to be worked out */
    double moved;                /* bytes read and written by all that only passes over maps */
    double tables, group_tables; /* bytes of weights read for each picture, and for each group of pictures */
    int together;                /* pictures of a group, at most */
};

/* The work of each picture at an octave, but for group_tables. The layer is one that the executor was made for and that
 * executor_vgg_layer does not know. */
int executor_count_work(const struct executor *executor, int layer, int octave, struct executor_work *work,
                        struct error *error);

/* What loss and gradient of `count` pictures at an octave read and write of memory (network_traffic), by an executor
 * that was placed. Of other networks than a VGG tables count once for every picture or group of pictures, and maps
 * where they are only passed over. */
int executor_traffic(const struct executor *executor, int layer, int octave, int count, struct network_traffic *traffic,
                     struct error *error);

/* The VGG whose convolutions struct network computes, and which of them a layer is; -1 if it is none. */
int executor_vgg_layer(const struct executor *executor, int layer, const struct vgg **net);

#endif
