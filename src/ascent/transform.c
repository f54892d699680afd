#include "filteratlas/ascent/transform.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 3 };

/* In 0 .. count-1. */
static int wrap(int at, int count) { return (at % count + count) % count; }

void shift_picture(const float *in, int height, int width, int rows, int columns, float *out) {
    size_t row = (size_t)width * CHANNELS, wrapped = (size_t)wrap(columns, width) * CHANNELS;
    for (int y = 0; y < height; y++) {
        const float *from = in + y * row;
        float *to = out + wrap(y + rows, height) * row;
        memcpy(to + wrapped, from, (row - wrapped) * sizeof *to);
        memcpy(to, from + row - wrapped, wrapped * sizeof *to);
    }
}

/* Rotation and zoom ----------------------------------------------------------------------------------------------- */

/* The four neighbours of a place in a picture, as offsets in floats, and their shares. */
struct neighbours {
    size_t at[4];
    float share[4];
};

static struct neighbours neighbours_of(double y, double x, int height, int width) {
    double top = floor(y), left = floor(x);
    float down = (float)(y - top), right = (float)(x - left);
    size_t row = (size_t)width * CHANNELS;
    size_t upper = wrap((int)top, height) * row, lower = wrap((int)top + 1, height) * row;
    size_t before = (size_t)wrap((int)left, width) * CHANNELS, behind = (size_t)wrap((int)left + 1, width) * CHANNELS;
    return (struct neighbours){
        {upper + before, upper + behind, lower + before, lower + behind},
        {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right},
    };
}

/* Where the pixel (y, x) of the turned picture comes from. */
static struct neighbours source_of(const struct turn *turn, int y, int x, int height, int width) {
    double middle_y = (height - 1) / 2.0, middle_x = (width - 1) / 2.0;
    double from_y = y - middle_y, from_x = x - middle_x;
    double cosine = cos(turn->angle), sine = sin(turn->angle);
    return neighbours_of(middle_y + (cosine * from_y + sine * from_x) / turn->zoom,
                         middle_x + (-sine * from_y + cosine * from_x) / turn->zoom, height, width);
}

void turn_picture(const struct turn *turn, const float *in, int height, int width, float *out) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, out += CHANNELS) {
            struct neighbours n = source_of(turn, y, x, height, width);
            for (int c = 0; c < CHANNELS; c++)
                out[c] = n.share[0] * in[n.at[0] + c] + n.share[1] * in[n.at[1] + c] + n.share[2] * in[n.at[2] + c] +
                         n.share[3] * in[n.at[3] + c];
        }
}

void turn_back(const struct turn *turn, const float *out_gradient, int height, int width, float *in_gradient) {
    memset(in_gradient, 0, (size_t)height * width * CHANNELS * sizeof *in_gradient);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, out_gradient += CHANNELS) {
            struct neighbours n = source_of(turn, y, x, height, width);
            for (int i = 0; i < 4; i++)
                for (int c = 0; c < CHANNELS; c++)
                    in_gradient[n.at[i] + c] += n.share[i] * out_gradient[c];
        }
}

/* Preprocessing --------------------------------------------------------------------------------------------------- */

/* x[c] = s[from[c]] * scale[c] + offset[c]. */
struct affine {
    int from[CHANNELS];
    float scale[CHANNELS], offset[CHANNELS];
};

static const struct affine affines[] = {
    [PREPROCESS_CAFFE] = {{2, 1, 0}, {255, 255, 255}, {-103.939f, -116.779f, -123.68f}},
    [PREPROCESS_TF] = {{0, 1, 2}, {2, 2, 2}, {-1, -1, -1}},
    [PREPROCESS_TORCH] = {{0, 1, 2},
                          {1 / 0.229f, 1 / 0.224f, 1 / 0.225f},
                          {-0.485f / 0.229f, -0.456f / 0.224f, -0.406f / 0.225f}},
    [PREPROCESS_UNIT] = {{0, 1, 2}, {1, 1, 1}, {0, 0, 0}},
    [PREPROCESS_NONE] = {{0, 1, 2}, {255, 255, 255}, {0, 0, 0}},
};

void preprocess_picture(enum preprocess how, const float *s, size_t pixels, float *x) {
    const struct affine affine = affines[how];
    for (size_t i = 0; i < pixels; i++, s += CHANNELS, x += CHANNELS)
        for (int c = 0; c < CHANNELS; c++)
            x[c] = s[affine.from[c]] * affine.scale[c] + affine.offset[c];
}

void preprocess_back(enum preprocess how, const float *x_gradient, size_t pixels, float *s_gradient) {
    const struct affine affine = affines[how];
    for (size_t i = 0; i < pixels; i++, x_gradient += CHANNELS, s_gradient += CHANNELS)
        for (int c = 0; c < CHANNELS; c++)
            s_gradient[affine.from[c]] = x_gradient[c] * affine.scale[c];
}

/* Grey ------------------------------------------------------------------------------------------------------------ */

/* In double precision, where three times a float and a third of that are exact. */
void grey_picture(const float *s, size_t pixels, float *x) {
    for (size_t i = 0; i < pixels; i++, s += CHANNELS)
        x[i] = (float)(((double)s[0] + s[1] + s[2]) / CHANNELS);
}

void grey_back(const float *x_gradient, size_t pixels, float *s_gradient) {
    for (size_t i = 0; i < pixels; i++, s_gradient += CHANNELS)
        for (int c = 0; c < CHANNELS; c++)
            s_gradient[c] = x_gradient[i];
}
