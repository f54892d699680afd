#include "noise.h"

#include <Random123/philox.h>

enum { WORDS = 4 }; /* 64-bit words a block of the generator gives */

enum use { USE_PICTURE, USE_OFFSETS, USE_VIEWS, USE_WAVES }; /* the counter's third word */

/* Block number `block`, counted from 0. numpy increments the counter before each block. */
static void noise_block(const struct noise_stream *stream, enum use use, uint64_t block, double uniform[WORDS]) {
    philox4x64_ctr_t counter = {{block + 1, (uint64_t)stream->attempt, use, 0}};
    philox4x64_key_t key = {{stream->seed, (uint64_t)stream->layer << 32 | (uint64_t)stream->filter}};
    philox4x64_ctr_t words = philox4x64(counter, key);
    for (int i = 0; i < WORDS; i++)
        uniform[i] = (double)(words.v[i] >> 11) * 0x1p-53;
}

void noise_uniform(const struct noise_stream *stream, size_t count, double *uniform) {
    for (size_t i = 0; i < count; i += WORDS) {
        double block[WORDS];
        noise_block(stream, USE_PICTURE, i / WORDS, block);
        for (size_t j = 0; j < WORDS && i + j < count; j++)
            uniform[i + j] = block[j];
    }
}

/* out[count]: the numbers of a stream from the beginning, (uniform + offset) * scale + shift. */
static void fill(const struct noise_stream *stream, enum use use, size_t count, double offset, double scale,
                 double shift, float *out) {
    for (size_t i = 0; i < count; i += WORDS) {
        double block[WORDS];
        noise_block(stream, use, i / WORDS, block);
        for (size_t j = 0; j < WORDS && i + j < count; j++)
            out[i + j] = (float)((block[j] + offset) * scale + shift);
    }
}

void noise_picture(const struct noise_stream *stream, size_t count, float *x) {
    fill(stream, USE_PICTURE, count, -0.5, 20, 128, x);
}

void noise_waves(const struct noise_stream *stream, size_t count, double scale, float *c) {
    fill(stream, USE_WAVES, count, -0.5, 2 * scale, 0, c);
}

void noise_offset(const struct noise_stream *stream, int iteration, double uniform[2]) {
    double block[WORDS];
    const double *pair = block + 2 * iteration % WORDS;
    noise_block(stream, USE_OFFSETS, (uint64_t)iteration / 2, block);
    uniform[0] = pair[0];
    uniform[1] = pair[1];
}

void noise_view(const struct noise_stream *stream, int iteration, double uniform[4]) {
    noise_block(stream, USE_VIEWS, (uint64_t)iteration, uniform);
}
