/* Loss and gradient of filters of a VGG network with respect to the picture. */
#ifndef FILTERATLAS_NETWORK_H
#define FILTERATLAS_NETWORK_H

#include "filteratlas/convolution.h"
#include "filteratlas/error.h"
#include "filteratlas/vgg.h"
#include "filteratlas/weights.h"

struct network {
    struct vgg net;
    struct convolution layer[VGG_MAX_LAYERS];
};

/* Lays out the weights for the convolutions; nothing of *weights is kept. Release with network_free, after a failure
 * too. */
int network_make(const struct weights *weights, struct network *network, struct error *error);
void network_free(struct network *network);

/* What one call of network_gradient writes to on the way: activations, gates, scratch. */
struct network_memory {
    float *activations[2]; /* the input and output of a layer, alternating; also for gradients */
    float *z;              /* the wanted channel before its ReLU [height][width] */
    float *scratch;
    uint8_t *gate[VGG_MAX_LAYERS];
};

/* Enough for pictures up to height x width and layers up to `layer`. Release with network_memory_free, after a failure
 * too. */
int network_memory_make(const struct network *network, int layer, int height, int width, struct network_memory *memory,
                        struct error *error);
void network_memory_free(struct network_memory *memory);

/* x [height][width][3] -> the loss, the mean over all positions of the layer's output (after ReLU) in channel `filter`,
 * and its gradient [height][width][3]. The picture must not be smaller than vgg_least_extent asks. */
double network_gradient(const struct network *network, struct network_memory *memory, int layer, int filter,
                        const float *x, int height, int width, float *gradient);

#endif
