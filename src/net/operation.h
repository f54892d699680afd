/* The operations that a network is put together from, forward and back, each a table of functions. An operation here is
 * one or several nodes of a graph: a convolution with the normalisation and the activation behind it is one.
 *
 * A map is float [picture][height][width][stride], stride >= channels; what stands between channels and stride is of
 * no account but finite, and 0 in gradients. A picture's numbers do not depend, to the bit, on the other pictures of a
 * call. Nothing allocates or fails while it computes. */
#ifndef OPERATION_H
#define OPERATION_H

#include "activation.h"
#include "filteratlas/model/graph.h"
#include "filteratlas/net/winograd.h"

#include <stdbool.h>
#include <stddef.h>

struct map {
    int height, width, channels, stride;
};

/* Values of a map of that many pictures, strides included. */
size_t map_floats(const struct map *map, int pictures);

/* The stride that maps of so many channels have: up to 15 channels stand close together, more are padded as the
 * Winograd kernels want it. */
int map_stride(int channels);

struct operation_kind;

struct operation {
    const struct operation_kind *kind;
    const struct graph *graph;
    int node;      /* whose attributes and weights it has */
    int border[4]; /* zeros around, by a padding node in front that was taken in: above, below, left, right */
    struct activation activation;
    bool pooled;  /* a 2x2 maximum pooling behind the activation was taken in */
    float *scale; /* [channels]: normalisation taken into the weights; NULL: 1. owned */
    float *bias;  /* [stride], padded by 0; NULL: 0. owned */
    float *small; /* weights of kinds that need no tables; owned */
    const struct winograd_kernels *kernels;
    const struct loops *loops;
    float *panels[2];               /* [enum winograd_direction], of products; not owned */
    struct winograd_layer winograd; /* with its tables, not owned */
};

/* One operation at work. */
struct operation_call {
    const struct operation *operation;
    int pictures;
    const struct map *in; /* [the node's inputs] */
    struct map out;
    const float *const *x; /* [inputs] maps */
    float *y;              /* the output; NULL on the way back but for operations that keep it */
    void *notes;           /* what forward leaves for backward, note_bytes for each value of y */
    float *y_gradient;     /* may be overwritten */
    int which;             /* the input whose gradient is wanted */
    float *x_gradient;     /* of that input, written whole */
    float *scratch;        /* floats that scratch() asked for, aligned to 64 bytes; contents of no account */
};

struct operation_kind {
    bool activates;    /* forward and backward see to bias and activation; else the caller does */
    bool one_channel;  /* one channel alone can be computed: wanted_forward, wanted_backward */
    bool keeps_inputs; /* backward reads x */
    bool keeps_output; /* backward reads y */
    size_t note_bytes; /* for each value of y, besides those of the activation, which there is none of then */
    size_t (*scratch)(const struct operation_call *call); /* NULL: none */
    void (*forward)(const struct operation_call *call);
    void (*backward)(const struct operation_call *call);
};

extern const struct operation_kind product_convolution, winograd_convolution, transposed_convolution,
    depthwise_convolution, affine_operation, activation_operation, softmax_operation, pad_operation, crop_operation,
    max_pooling, average_pooling, global_max, global_average, upsampling, sum_join, product_join, maximum_join,
    concatenation, flattening;

/* The node that has the operation's attributes. */
const struct graph_node *operation_node(const struct operation *operation);

/* Its weights in the graph. */
const float *operation_weights(const struct operation *operation);

/* How a window moves over a map: what convolutions and poolings have in common. The map's values at [row * stride +
 * tap * dilation - before], of the channels from `channel` on. */
struct window {
    int height, width, map_stride; /* of the map under the window */
    int channel, channels;
    int rows, columns; /* positions of the window */
    int kernel[2], stride[2], dilation[2], before[2];
};

/* The window of an operation from map `in` to map `out`, over all of in's stride. */
struct window operation_window(const struct operation *operation, const struct map *in, const struct map *out);

/* Rows of a whole map with all of its stride, for bias and activation. */
struct activation_rows operation_rows(const struct map *out, int pictures);

#endif
