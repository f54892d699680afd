/* The noise a picture starts from, and the offsets of --jitter: Philox4x64-10 (Salmon et al., "Parallel random numbers:
 * as easy as 1, 2, 3", 2011), equal to numpy's, so that anyone can redraw it:
 *
 *   key = np.array([seed, layer << 32 | filter], np.uint64)
 *   Generator(Philox(key=key, counter=[0, attempt, 0, 0])).random(count)              # noise_uniform
 *   Generator(Philox(key=key, counter=[0, attempt, 1, 0])).random((iterations, 2))    # noise_offset's U
 *
 * numpy increments the counter's first word before each block of four, which carries into the second word after 2^64
 * blocks and so never: no two streams meet. */
#ifndef FILTERATLAS_NOISE_H
#define FILTERATLAS_NOISE_H

#include <stddef.h>
#include <stdint.h>

/* Whose noise. */
struct noise_stream {
    uint64_t seed;
    int layer;   /* 0-based position among the convolutions */
    int filter;  /* of the layer */
    int attempt; /* 0 at first; a filter that died may be drawn again from the noise of attempt 1, 2 ... */
};

/* uniform[0 .. count-1] in [0, 1). */
void noise_uniform(const struct noise_stream *stream, size_t count, double *uniform);

/* The first picture of the ascent, (uniform - 0.5) * 20 + 128, x[count] with count = height * width * 3. */
void noise_picture(const struct noise_stream *stream, size_t count, float *x);

/* By how many rows and columns the picture is shifted for an iteration, counted from 0 over all octaves: both
 * floor(U * (2 * most + 1)) - most, uniform in -most .. most. */
void noise_offset(const struct noise_stream *stream, int iteration, int most, int *rows, int *columns);

#endif
