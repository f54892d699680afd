/* What makes a picture of pixels smoother between the steps of an ascent, after Yosinski et al., "Understanding Neural
 * Networks Through Deep Visualization" (2015), section 3. Pictures are [height][width][3]. */
#ifndef FILTERATLAS_SMOOTH_H
#define FILTERATLAS_SMOOTH_H

#include <stddef.h>

/* L2 decay: x = m + (x - m) * (1 - decay), m being the mean of all x. In double precision, then rounded. */
void decay_picture(float *x, size_t count, double decay);

/* The greatest standard deviation blur_picture takes [pixels]. */
enum { BLUR_MOST_SIGMA = 100 };

/* Gaussian blur of standard deviation sigma [pixels], along the rows and then the columns: weights exp(-d^2 / 2
 * sigma^2) for distances d up to floor(4 sigma + 0.5), divided by their sum; pixels beyond an edge are those of the
 * edge. Sums in double precision, then rounded. scipy's gaussian_filter(x, (sigma, sigma, 0), mode="nearest") is the
 * same. *scratch has the size of x. */
void blur_picture(float *x, int height, int width, double sigma, float *scratch);

#endif
