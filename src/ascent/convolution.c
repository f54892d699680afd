#include "filteratlas/convolution.h"

#include "filteratlas/gemm.h"
#include "filteratlas/vgg.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAPS = 9,
    VECTOR = 16,             /* floats of the widest vector register */
    COLUMNS_FLOATS = 1 << 18 /* a block of im2col rows: 1 MB, about an L2 cache */
};

int convolution_stride(int channels) {
    return channels <= VGG_INPUT_CHANNELS ? channels : (channels + VECTOR - 1) / VECTOR * VECTOR;
}

/* kernel [9][in][out] -> forward [9][in_stride][out_stride] and backward [9][out_stride][in_stride]. */
static void lay_out_kernel(struct convolution *layer, const float *kernel) {
    size_t is = layer->in_stride, os = layer->out_stride;
    for (int tap = 0; tap < TAPS; tap++)
        for (int i = 0; i < layer->in_channels; i++)
            for (int o = 0; o < layer->out_channels; o++) {
                float value = *kernel++;
                layer->forward[((size_t)tap * is + i) * os + o] = value;
                layer->backward[((size_t)(TAPS - 1 - tap) * os + o) * is + i] = value;
            }
}

int convolution_make(int in_channels, int out_channels, bool pooled, const float *kernel, const float *bias,
                     struct convolution *layer, struct error *error) {
    int is = convolution_stride(in_channels), os = convolution_stride(out_channels);
    size_t floats = (size_t)TAPS * is * os;
    *layer = (struct convolution){in_channels, out_channels, is, os, pooled, NULL, NULL, NULL};
    layer->forward = calloc(floats, sizeof(float));
    layer->backward = calloc(floats, sizeof(float));
    layer->bias = calloc(os, sizeof(float));
    if (!layer->forward || !layer->backward || !layer->bias)
        return error_memory(error, 2.0 * floats * sizeof(float), "the weights of a layer");
    lay_out_kernel(layer, kernel);
    memcpy(layer->bias, bias, out_channels * sizeof(float));
    return STATUS_OK;
}

void convolution_free(struct convolution *layer) {
    free(layer->forward);
    free(layer->backward);
    free(layer->bias);
}

static int block_rows(int width, int stride) {
    size_t row = (size_t)width * TAPS * stride;
    return row >= COLUMNS_FLOATS ? 1 : (int)(COLUMNS_FLOATS / row);
}

static size_t columns_floats(int width, int stride) {
    return (size_t)block_rows(width, stride) * width * TAPS * stride;
}

size_t convolution_scratch(const struct convolution *layer, int height, int width) {
    size_t forward = columns_floats(width, layer->in_stride), backward = columns_floats(width, layer->out_stride);
    size_t map = (size_t)height * width * layer->out_stride; /* before pooling; spread gradient */
    return map + (forward > backward ? forward : backward) + VECTOR * TAPS * (size_t)layer->in_stride;
}

/* Rows [first, last) of the map, each position's 3x3 neighbourhood, 0 outside the map: columns [row][width][9][stride].
 */
static void im2col(const float *in, int height, int width, int stride, int first, int last, float *columns) {
    size_t bytes = stride * sizeof(float);
    for (int y = first; y < last; y++)
        for (int x = 0; x < width; x++)
            for (int tap = 0; tap < TAPS; tap++, columns += stride) {
                int sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                if (sy < 0 || sy >= height || sx < 0 || sx >= width)
                    memset(columns, 0, bytes);
                else
                    memcpy(columns, in + ((size_t)sy * width + sx) * stride, bytes);
            }
}

/* in [height][width][in_stride] * kernel [9 * in_stride][out_stride] -> out [height][width][out_stride]. */
static void convolve(const float *in, int height, int width, int in_stride, const float *kernel, int out_stride,
                     float *out, float *columns) {
    int step = block_rows(width, in_stride), depth = TAPS * in_stride;
    for (int y = 0; y < height; y += step) {
        int last = y + step < height ? y + step : height;
        im2col(in, height, width, in_stride, y, last, columns);
        gemm((last - y) * width, out_stride, depth, columns, depth, kernel, out_stride, 0,
             out + (size_t)y * width * out_stride, out_stride);
    }
}

static void rectify(const float *z, const float *bias, size_t positions, int stride, float *out, uint8_t *gate) {
    for (size_t p = 0; p < positions; p++)
        for (int c = 0; c < stride; c++, z++, out++, gate++) {
            float value = *z + bias[c];
            *out = value > 0 ? value : 0;
            *gate = value > 0 ? GATE_OPEN : GATE_CLOSED;
        }
}

/* One 2x2 window of every channel; z points at its upper left position, `row` floats from one row to the next. */
static void pool_window(const float *z, size_t row, const float *bias, int stride, float *out, uint8_t *gate) {
    for (int c = 0; c < stride; c++) {
        const float candidates[4] = {z[c], z[c + stride], z[c + row], z[c + row + stride]};
        int best = 0;
        for (int i = 1; i < 4; i++)
            best = candidates[i] > candidates[best] ? i : best;
        float value = candidates[best] + bias[c];
        out[c] = value > 0 ? value : 0;
        gate[c] = (uint8_t)(value > 0 ? best : GATE_CLOSED);
    }
}

void convolution_forward(const struct convolution *layer, const float *in, int height, int width, float *out,
                         uint8_t *gate, float *scratch) {
    size_t positions = (size_t)height * width, os = layer->out_stride, row = width * os;
    float *z = scratch, *columns = scratch + positions * os;
    convolve(in, height, width, layer->in_stride, layer->forward, layer->out_stride, z, columns);
    if (!layer->pooled) {
        rectify(z, layer->bias, positions, layer->out_stride, out, gate);
        return;
    }
    for (int y = 0; y < height / 2; y++)
        for (int x = 0; x < width / 2; x++, out += os, gate += os)
            pool_window(z + 2 * y * row + 2 * x * os, row, layer->bias, layer->out_stride, out, gate);
}

static void mask(const float *gradient, const uint8_t *gate, size_t count, float *z) {
    for (size_t i = 0; i < count; i++)
        z[i] = gate[i] == GATE_OPEN ? gradient[i] : 0;
}

/* Sends each pooled gradient to the position its maximum came from; z [height][width][stride] is 0 elsewhere. */
static void spread(const float *gradient, const uint8_t *gate, int height, int width, int stride, float *z) {
    size_t row = (size_t)width * stride;
    memset(z, 0, height * row * sizeof *z);
    for (int y = 0; y < height / 2; y++)
        for (int x = 0; x < width / 2; x++)
            for (int c = 0; c < stride; c++, gradient++, gate++)
                if (*gate != GATE_CLOSED)
                    z[(2 * y + *gate / 2) * row + (size_t)(2 * x + *gate % 2) * stride + c] = *gradient;
}

void convolution_backward(const struct convolution *layer, const float *out_gradient, const uint8_t *gate, int height,
                          int width, float *in_gradient, float *scratch) {
    size_t count = (size_t)height * width * layer->out_stride;
    float *z = scratch, *columns = scratch + count;
    if (layer->pooled)
        spread(out_gradient, gate, height, width, layer->out_stride, z);
    else
        mask(out_gradient, gate, count, z);
    convolve(z, height, width, layer->out_stride, layer->backward, layer->in_stride, in_gradient, columns);
}

/* The 9 taps of one output channel: [in_stride][9] for the forward, [9][in_stride] for the backward product. */
static void gather_channel(const struct convolution *layer, int channel, bool backward, float *taps) {
    int is = layer->in_stride;
    for (int tap = 0; tap < TAPS; tap++)
        for (int i = 0; i < is; i++) {
            float value = layer->forward[((size_t)tap * is + i) * layer->out_stride + channel];
            taps[backward ? (TAPS - 1 - tap) * is + i : i * TAPS + tap] = value;
        }
}

void convolution_channel_forward(const struct convolution *layer, int channel, const float *in, int height, int width,
                                 float *z, float *scratch) {
    size_t positions = (size_t)height * width;
    float *taps = scratch, *products = scratch + TAPS * (size_t)layer->in_stride; /* [height][width][9] */
    gather_channel(layer, channel, false, taps);
    gemm((int)positions, TAPS, layer->in_stride, in, layer->in_stride, taps, TAPS, 0, products, TAPS);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float sum = layer->bias[channel];
            for (int tap = 0; tap < TAPS; tap++) {
                int sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                if (sy >= 0 && sy < height && sx >= 0 && sx < width)
                    sum += products[((size_t)sy * width + sx) * TAPS + tap];
            }
            *z++ = sum;
        }
}

void convolution_channel_backward(const struct convolution *layer, int channel, const float *z_gradient, int height,
                                  int width, float *in_gradient, float *scratch) {
    float *taps = scratch, *columns = scratch + TAPS * (size_t)layer->in_stride; /* [height][width][9] */
    gather_channel(layer, channel, true, taps);
    im2col(z_gradient, height, width, 1, 0, height, columns);
    gemm(height * width, layer->in_stride, TAPS, columns, TAPS, taps, layer->in_stride, 0, in_gradient,
         layer->in_stride);
}
