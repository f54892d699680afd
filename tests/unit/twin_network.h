/* The slow twin of a network: one picture through all layers, in double precision and plain loops, and back. Maps have
 * no padding. */
#ifndef TESTS_TWIN_NETWORK_H
#define TESTS_TWIN_NETWORK_H

#include "filteratlas/net/network.h"
#include "twin.h"

/* All maps of one picture. End with twin_end. */
struct twin_pass {
    const struct weights *weights;
    int height, width, layers;
    struct twin_layer layer[VGG_MAX_LAYERS];
    double *in[VGG_MAX_LAYERS]; /* input of each layer */
    uint8_t *gate[VGG_MAX_LAYERS];
};

/* x [height][width][3] through the layers before `layers`, which gives the input of the layer after them. */
struct twin_pass twin_run(const struct weights *weights, int layers, const float *x, int height, int width);
void twin_end(struct twin_pass *pass);

/* Extents of the map a layer works on. */
int twin_height(const struct twin_pass *pass, int layer);
int twin_width(const struct twin_pass *pass, int layer);

/* One filter's map before its ReLU. The caller frees it. */
double *twin_z(const struct twin_pass *pass, int layer, int filter);

/* The gradient at the picture, given that at z and the gates of all layers below. The caller frees it. */
double *twin_gradient(const struct twin_pass *pass, int layer, int filter, const double *z_gradient,
                      uint8_t *const *gates);

/* The gates below `layer` that network_gradients left in memory for its only picture, to be freed by guarded_free. */
void twin_copy_gates(const struct twin_pass *pass, const struct network_memory *memory, int layer, uint8_t **gates);

#endif
