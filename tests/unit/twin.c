#include "twin.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS = 9, CLOSED = 4 };

static int shrink(const struct twin_layer *layer) { return layer->pooled ? 2 : 1; }

size_t twin_out_count(const struct twin_layer *layer, int height, int width) {
    return (size_t)(height / shrink(layer)) * (width / shrink(layer)) * layer->out_stride;
}

size_t twin_in_count(const struct twin_layer *layer, int height, int width) {
    return (size_t)height * width * layer->in_stride;
}

/* The position that a tap reads at (y, x), as a number; -1 outside the map. */
static ptrdiff_t neighbour(int y, int x, int tap, int height, int width) {
    int row = y + tap / 3 - 1, column = x + tap % 3 - 1;
    return row < 0 || row >= height || column < 0 || column >= width ? -1 : (ptrdiff_t)row * width + column;
}

/* to[count] += factor * from[count] */
static void add(const double *from, double factor, int count, double *to) {
    for (int i = 0; i < count; i++)
        to[i] += factor * from[i];
}

void twin_convolve(const struct twin_layer *layer, const double *in, int height, int width, double *z) {
    int outs = layer->out_channels;
    double *kernel = twin_widen(layer->kernel, (size_t)TAPS * layer->in_channels * outs);
    memset(z, 0, (size_t)height * width * layer->out_stride * sizeof *z);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, z += layer->out_stride) {
            for (int o = 0; o < outs; o++)
                z[o] = layer->bias[o];
            for (int tap = 0; tap < TAPS; tap++) {
                ptrdiff_t at = neighbour(y, x, tap, height, width);
                for (int i = 0; at >= 0 && i < layer->in_channels; i++)
                    if (in[at * layer->in_stride + i] != 0)
                        add(kernel + ((size_t)tap * layer->in_channels + i) * outs, in[at * layer->in_stride + i], outs,
                            z);
            }
        }
    free(kernel);
}

/* The first greatest of a window, whose first value is z; 0 and CLOSED if none is above 0. */
static double pool(const double *z, size_t row, size_t position, uint8_t *gate) {
    double greatest = 0;
    *gate = CLOSED;
    for (int place = 0; place < 4; place++) {
        double value = z[place / 2 * row + place % 2 * position];
        if (value > greatest) {
            greatest = value;
            *gate = (uint8_t)place;
        }
    }
    return greatest;
}

void twin_rectify(const struct twin_layer *layer, const double *z, int height, int width, double *out, uint8_t *gate) {
    int step = shrink(layer), stride = layer->out_stride;
    size_t row = (size_t)width * stride;
    for (int y = 0; y < height / step; y++)
        for (int x = 0; x < width / step; x++)
            for (int o = 0; o < stride; o++, out++, gate++) {
                const double *from = z + step * (y * row + (size_t)x * stride) + o;
                if (layer->pooled)
                    *out = pool(from, row, stride, gate);
                else
                    *out = (*gate = *from > 0 ? 255 : 0) ? *from : 0;
            }
}

/* The gradient before ReLU and pooling. */
static double *ungate(const struct twin_layer *layer, const double *gradient, const uint8_t *gate, int height,
                      int width) {
    int step = shrink(layer), stride = layer->out_stride;
    double *z = twin_zeros((size_t)height * width * stride);
    for (int y = 0; y < height / step; y++)
        for (int x = 0; x < width / step; x++)
            for (int o = 0; o < stride; o++, gradient++, gate++) {
                int row = step * y + (layer->pooled ? *gate / 2 : 0),
                    column = step * x + (layer->pooled ? *gate % 2 : 0);
                if (layer->pooled ? *gate < CLOSED : *gate)
                    z[((size_t)row * width + column) * stride + o] = *gradient;
            }
    return z;
}

/* The kernel as [3][3][out][in]. */
static double *turn_kernel(const struct twin_layer *layer) {
    int ins = layer->in_channels, outs = layer->out_channels;
    double *turned = twin_zeros((size_t)TAPS * ins * outs);
    for (int tap = 0; tap < TAPS; tap++)
        for (int i = 0; i < ins; i++)
            for (int o = 0; o < outs; o++)
                turned[((size_t)tap * outs + o) * ins + i] = layer->kernel[((size_t)tap * ins + i) * outs + o];
    return turned;
}

void twin_backward(const struct twin_layer *layer, const double *out_gradient, const uint8_t *gate, int height,
                   int width, double *in_gradient) {
    int ins = layer->in_channels, outs = layer->out_channels;
    double *z = ungate(layer, out_gradient, gate, height, width), *kernel = turn_kernel(layer), *from = z;
    memset(in_gradient, 0, twin_in_count(layer, height, width) * sizeof *in_gradient);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, from += layer->out_stride)
            for (int tap = 0; tap < TAPS; tap++) {
                ptrdiff_t at = neighbour(y, x, tap, height, width);
                for (int o = 0; at >= 0 && o < outs; o++)
                    if (from[o] != 0)
                        add(kernel + ((size_t)tap * outs + o) * ins, from[o], ins, in_gradient + at * layer->in_stride);
            }
    free(kernel);
    free(z);
}

static double weight(const struct twin_layer *layer, int tap, int in, int out) {
    return layer->kernel[((size_t)tap * layer->in_channels + in) * layer->out_channels + out];
}

void twin_channel_forward(const struct twin_layer *layer, int channel, const double *in, int height, int width,
                          double *z) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, z++) {
            *z = layer->bias[channel];
            for (int tap = 0; tap < TAPS; tap++) {
                ptrdiff_t at = neighbour(y, x, tap, height, width);
                for (int i = 0; at >= 0 && i < layer->in_channels; i++)
                    *z += in[at * layer->in_stride + i] * weight(layer, tap, i, channel);
            }
        }
}

void twin_channel_backward(const struct twin_layer *layer, int channel, const double *z_gradient, int height, int width,
                           double *in_gradient) {
    memset(in_gradient, 0, twin_in_count(layer, height, width) * sizeof *in_gradient);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, z_gradient++)
            for (int tap = 0; tap < TAPS; tap++) {
                ptrdiff_t at = neighbour(y, x, tap, height, width);
                for (int i = 0; at >= 0 && i < layer->in_channels; i++)
                    in_gradient[at * layer->in_stride + i] += *z_gradient * weight(layer, tap, i, channel);
            }
}

double *twin_zeros(size_t count) {
    double *zeros = calloc(count + 1, sizeof *zeros);
    assert_non_null(zeros);
    return zeros;
}

double *twin_widen(const float *values, size_t count) {
    double *wide = twin_zeros(count);
    for (size_t i = 0; i < count; i++)
        wide[i] = values[i];
    return wide;
}

double twin_error(const float *got, const double *wanted, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        norm += wanted[i] * wanted[i];
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

float random_float(void) {
    static uint64_t state = 1; /* Knuth's MMIX generator */
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (float)((double)(int64_t)state * 0x1p-63);
}

void random_map(float *map, size_t positions, int channels, int stride, float scale) {
    for (size_t p = 0; p < positions; p++)
        for (int c = 0; c < stride; c++)
            *map++ = c < channels ? scale * random_float() : 0;
}

/* Guards: the one in front also holds the size. ------------------------------------------------------------------ */

#ifdef __SANITIZE_ADDRESS__
enum { FRONT = 64, BACK = 0 };
#else
enum { FRONT = 64, BACK = 256 };
#endif

void *guarded_allocate(size_t bytes) {
    void *space = NULL;
    assert_int_equal(posix_memalign(&space, 64, FRONT + bytes + BACK), 0);
    unsigned char *memory = space;
    memset(memory, 0xff, FRONT + bytes + BACK);
    memcpy(memory, &bytes, sizeof bytes);
    return memory + FRONT;
}

float *guarded_floats(size_t count) { return guarded_allocate(count * sizeof(float)); }

void guarded_free(void *buffer) {
    if (!buffer)
        return;
    unsigned char *memory = (unsigned char *)buffer - FRONT;
    size_t bytes;
    memcpy(&bytes, memory, sizeof bytes);
    for (size_t i = sizeof bytes; i < FRONT; i++)
        assert_int_equal(memory[i], 0xff);
    for (int i = 0; i < BACK; i++)
        assert_int_equal(memory[FRONT + bytes + i], 0xff);
    free(memory);
}
