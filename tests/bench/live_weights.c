#include "live_weights.h"

#include "../unit/weights_writer.h"

#include <stdio.h>
#include <stdlib.h>

struct weights live_weights_make(void) {
    struct weights_recipe recipe = weights_recipe(13, 1);
    struct weights weights = {.values = weights_recipe_values(&recipe)};
    struct error error;
    if (vgg_make(recipe.layers, recipe.widths, &weights.net, &error)) {
        fprintf(stderr, "bench: %s\n", error.message);
        exit(1);
    }
    for (int l = 0; l < weights.net.layers; l++)
        weights.count += vgg_parameters(&weights.net.layer[l]);
    return weights;
}

void live_weights_wake(struct weights *weights, int layer) {
    float *bias = weights->values + (weights_bias(weights, layer) - weights->values);
    for (int o = 0; o < weights->net.layer[layer].out_channels; o++)
        bias[o] += LIVE_BIAS;
}
