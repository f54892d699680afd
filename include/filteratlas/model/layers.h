/* The layers of a network that a person can ask for by name, in the network's order. */
#ifndef FILTERATLAS_LAYERS_H
#define FILTERATLAS_LAYERS_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/graph.h"

#include <stdbool.h>

enum { LAYER_NAME_SIZE = GRAPH_NAME_SIZE, LAYERS_NETWORK_SIZE = 64 };

struct layer {
    char name[LAYER_NAME_SIZE]; /* of its folders and files: letters, digits, '_' and '-', unlike any other's even where
                                   capitals don't count; a VGG's convolutions are block1_conv1 ... */
    char own_name[GRAPH_NAME_SIZE]; /* the file's, which may hold anything: "vgg16/block1_conv1" */
    char class_name[32];            /* Keras's */
    int node;                       /* of the graph */
    int filters;
    bool usual; /* drawn where no layers are asked for: a convolution or, of a network without any, a dense layer */
};

struct layers {
    char network[LAYERS_NETWORK_SIZE]; /* "VGG16", else the network's own name in the same letters */
    bool vgg;                          /* a VGG11, 13, 16 or 19 */
    struct layer *layer;               /* [count], owned */
    int count;
};

/* The layers of a graph without normalisation, graph_fold; each that has a stage whose channels don't depend on the
 * picture's size. Release with layers_free, after a failure too. */
int layers_make(const struct graph *graph, struct layers *layers, struct error *error);
void layers_free(struct layers *layers);

/* The position of the layer with that name (not its own_name), -1 if there is none. */
int layers_find(const struct layers *layers, const char *name);

/* All filters of the usual layers. */
int layers_filters(const struct layers *layers);

#endif
