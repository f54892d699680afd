#include "filteratlas/noise.h"

#include <Random123/philox.h>

enum { WORDS = 4 }; /* 64-bit words a block of the generator gives */

enum use { USE_PICTURE, USE_OFFSETS }; /* the counter's third word */

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

void noise_picture(const struct noise_stream *stream, size_t count, float *x) {
    for (size_t i = 0; i < count; i += WORDS) {
        double block[WORDS];
        noise_block(stream, USE_PICTURE, i / WORDS, block);
        for (size_t j = 0; j < WORDS && i + j < count; j++)
            x[i + j] = (float)((block[j] - 0.5) * 20 + 128);
    }
}

void noise_offset(const struct noise_stream *stream, int iteration, int most, int *rows, int *columns) {
    double block[WORDS];
    const double *pair = block + 2 * iteration % WORDS;
    noise_block(stream, USE_OFFSETS, (uint64_t)iteration / 2, block);
    *rows = (int)(pair[0] * (2 * most + 1)) - most;
    *columns = (int)(pair[1] * (2 * most + 1)) - most;
}
