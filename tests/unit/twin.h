/* Slow twins of the convolutions: double precision, plain loops. And what tests of numbers need besides: random numbers
 * that are the same in every run, buffers with guards, and the error's measure.
 *
 * Maps are [height][width][stride], stride >= channels; values beyond the channels are not read, and written as 0. */
#ifndef TESTS_TWIN_H
#define TESTS_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A 3x3 convolution with zero padding 1, bias and ReLU, and a 2x2 max pooling if it is pooled. Owns nothing. */
struct twin_layer {
    int in_channels, out_channels;
    int in_stride, out_stride; /* values from one position to the next */
    bool pooled;
    const float *kernel; /* [3][3][in_channels][out_channels] */
    const float *bias;   /* [out_channels] */
};

/* Values in the layer's output, for an input of that size; and in its input. */
size_t twin_out_count(const struct twin_layer *layer, int height, int width);
size_t twin_in_count(const struct twin_layer *layer, int height, int width);

/* in -> z [height][width][out_stride], before ReLU and pooling. */
void twin_convolve(const struct twin_layer *layer, const double *in, int height, int width, double *z);

/* z -> out and gates: 255 or 0; pooled, the place 0 .. 3 of the first greatest of its window, or 4. */
void twin_rectify(const struct twin_layer *layer, const double *z, int height, int width, double *out, uint8_t *gate);

/* The gradient at the output -> in_gradient, through the gates given. */
void twin_backward(const struct twin_layer *layer, const double *out_gradient, const uint8_t *gate, int height,
                   int width, double *in_gradient);

/* One output channel alone: z [height][width] before the ReLU, and its gradient -> in_gradient. */
void twin_channel_forward(const struct twin_layer *layer, int channel, const double *in, int height, int width,
                          double *z);
void twin_channel_backward(const struct twin_layer *layer, int channel, const double *z_gradient, int height, int width,
                           double *in_gradient);

/* count doubles of 0; of floats' values. The caller frees them. */
double *twin_zeros(size_t count);
double *twin_widen(const float *values, size_t count);

/* |got - wanted| / |wanted| in the Euclidean norm; |got| where wanted is 0 all over. */
double twin_error(const float *got, const double *wanted, size_t count);

/* Uniform in [-1, 1). */
float random_float(void);

/* positions of channels random values each, scaled, then 0 up to the stride. */
void random_map(float *map, size_t positions, int channels, int stride, float scale);

/* Aligned to 64 bytes, filled with NaN (as bytes: 255), with guards on either side that are NaN too: reading beyond the
 * ends spoils the results, writing there fails the test at guarded_free. Under the address sanitizer, its own. */
void *guarded_allocate(size_t bytes);
float *guarded_floats(size_t count);
void guarded_free(void *buffer); /* NULL is fine */

#endif
