/* A convolutional network as a graph of operations: what a reader makes of a Keras file, and what all behind it
 * computes. Nodes stand in an order in which every node comes after its inputs. A picture goes in at node 0; maps are
 * [height][width][channels], vectors maps of 1 x 1. Plain data without pointers into itself but the four arrays, so
 * that it can be sent between ranks as bytes. */
#ifndef FILTERATLAS_GRAPH_H
#define FILTERATLAS_GRAPH_H

#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    GRAPH_NAME_SIZE = 128,      /* of a node's name, Keras's own, through sub-models "vgg16/block1_conv1" */
    GRAPH_MAX_NODES = 65536,    /* beyond reason: refused */
    GRAPH_MAX_CHANNELS = 65536, /* of a map; of a dense layer ten times as many */
    GRAPH_MAX_EXTENT = 1 << 20  /* height and width of a map, and what a flattened one may hold */
};

/* A place in graph->values where there is none. */
#define GRAPH_NOTHING ((size_t)-1)

enum graph_operation {
    GRAPH_INPUT,       /* node 0: `channels` of 1, 3 or 4 */
    GRAPH_CONVOLUTION, /* kernel [kh][kw][in / groups][channels]; output channels in consecutive blocks per group */
    GRAPH_DEPTHWISE,   /* kernel [kh][kw][in][multiplier]; output channel c * multiplier + m */
    GRAPH_TRANSPOSED,  /* Conv2DTranspose: kernel [kh][kw][channels][in] */
    GRAPH_DENSE,       /* over the channels at each position: kernel [in][channels] */
    GRAPH_AFFINE,      /* per channel weights[c] * x + bias[c]: normalisation and rescaling, with their epsilon in */
    GRAPH_ACTIVATION,  /* `function` of each value, softmax over the channels */
    GRAPH_PAD,         /* zeros around: border */
    GRAPH_CROP,        /* border taken away */
    GRAPH_MAX_POOLING, /* padding is ignored */
    GRAPH_AVERAGE_POOLING, /* divides by the number of real pixels */
    GRAPH_GLOBAL_MAX,      /* over height and width */
    GRAPH_GLOBAL_AVERAGE,
    GRAPH_UPSAMPLE, /* by `stride`, nearest or bilinear */
    GRAPH_ADD,      /* of all inputs; 1 x 1 maps and single channels are spread over the others */
    GRAPH_SUBTRACT, /* first minus second */
    GRAPH_MULTIPLY,
    GRAPH_AVERAGE,
    GRAPH_MAXIMUM,
    GRAPH_CONCATENATE, /* along the channels */
    GRAPH_FLATTEN      /* a map to a vector, [height][width][channels] in this order */
};

/* As the Keras layers and functions of these names compute them; parameters in node->parameter. */
enum graph_function {
    GRAPH_LINEAR,
    GRAPH_RELU,  /* max_value (INFINITY: none), negative slope, threshold: x >= max ? max : x >= t ? x : slope * (x - t)
                  */
    GRAPH_PRELU, /* slopes at `weights`: [channels], or [height][width][channels] if `full`, with height and width in
                    `kernel` */
    GRAPH_ELU,   /* alpha */
    GRAPH_SELU,
    GRAPH_SWISH,
    GRAPH_GELU,      /* exact, erf */
    GRAPH_GELU_TANH, /* approximate=True */
    GRAPH_SIGMOID,
    GRAPH_HARD_SIGMOID, /* clip(parameter[0] * x + 0.5, 0, 1): 0.2 in Keras 1 and 2, 1/6 in Keras 3 */
    GRAPH_TANH,
    GRAPH_SOFTPLUS,
    GRAPH_SOFTSIGN,
    GRAPH_EXPONENTIAL,
    GRAPH_SOFTMAX
};

/* What an operation has no use for is 0; kernel, stride, dilation are [rows, columns]. */
struct graph_node {
    char name[GRAPH_NAME_SIZE];
    char class_name[32]; /* Keras's, "SeparableConv2D", for people */
    enum graph_operation operation;
    enum graph_function function;
    float parameter[3];
    int first_input, inputs; /* graph->input[first_input ... first_input + inputs - 1] */
    int consumers;           /* how many inputs it is, those of layers that were left out too */
    int in_channels;         /* of an operation with weights: the channels it takes */
    int channels;            /* of the output; 0 where it depends on the size (GRAPH_FLATTEN) */
    int kernel[2], stride[2], dilation[2], groups;
    bool same; /* padding "same", else "valid": out = ceil(n / stride), the odd zero at the far end */
    bool bilinear, full;
    int border[4];        /* rows above, below, columns left, right, of GRAPH_PAD and GRAPH_CROP */
    size_t weights, bias; /* places in graph->values, GRAPH_NOTHING */
    int stage;            /* of a layer that a person can ask for: the node whose channels are its filters; else -1 */
    int number;           /* of such a layer: first the convolutions are counted, then the others; for the noise */
};

struct graph {
    char name[GRAPH_NAME_SIZE];          /* the network's */
    char left_out[GRAPH_NAME_SIZE + 48]; /* the first layer that isn't known, "lambda (Lambda)": it and what stands
                                            behind it have no nodes; "" if all have */
    int nodes, inputs;
    size_t value_count;
    struct graph_node *node; /* [nodes], owned */
    int *input;              /* [inputs], owned */
    float *values;           /* [value_count], owned */
    int height, width;       /* the network's own input size, 0 if it takes any */
};

/* The node that is input i of a node. */
static inline int graph_input(const struct graph *graph, int node, int i) {
    return graph->input[graph->node[node].first_input + i];
}

struct graph_shape {
    int height, width, channels;
};

/* Appends a node with its inputs, by number; returns its number, -1 and an error if there is no memory or too many, or
 * if its channels can't be. The node's first_input, inputs and consumers are set here, and its channels, but for those
 * of operations that bring their own (input, convolutions, dense). Start with a graph of zeros. A layer of several
 * nodes (a convolution and its own activation, the halves of a separable one) gives all of them its name. */
int graph_append(struct graph *graph, const struct graph_node *node, const int *inputs, int count, struct error *error);

/* Takes `count` values into the graph, for the caller to fill; returns their place, GRAPH_NOTHING and an error.
 * Pointers into graph->values last until the next call. */
size_t graph_reserve(struct graph *graph, size_t count, struct error *error);

/* The shape of every node's output, shapes[nodes], for a picture of height x width. STATUS_USAGE names a node that
 * would be empty, or whose inputs don't fit. Only the ancestors of `target` are looked at, all if it is -1; others get
 * zeros. */
int graph_shapes(const struct graph *graph, int height, int width, int target, struct graph_shape *shapes,
                 struct error *error);

/* The shapes of all nodes that have one at this size; the others, and what depends on them, get zeros. */
int graph_possible_shapes(const struct graph *graph, int height, int width, struct graph_shape *shapes,
                          struct error *error);

/* Which nodes `target` depends on, itself included: needed[nodes]. */
void graph_ancestors(const struct graph *graph, int target, bool *needed);

/* Zeros that padding "same" puts before an extent of n, and the output's extent; for "valid" none. */
int graph_window(int n, int kernel, int stride, int dilation, bool same, int *before);

/* Once all nodes are there: sets `stage` and `number` of what a person can ask for by name, a convolution, a dense
 * layer, a join, an activation. The stage is the activation behind the layer, reached through batch normalisation alone
 * and as long as nothing else reads what lies between; where none is, the last of these nodes. */
int graph_mark_stages(struct graph *graph, struct error *error);

/* Folds affine nodes into the convolution or dense layer in front of each that nothing else reads: the same network
 * with fewer nodes. Node numbers change, and stages are marked anew. */
int graph_fold(struct graph *graph, struct error *error);

/* Lays the values anew, node by node, the weights of each and then its bias, without those that no node uses any more:
 * kernels and biases of a VGG then stand as struct weights wants them. */
int graph_pack(struct graph *graph, struct error *error);

/* The node of that name whose stage can be drawn, -1 if there is none. */
int graph_find(const struct graph *graph, const char *name);

/* The least extent n for which a picture of n x n gives graph_shapes of target; 0 if there is none up to 1024. */
int graph_least_extent(const struct graph *graph, int target);

/* Whether a node depends on a flattened map or on slopes for each place, which hold for one size alone. */
bool graph_needs_size(const struct graph *graph, int target);

/* What a position of a map sees of the picture, along rows and columns: the pixels from `first` to `last`, moved by
 * `step` with each position; they may lie outside of it, and are infinite behind what sees all of it. */
struct graph_field {
    double step[2], first[2], last[2];
};

/* That of a node, in a picture of height x width. What is spread over a map, a gate's single values, is not counted.
 * STATUS_USAGE as graph_shapes. */
int graph_find_field(const struct graph *graph, int target, int height, int width, struct graph_field *field,
                     struct error *error);

/* Weights and biases of a node; of an affine one what it multiplies by and adds. */
size_t graph_node_parameters(const struct graph_node *node);

/* Multiplications and additions that loss and gradient of one filter of a layer take at one size, forward and back; of
 * the layer itself only the one channel. STATUS_USAGE as graph_shapes. */
int graph_gradient_flops(const struct graph *graph, int layer, int height, int width, double *flops,
                         struct error *error);

/* Multiplications and additions of a node forward, for these shapes. */
double graph_node_flops(const struct graph *graph, int node, const struct graph_shape *shapes);

void graph_free(struct graph *graph);

#endif
