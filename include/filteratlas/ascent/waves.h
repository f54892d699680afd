/* Pictures as sums of waves: a partial inverse Fourier transform and its adjoint, as matrix products over the band that
 * is there. Works for every extent, and costs what a few per cent of a network do.
 *
 * Of an extent n the band is K(n) = floor((n - 1) / 2), without the Nyquist frequency. A picture of height x width has
 * complex coefficients c[3][2 K(height) + 1][K(width) + 1], for ky = -K(height) ... K(height) and kx = 0 ... K(width).
 * At an octave of h x w, no larger, with the waves of its own band, the innermost of c, it is
 *
 *   t[i][channel][j] = sum over ky, kx of (kx = 0 ? 1 : 2) Re(a c exp(2 pi I (ky i / h + kx j / w)))
 *
 * with the amplitudes a of the whole picture: with S = max(height, width) and k = S sqrt((ky / height)^2 + (kx /
 * width)^2), a = S^(P - 1) / (4 max(k, 1)^P). P = 1 is the 1/f scaling of Lucid (Olah, Mordvintsev & Schubert, "Feature
 * Visualization", Distill 2017), its factor 1/4 included. */
#ifndef FILTERATLAS_WAVES_H
#define FILTERATLAS_WAVES_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/octaves.h"

#include <stddef.h>

/* K(extent). */
int waves_band(int extent);

/* Real numbers of the coefficients of a picture: 3 (2 K(height) + 1) (K(width) + 1) 2. */
size_t waves_floats(int height, int width);

/* Bytes that waves_make takes, and floating-point operations of a synthesis or of a pull back at an octave. */
double waves_bytes(const struct octaves *octaves);
double waves_flops(int height, int width);

/* The tables for the sizes of octaves, whose last one is that of the whole picture, and scratch memory. */
struct waves;

/* spectrum: P. Release with waves_free, after a failure too, which is only for want of memory. */
int waves_make(const struct octaves *octaves, double spectrum, struct waves **waves, struct error *error);
void waves_free(struct waves *waves);

/* c [waves_floats of the whole picture] -> t [h][3][w]. */
void waves_synthesize(struct waves *waves, int octave, const float *c, float *t);

/* The adjoint: t_gradient [h][3][w] -> c_gradient, which is 0 outside the octave's band. */
void waves_pull_back(struct waves *waves, int octave, const float *t_gradient, float *c_gradient);

#endif
