/* What is done to a picture before the network looks at it, each with its adjoint, by which the gradient comes back.
 * Pictures are [height][width][3]; `in` and `out` must not overlap. */
#ifndef FILTERATLAS_TRANSFORM_H
#define FILTERATLAS_TRANSFORM_H

#include <stddef.h>

/* Cyclic shift: out[(y + rows) mod height][(x + columns) mod width] = in[y][x], as numpy's roll. Its adjoint is the
 * shift by -rows, -columns. */
void shift_picture(const float *in, int height, int width, int rows, int columns, float *out);

/* A rotation by `angle` [radians] and an enlargement by `zoom` about the middle m of the picture, which goes on
 * cyclically beyond its edges: out(p) = in(m + R (p - m) / zoom), with p = (y, x), m = ((height - 1) / 2, (width - 1) /
 * 2) and R = ((cos, sin), (-sin, cos)), bilinear. */
struct turn {
    double angle, zoom;
};
void turn_picture(const struct turn *turn, const float *in, int height, int width, float *out);
void turn_back(const struct turn *turn, const float *out_gradient, int height, int width, float *in_gradient);

/* How a network wants its input, of a picture s in [0, 1] with the channels red, green, blue. */
enum preprocess {
    PREPROCESS_CAFFE, /* 255 s, channels blue, green, red, minus 103.939, 116.779, 123.68: Keras's VGGs and ResNets */
    PREPROCESS_TF,    /* 255 s / 127.5 - 1 */
    PREPROCESS_TORCH, /* s minus 0.485, 0.456, 0.406, over 0.229, 0.224, 0.225: torchvision's networks */
    PREPROCESS_UNIT,  /* s */
    PREPROCESS_NONE   /* 255 s */
};
void preprocess_picture(enum preprocess how, const float *s, size_t pixels, float *x);

/* x_gradient -> s_gradient. */
void preprocess_back(enum preprocess how, const float *x_gradient, size_t pixels, float *s_gradient);

/* s [pixels][3] -> x [pixels], the mean of the channels; and x_gradient -> s_gradient, in which each channel has all of
 * it: that of a picture whose channels are one number. */
void grey_picture(const float *s, size_t pixels, float *x);
void grey_back(const float *x_gradient, size_t pixels, float *s_gradient);

#endif
