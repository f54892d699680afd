#include "filteratlas/ascent/smooth.h"

#include <math.h>

enum { CHANNELS = 3, REACH = 4 /* standard deviations */, MOST_RADIUS = REACH * BLUR_MOST_SIGMA };

static int make_weights(double sigma, double weight[MOST_RADIUS + 1]) {
    int radius = (int)(REACH * sigma + 0.5);
    double sum = 0;
    for (int d = 0; d <= radius; d++) {
        weight[d] = exp(-0.5 * d * d / (sigma * sigma));
        sum += d ? 2 * weight[d] : weight[d];
    }
    for (int d = 0; d <= radius; d++)
        weight[d] /= sum;
    return radius;
}

static int clamp(int at, int count) { return at < 0 ? 0 : at < count ? at : count - 1; }

/* Along one axis: `count` pixels that are `stride` floats apart. */
static void blur_line(const float *in, int count, size_t stride, const double *weight, int radius, float *out) {
    for (int i = 0; i < count; i++)
        for (int c = 0; c < CHANNELS; c++) {
            double sum = weight[0] * in[i * stride + c];
            for (int d = 1; d <= radius; d++)
                sum +=
                    weight[d] * ((double)in[clamp(i - d, count) * stride + c] + in[clamp(i + d, count) * stride + c]);
            out[i * stride + c] = (float)sum;
        }
}

void blur_picture(float *x, int height, int width, double sigma, float *scratch) {
    double weight[MOST_RADIUS + 1];
    int radius = make_weights(sigma, weight);
    size_t row = (size_t)width * CHANNELS;
    for (int y = 0; y < height; y++)
        blur_line(x + y * row, width, CHANNELS, weight, radius, scratch + y * row);
    for (int column = 0; column < width; column++)
        blur_line(scratch + column * CHANNELS, height, row, weight, radius, x + column * CHANNELS);
}

void decay_picture(float *x, size_t count, double decay) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(mean + (x[i] - mean) * (1 - decay));
}
