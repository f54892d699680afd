/* The random numbers of a picture: Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011),
 * equal to numpy's, so that anyone can redraw them:
 *
 *   key = np.array([seed, layer << 32 | filter], np.uint64)
 *   Generator(Philox(key=key, counter=[0, attempt, 0, 0])).random(count)              # noise_uniform
 *   Generator(Philox(key=key, counter=[0, attempt, 1, 0])).random((iterations, 2))    # noise_offset
 *   Generator(Philox(key=key, counter=[0, attempt, 2, 0])).random((iterations, 4))    # noise_view
 *   Generator(Philox(key=key, counter=[0, attempt, 3, 0])).random(count)              # noise_waves' U
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

/* The first picture of the Keras recipe, (uniform - 0.5) * 20 + 128, x[count] with count = height * width * 3. */
void noise_picture(const struct noise_stream *stream, size_t count, float *x);

/* The first coefficients of the Fourier recipe, (2 U - 1) * scale, c[count]. */
void noise_waves(const struct noise_stream *stream, size_t count, double scale, float *c);

/* Two numbers in [0, 1) for an iteration, counted from 0 over all octaves: the shift of the Keras recipe. */
void noise_offset(const struct noise_stream *stream, int iteration, double uniform[2]);

/* Four for an iteration of the Fourier recipe: shift by rows and columns, rotation, zoom. */
void noise_view(const struct noise_stream *stream, int iteration, double uniform[4]);

#endif
