#include "filteratlas/image/resize.h"

#include <math.h>
#include <stdlib.h>

enum { CHANNELS = 3, PRECISION = 22 }; /* fractional bits of a coefficient */

/* For each output position along one axis the input positions it is made of and their weights. */
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

/* For the output positions first ... first + count - 1 of `out`. */
static int taps_make(int in, int out, int first, int count, struct taps *taps, struct error *error) {
    double ratio = (double)in / out, scale = ratio < 1 ? 1 : ratio;
    *taps = (struct taps){.most = (int)ceil(2 * scale) * 2 + 1};
    double *weights = malloc(taps->most * sizeof *weights);
    taps->first = malloc(count * sizeof *taps->first);
    taps->count = malloc(count * sizeof *taps->count);
    taps->weights = calloc((size_t)count * taps->most, sizeof *taps->weights);
    int status = STATUS_OK;
    if (weights && taps->first && taps->count && taps->weights) {
        for (int i = 0; i < count; i++)
            taps_position(taps, i, (first + i + 0.5) * ratio, scale, in, weights);
    } else {
        status = error_memory(error, (double)count * taps->most * sizeof(int), "resize coefficients");
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

struct resize {
    struct resize_window window;
    struct taps horizontal, vertical;
    int first, rows;  /* of the input that the window is made of */
    uint8_t *between; /* [rows][window.width][3] */
};

static int make_parts(int in_width, int in_height, int out_width, int out_height, struct resize *resize,
                      struct error *error) {
    const struct resize_window *window = &resize->window;
    struct taps *vertical = &resize->vertical;
    int status = taps_make(in_width, out_width, window->x, window->width, &resize->horizontal, error);
    if (!status)
        status = taps_make(in_height, out_height, window->y, window->height, vertical, error);
    if (status)
        return status;
    int last = window->height - 1;
    resize->first = vertical->first[0];
    resize->rows = vertical->first[last] + vertical->count[last] - resize->first;
    size_t bytes = (size_t)resize->rows * window->width * CHANNELS;
    resize->between = malloc(bytes);
    return resize->between ? STATUS_OK : error_memory(error, (double)bytes, "resizing a picture");
}

int resize_make(int in_width, int in_height, int out_width, int out_height, const struct resize_window *window,
                struct resize **resize, struct error *error) {
    *resize = calloc(1, sizeof **resize);
    if (!*resize)
        return error_memory(error, sizeof **resize, "resizing a picture");
    (*resize)->window = *window;
    return make_parts(in_width, in_height, out_width, out_height, *resize, error);
}

void resize_free(struct resize *resize) {
    if (!resize)
        return;
    taps_free(&resize->horizontal);
    taps_free(&resize->vertical);
    free(resize->between);
    free(resize);
}

void resize_row(struct resize *resize, int y, const uint8_t *row) {
    const struct taps *taps = &resize->horizontal;
    int width = resize->window.width;
    if (y < resize->first || y >= resize->first + resize->rows)
        return;
    uint8_t *output = resize->between + (size_t)(y - resize->first) * width * CHANNELS;
    for (int x = 0; x < width; x++)
        for (int c = 0; c < CHANNELS; c++)
            *output++ = weighted(row + (size_t)taps->first[x] * CHANNELS + c, CHANNELS,
                                 taps->weights + (size_t)x * taps->most, taps->count[x]);
}

void resize_finish(const struct resize *resize, uint8_t *output) {
    const struct taps *taps = &resize->vertical;
    size_t stride = (size_t)resize->window.width * CHANNELS;
    for (int y = 0; y < resize->window.height; y++)
        for (size_t i = 0; i < stride; i++)
            *output++ = weighted(resize->between + (size_t)(taps->first[y] - resize->first) * stride + i, stride,
                                 taps->weights + (size_t)y * taps->most, taps->count[y]);
}

int resize_bicubic(const uint8_t *input, int in_width, int in_height, uint8_t *output, int out_width, int out_height,
                   struct error *error) {
    const struct resize_window whole = {0, 0, out_width, out_height};
    struct resize *resize;
    int status = resize_make(in_width, in_height, out_width, out_height, &whole, &resize, error);
    for (int y = 0; y < in_height && !status; y++)
        resize_row(resize, y, input + (size_t)y * in_width * CHANNELS);
    if (!status)
        resize_finish(resize, output);
    resize_free(resize);
    return status;
}
