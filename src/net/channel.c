#include "channel.h"

#include "filteratlas/net/gemm.h"

#include <stdbool.h>
#include <string.h>

enum { TAPS = 9 };

size_t channel_scratch(int in_stride, int height, int width) {
    return TAPS * ((size_t)in_stride + (size_t)height * width);
}

static float weight(const struct channel *c, int tap, int in) {
    return c->kernel[((size_t)tap * c->in_channels + in) * c->out_channels + c->channel];
}

void channel_forward(const struct channel *channel, const float *in, int height, int width, float *z, float *scratch) {
    int stride = channel->in_stride;
    float *taps = scratch, *products = scratch + (size_t)TAPS * stride; /* [stride][9], [height][width][9] */
    memset(taps, 0, (size_t)TAPS * stride * sizeof *taps);
    for (int i = 0; i < channel->in_channels; i++)
        for (int tap = 0; tap < TAPS; tap++)
            taps[i * TAPS + tap] = weight(channel, tap, i);
    gemm(height * width, TAPS, stride, in, stride, taps, TAPS, 0, products, TAPS);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            float sum = channel->bias[channel->channel];
            for (int tap = 0; tap < TAPS; tap++) {
                int sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                if (sy >= 0 && sy < height && sx >= 0 && sx < width)
                    sum += products[((size_t)sy * width + sx) * TAPS + tap];
            }
            *z++ = sum;
        }
}

/* The 3x3 neighbourhood of every position, 0 outside the map: columns [height][width][9]. */
static void gather_neighbours(const float *z, int height, int width, float *columns) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int tap = 0; tap < TAPS; tap++) {
                int sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                bool inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
                *columns++ = inside ? z[(size_t)sy * width + sx] : 0;
            }
}

void channel_backward(const struct channel *channel, const float *z_gradient, int height, int width, float *in_gradient,
                      float *scratch) {
    int stride = channel->in_stride;
    float *taps = scratch, *columns = scratch + (size_t)TAPS * stride; /* [9][stride], [height][width][9] */
    memset(taps, 0, (size_t)TAPS * stride * sizeof *taps);
    for (int tap = 0; tap < TAPS; tap++)
        for (int i = 0; i < channel->in_channels; i++)
            taps[(TAPS - 1 - tap) * stride + i] = weight(channel, tap, i);
    gather_neighbours(z_gradient, height, width, columns);
    gemm(height * width, stride, TAPS, columns, TAPS, taps, stride, 0, in_gradient, stride);
}
