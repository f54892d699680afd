#include "resize.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 3, PRECISION = 22 }; /* fractional bits of a coefficient */

/* For each output position along one axis the input positions it draws on and their weights. */
struct taps {
    int most;     /* coefficients kept per output position */
    int *first;   /* [out] first input position */
    int *count;   /* [out] number of input positions */
    int *weights; /* [out][most] fixed point, PRECISION fractional bits */
};

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static void taps_free(struct taps *taps) {
    free(taps->first);
    free(taps->count);
    free(taps->weights);
}

static int fixed_point(double weight) { return (int)((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION)); }

/* Weights of one output position whose centre lies at `centre` of an input axis of length `in`. */
static void taps_position(struct taps *taps, int out, double centre, double scale, int in, double *weights) {
    double support = 2 * scale, sum = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    last = last > in ? in : last;
    for (int i = first; i < last; i++)
        sum += weights[i - first] = bicubic((i - centre + 0.5) * (1 / scale));
    for (int i = 0; i < last - first; i++)
        taps->weights[(size_t)out * taps->most + i] = fixed_point(sum != 0 ? weights[i] / sum : weights[i]);
    taps->first[out] = first;
    taps->count[out] = last - first;
}

static int taps_make(int in, int out, struct taps *taps, struct error *error) {
    double ratio = (double)in / out, scale = ratio < 1 ? 1 : ratio;
    *taps = (struct taps){.most = (int)ceil(2 * scale) * 2 + 1};
    double *weights = malloc(taps->most * sizeof *weights);
    taps->first = malloc(out * sizeof *taps->first);
    taps->count = malloc(out * sizeof *taps->count);
    taps->weights = calloc((size_t)out * taps->most, sizeof *taps->weights);
    int status = STATUS_OK;
    if (weights && taps->first && taps->count && taps->weights) {
        for (int i = 0; i < out; i++)
            taps_position(taps, i, (i + 0.5) * ratio, scale, in, weights);
    } else {
        status = error_memory(error, (double)out * taps->most * sizeof(int), "resize coefficients");
    }
    free(weights);
    return status;
}

/* The weighted sum of `count` samples that lie `stride` bytes apart, clipped to 8 bits. */
static uint8_t weighted(const uint8_t *input, size_t stride, const int *weights, int count) {
    int sum = 1 << (PRECISION - 1);
    for (int i = 0; i < count; i++)
        sum += input[i * stride] * weights[i];
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void resize_rows(const uint8_t *input, int in_width, int height, uint8_t *output, int out_width,
                        const struct taps *taps) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < out_width; x++)
            for (int c = 0; c < CHANNELS; c++)
                output[((size_t)y * out_width + x) * CHANNELS + c] =
                    weighted(input + ((size_t)y * in_width + taps->first[x]) * CHANNELS + c, CHANNELS,
                             taps->weights + (size_t)x * taps->most, taps->count[x]);
}

static void resize_columns(const uint8_t *input, int width, uint8_t *output, int out_height, const struct taps *taps) {
    size_t stride = (size_t)width * CHANNELS;
    for (int y = 0; y < out_height; y++)
        for (size_t i = 0; i < stride; i++)
            output[y * stride + i] = weighted(input + taps->first[y] * stride + i, stride,
                                              taps->weights + (size_t)y * taps->most, taps->count[y]);
}

int resize_bicubic(const uint8_t *input, int in_width, int in_height, uint8_t *output, int out_width, int out_height,
                   struct error *error) {
    struct taps horizontal = {0}, vertical = {0};
    size_t bytes = (size_t)in_height * out_width * CHANNELS;
    uint8_t *between = malloc(bytes); /* [in_height][out_width][3] */
    int status = between ? STATUS_OK : error_memory(error, (double)bytes, "resizing a picture");
    if (!status)
        status = taps_make(in_width, out_width, &horizontal, error);
    if (!status)
        status = taps_make(in_height, out_height, &vertical, error);
    if (!status) {
        resize_rows(input, in_width, in_height, between, out_width, &horizontal);
        resize_columns(between, out_width, output, out_height, &vertical);
    }
    taps_free(&horizontal);
    taps_free(&vertical);
    free(between);
    return status;
}
