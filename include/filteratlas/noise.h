/* The noise a picture starts from: Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
 * equal to numpy's Generator(Philox(key=[seed, layer << 32 | filter])).random(), so that anyone can redraw it. */
#ifndef FILTERATLAS_NOISE_H
#define FILTERATLAS_NOISE_H

#include <stddef.h>
#include <stdint.h>

/* uniform[0 .. count-1] in [0, 1), for a filter of the layer with 0-based position `layer` among the convolutions. */
void noise_uniform(uint64_t seed, int layer, int filter, size_t count, double *uniform);

/* The first picture of the ascent, (uniform - 0.5) * 20 + 128, x[count] with count = height * width * 3. */
void noise_picture(uint64_t seed, int layer, int filter, size_t count, float *x);

#endif
