#include "filteratlas/model/weight_sizes.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS = 9, LOW_BITS = 15, HIGH_COUNT = 1 << 16, LOW_COUNT = 1 << LOW_BITS };

/* The bits of |w|, 31 of them, which are in the order of the sizes. */
static uint32_t size_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffff;
}

/* The bucket that holds rank *rank, which becomes the rank within it. */
static uint32_t find_bucket(const uint32_t *counts, size_t *rank) {
    uint32_t bucket = 0;
    while (*rank >= counts[bucket])
        *rank -= counts[bucket++];
    return bucket;
}

/* The median by two passes of counting, first by the upper bits, then by the lower ones: sorting the 2.4 million
 * weights of a layer would take a hundred times as long. counts: [HIGH_COUNT] */
static float find_median(const float *values, size_t count, uint32_t *counts) {
    size_t rank = (count - 1) / 2;
    memset(counts, 0, HIGH_COUNT * sizeof *counts);
    for (size_t i = 0; i < count; i++)
        counts[size_bits(values[i]) >> LOW_BITS]++;
    uint32_t high = find_bucket(counts, &rank);
    memset(counts, 0, LOW_COUNT * sizeof *counts);
    for (size_t i = 0; i < count; i++)
        if (size_bits(values[i]) >> LOW_BITS == high)
            counts[size_bits(values[i]) & (LOW_COUNT - 1)]++;
    uint32_t bits = high << LOW_BITS | find_bucket(counts, &rank);
    float median;
    memcpy(&median, &bits, sizeof median);
    return median;
}

static int bin_of(float size) {
    if (size <= 0)
        return 0;
    double bin = floor((log10(size) - WEIGHT_SIZES_LEAST) * WEIGHT_SIZES_PER_DECADE);
    return (int)fmin(fmax(bin, 0), WEIGHT_SIZES_BINS - 1);
}

int weight_sizes_measure(const float *values, size_t count, struct weight_sizes *sizes, struct error *error) {
    uint32_t *counts = malloc(HIGH_COUNT * sizeof *counts);
    if (!counts)
        return error_memory(error, HIGH_COUNT * (double)sizeof *counts, "counting weights");
    *sizes = (struct weight_sizes){.least = INFINITY};
    for (size_t i = 0; i < count; i++) {
        float size = fabsf(values[i]);
        sizes->least = fminf(sizes->least, size);
        sizes->greatest = fmaxf(sizes->greatest, size);
        sizes->bin[bin_of(size)]++;
    }
    sizes->median = find_median(values, count, counts);
    free(counts);
    return STATUS_OK;
}

int weight_sizes_mark_silent(const struct weights *weights, int layer, const bool *input_silent, bool *silent) {
    const struct vgg_layer *shape = &weights->net.layer[layer];
    const float *kernel = weights_kernel(weights, layer), *bias = weights_bias(weights, layer); /* [tap][in][out] */
    int marked = 0;
    for (int o = 0; o < shape->out_channels; o++)
        silent[o] = !(bias[o] > 0);
    for (int tap = 0; tap < TAPS; tap++)
        for (int i = 0; i < shape->in_channels; i++, kernel += shape->out_channels)
            for (int o = 0; o < shape->out_channels && (!layer || !input_silent[i]); o++)
                silent[o] &= layer ? !(kernel[o] > 0) : kernel[o] == 0;
    for (int o = 0; o < shape->out_channels; o++)
        marked += silent[o];
    return marked;
}
