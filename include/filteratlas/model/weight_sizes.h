/* What the weights of a layer look like: how their sizes |w| are distributed, and which channels cannot fire. */
#ifndef FILTERATLAS_WEIGHT_SIZES_H
#define FILTERATLAS_WEIGHT_SIZES_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/weights.h"

#include <stdbool.h>
#include <stddef.h>

/* Bin b holds sizes from 10^(LEAST + b / PER_DECADE) on; the first also all below it, the last all above it. */
enum { WEIGHT_SIZES_LEAST = -5, WEIGHT_SIZES_PER_DECADE = 4, WEIGHT_SIZES_DECADES = 6 };
enum { WEIGHT_SIZES_BINS = WEIGHT_SIZES_DECADES * WEIGHT_SIZES_PER_DECADE };

struct weight_sizes {
    float least, median, greatest; /* of |w|; of an even number of weights the lower of the two medians */
    size_t bin[WEIGHT_SIZES_BINS];
};

/* Of values [count], at least one, all finite. Fails only without memory. */
int weight_sizes_measure(const float *values, size_t count, struct weight_sizes *sizes, struct error *error);

/* Marks in silent[out_channels] the channels of a layer that can never fire: whose output before ReLU is at most 0 for
 * every picture, since no weight and no bias could make it positive. Inputs of the first layer have either sign, so
 * there a channel is silent if all its weights are 0 and its bias is not positive; inputs of the others are at least 0,
 * so it is silent if its weights are not positive either, where the weights on silent inputs don't count. This proves
 * silence and misses some: what isn't marked may still never fire. Call it layer by layer: input_silent[in_channels] is
 * what it marked in the layer before (the first layer ignores it). Returns how many it marked. */
int weight_sizes_mark_silent(const struct weights *weights, int layer, const bool *input_silent, bool *silent);

#endif
