/* The weights of a VGG network, out of any file that model_file.h reads. */
#ifndef FILTERATLAS_WEIGHTS_H
#define FILTERATLAS_WEIGHTS_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/graph.h"
#include "filteratlas/model/vgg.h"

#include <stdbool.h>
#include <stddef.h>

enum { WEIGHTS_LAYOUT_SIZE = 96, WEIGHTS_SHA256_SIZE = 65 };

struct weights {
    struct vgg net;
    char layout[WEIGHTS_LAYOUT_SIZE]; /* for people: "Keras weights (layer_names), kernels HWIO, float16" */
    char sha256[WEIGHTS_SHA256_SIZE]; /* of the whole file, lower-case hexadecimal; with a description beside it, of the
                                         digests of both */
    size_t count;                     /* floats in values */
    float *values;                    /* per layer: kernel [3][3][in][out], then bias [out]; owned */
};

/* Reads and checks a file, with the description in the file `config` unless that is NULL: 3x3 kernels, channels that
 * chain from 3, one bias per output channel, finite values, 8, 10, 13 or 16 convolutions, each with a ReLU, and the
 * poolings of VGG11, 13, 16 or 19. Batch normalisation is folded into the convolutions, a dense top is passed over. A
 * file that can't be used, another network's among them, is STATUS_USAGE with a message that names file and layer;
 * nothing is printed by HDF5 itself. On success the caller releases *weights with weights_free; on failure it holds
 * nothing. */
int weights_read(const char *path, const char *config, struct weights *weights, struct error *error);

/* Whether a graph without normalisation is a VGG's up to a dense top: its topology and the nodes of its convolutions.
 * STATUS_USAGE and a message that begins with `path` say why it is not. */
int weights_find_vgg(const struct graph *graph, const char *path, struct vgg *net, int nodes[VGG_MAX_LAYERS],
                     struct error *error);

/* The weights of a graph that is a VGG's, also STATUS_USAGE if it is none: in the graph, of which the caller must then
 * not free them (*borrows), if graph_pack has laid them so, else a copy. */
int weights_of_graph(const struct graph *graph, struct weights *weights, bool *borrows, struct error *error);

/* The kernel [3][3][in][out] (row, column, input channel, output channel) and the bias [out] of a layer. */
const float *weights_kernel(const struct weights *weights, int layer);
const float *weights_bias(const struct weights *weights, int layer);

void weights_free(struct weights *weights);

#endif
