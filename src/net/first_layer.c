#include "filteratlas/net/first_layer.h"

#include "aligned.h"
#include "filteratlas/net/winograd.h"
#include "winograd_kernels.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUTS = 27,  /* 3x3 positions of 3 channels */
    COLUMNS = 32, /* INPUTS, padded to what the product wants */
    CHANNELS = 3,
    GATE_CLOSED = 4, /* of a pooled layer; an open gate is the place of the maximum in its window */
    PRODUCT_ROWS = WINOGRAD_ROWS
};

static int least(int a, int b) { return a < b ? a : b; }

static float *allocate(size_t floats) {
    size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    float *memory = aligned_alloc(64, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

/* Where the weight of input i (row, column, channel of the neighbourhood) and output o stands in the forward panels. */
static size_t forward_at(int channels, int i, int o) {
    int panel = o / WINOGRAD_PANEL * WINOGRAD_PANEL, width = least(WINOGRAD_PANEL, channels - panel);
    return (size_t)panel * INPUTS + (size_t)i * width + (o - panel);
}

int first_layer_make(const float *kernel, const float *bias, int out_channels, bool pooled,
                     const struct winograd_kernels *kernels, struct first_layer *layer, struct error *error) {
    int channels = winograd_padded(out_channels);
    *layer = (struct first_layer){
        .kernels = winograd_single_kernels(kernels), .channels = channels, .pooled = pooled, .bias = bias};
    layer->forward = allocate((size_t)INPUTS * channels);
    layer->backward = allocate((size_t)COLUMNS * channels);
    if (!layer->forward || !layer->backward)
        return error_memory(error, (double)(INPUTS + COLUMNS) * channels * sizeof(float), "the first layer");
    for (int i = 0; i < INPUTS; i++)
        for (int o = 0; o < out_channels; o++) {
            float weight = kernel[(size_t)i * out_channels + o];
            layer->forward[forward_at(channels, i, o)] = weight;
            layer->backward[(size_t)o * COLUMNS + i] = weight;
        }
    return STATUS_OK;
}

void first_layer_free(struct first_layer *layer) {
    free(layer->forward);
    free(layer->backward);
}

/* A row's positions, rounded up to what the product treats at once. */
static size_t row_positions(int width) { return (size_t)(width + PRODUCT_ROWS - 1) / PRODUCT_ROWS * PRODUCT_ROWS; }

static size_t columns_floats(int width) { return (row_positions(width) * INPUTS + 15) / 16 * 16; }

/* One row of 27 products per position, a zero position on either side. */
static size_t product_floats(int width) { return (row_positions(width) + 2) * COLUMNS; }

size_t first_layer_scratch(const struct first_layer *layer, int width) {
    size_t rows = 2 * row_positions(width) * layer->channels;
    size_t columns = columns_floats(width), products = 3 * product_floats(width);
    return rows + (columns > products ? columns : products);
}

/* a [positions][depth] times the panels of table [depth][channels] -> out [positions][channels]. */
static void multiply_row(const struct winograd_kernels *kernels, const float *a, int depth, const float *table,
                         int channels, size_t positions, float *out) {
    for (int n = 0; n < channels; n += WINOGRAD_PANEL) {
        const float *panel = table + (size_t)n * depth;
        int width = least(WINOGRAD_PANEL, channels - n);
        for (size_t p = 0; p < positions; p += PRODUCT_ROWS)
            kernels->product(a + p * depth, (size_t)depth, panel, depth, width, out + p * channels + n,
                             (size_t)channels, panel);
    }
}

/* One kernel row's part of the neighbourhoods of a picture's row: 9 floats to every position of columns. The copies
 * have a constant size, so that the compiler makes them without a call. */
static void gather_kernel_row(const float *row, int width, float *columns) {
    memcpy(columns + CHANNELS, row, (size_t)(width > 1 ? 2 : 1) * CHANNELS * sizeof *columns);
    for (int p = 1; p < width - 1; p++)
        memcpy(columns + (size_t)p * INPUTS, row + (p - 1) * CHANNELS, 3 * CHANNELS * sizeof *columns);
    if (width > 1)
        memcpy(columns + (size_t)(width - 1) * INPUTS, row + (width - 2) * CHANNELS, 2 * CHANNELS * sizeof *columns);
}

/* The neighbourhoods of row y: columns [width][3][3][3]. What lies outside the picture is 0: the first and last
 * position's by clearing the columns once, a whole kernel row's here. */
static void gather_row(const float *x, int y, int height, int width, float *columns) {
    for (int ky = 0; ky < 3; ky++) {
        int source = y + ky - 1;
        float *to = columns + ky * 3 * CHANNELS;
        if (source >= 0 && source < height)
            gather_kernel_row(x + (size_t)source * width * CHANNELS, width, to);
        else
            for (int p = 0; p < width; p++)
                memset(to + (size_t)p * INPUTS, 0, 3 * CHANNELS * sizeof *to);
    }
}

/* Two rows of z to one of pooled outputs; the first of equals wins. */
static void pool_rows(const float *z, size_t row, const struct first_layer *layer, int width, float *out,
                      uint8_t *gate) {
    int channels = layer->channels;
    for (int p = 0; p < width / 2; p++, out += channels, gate += channels)
        for (int c = 0; c < channels; c++) {
            float greatest = 0;
            gate[c] = GATE_CLOSED;
            for (int place = 0; place < 4; place++) {
                float value = z[place / 2 * row + (size_t)(2 * p + place % 2) * channels + c] + layer->bias[c];
                if (value > greatest) {
                    greatest = value;
                    gate[c] = (uint8_t)place;
                }
            }
            out[c] = greatest;
        }
}

/* What the kernels take for granted. */
static bool is_fit(const struct first_layer *layer, const float *map, const uint8_t *gate, const float *scratch) {
    return layer->channels % WINOGRAD_LINE == 0 && is_aligned(map, WINOGRAD_BYTES) && is_aligned(gate, WINOGRAD_LINE) &&
           is_aligned(scratch, WINOGRAD_BYTES);
}

void first_layer_forward_rows(const struct first_layer *layer, const float *x, int top, int bottom, int height,
                              int width, float *out, uint8_t *gate, float *scratch) {
    size_t positions = row_positions(width), row = positions * layer->channels;
    float *z = scratch, *columns = scratch + 2 * row; /* [2][positions][channels], [positions][27] */
    assert(is_fit(layer, out, gate, scratch));
    memset(columns, 0, columns_floats(width) * sizeof *columns);
    for (int y = top; y < bottom; y++) {
        gather_row(x, y, height, width, columns);
        multiply_row(layer->kernels, columns, INPUTS, layer->forward, layer->channels, positions,
                     z + (layer->pooled ? y % 2 * row : 0));
        if (!layer->pooled) {
            size_t at = (size_t)(y - top) * width * layer->channels;
            layer->kernels->rectify(z, layer->bias, (size_t)width, layer->channels, out + at, gate + at);
        } else if (y % 2) {
            size_t at = (size_t)(y / 2) * (width / 2) * layer->channels;
            pool_rows(z, row, layer, width, out + at, gate + at);
        }
    }
}

void first_layer_forward(const struct first_layer *layer, const float *x, int height, int width, float *out,
                         uint8_t *gate, float *scratch) {
    first_layer_forward_rows(layer, x, 0, height, height, width, out, gate, scratch);
}

/* Row y of the gradient before ReLU and pooling, z [width][channels]; gradient and gate begin with row `top`. */
static void ungate_row(const struct first_layer *layer, const float *gradient, const uint8_t *gate, int y, int top,
                       int height, int width, float *z) {
    int channels = layer->channels;
    if (!layer->pooled) {
        size_t at = (size_t)(y - top) * width * channels;
        layer->kernels->mask(gradient + at, gate + at, (size_t)width * channels, z);
        return;
    }
    memset(z, 0, (size_t)width * channels * sizeof *z);
    if (y / 2 >= height / 2)
        return;
    size_t at = (size_t)(y / 2) * (width / 2) * channels;
    for (int p = 0; p < width / 2 * 2; p++)
        for (int c = 0; c < channels; c++) {
            size_t window = at + (size_t)(p / 2) * channels + c;
            z[(size_t)p * channels + c] = gate[window] == y % 2 * 2 + p % 2 ? gradient[window] : 0;
        }
}

typedef float vec4 __attribute__((vector_size(16), aligned(4), may_alias));

/* Row y of the picture's gradient from the products of rows y - 1, y and y + 1 of the map; a row outside it is NULL. */
static void scatter_row(float *const products[3], int width, float *x_gradient) {
    for (int p = 0; p < width; p++) {
        vec4 sum = {0};
        for (int ky = 0; ky < 3; ky++) {
            const float *row = products[2 - ky]; /* kernel row ky brought this row from map row y + 1 - ky */
            for (int kx = 0; row && kx < 3; kx++)
                sum += *(const vec4 *)(row + (size_t)(p + 2 - kx) * COLUMNS + (ky * 3 + kx) * CHANNELS);
        }
        for (int c = 0; c < CHANNELS; c++)
            x_gradient[p * CHANNELS + c] = sum[c];
    }
}

void first_layer_backward_rows(const struct first_layer *layer, const float *out_gradient, const uint8_t *gate, int top,
                               int bottom, int height, int width, float *x_gradient, float *scratch) {
    size_t positions = row_positions(width), floats = product_floats(width);
    float *z = scratch,
          *ring = scratch + positions * layer->channels; /* [positions][channels], [3][1 + width + 1][32] */
    assert(is_fit(layer, out_gradient, gate, scratch));
    if (top == 0)
        memset(scratch, 0, (positions * layer->channels + 3 * floats) * sizeof *scratch);
    for (int y = top; y < bottom + (bottom == height); y++) {
        if (y < height) {
            float *products = ring + y % 3 * floats + COLUMNS;
            ungate_row(layer, out_gradient, gate, y, top, height, width, z);
            multiply_row(layer->kernels, z, layer->channels, layer->backward, COLUMNS, positions, products);
        }
        if (y > 0) {
            float *const rows[3] = {y > 1 ? ring + (y - 2) % 3 * floats : NULL, ring + (y - 1) % 3 * floats,
                                    y < height ? ring + y % 3 * floats : NULL};
            scatter_row(rows, width, x_gradient + (size_t)(y - 1) * width * CHANNELS);
        }
    }
}

void first_layer_backward(const struct first_layer *layer, const float *out_gradient, const uint8_t *gate, int height,
                          int width, float *x_gradient, float *scratch) {
    first_layer_backward_rows(layer, out_gradient, gate, 0, height, height, width, x_gradient, scratch);
}
