/* From the floating-point picture of the ascent to 8 bits (deprocess_image of Keras's conv_filter_visualization.py). */
#ifndef FILTERATLAS_PICTURE8_H
#define FILTERATLAS_PICTURE8_H

#include <stddef.h>
#include <stdint.h>

/* The statistics of the whole picture that `--rescale stats` restores. */
struct picture_statistics {
    double mean;
    double deviation; /* population standard deviation */
};

/* x[count] -> p[count]: centre, divide by (deviation + 1e-7), times 0.25, plus 0.5, clip to [0, 1], times 255,
 * truncate. Sums in double precision. Returns the statistics of x. */
struct picture_statistics picture8(const float *x, size_t count, uint8_t *p);

#endif
