#include "filteratlas/noise.h"

#include <Random123/philox.h>

enum { WORDS = 4 }; /* 64-bit words a block of the generator gives */

/* Block number `block`, counted from 0. numpy increments the counter before each block. */
static void noise_block(uint64_t seed, int layer, int filter, uint64_t block, double uniform[WORDS]) {
    philox4x64_ctr_t counter = {{block + 1, 0, 0, 0}};
    philox4x64_key_t key = {{seed, (uint64_t)layer << 32 | (uint64_t)filter}};
    philox4x64_ctr_t words = philox4x64(counter, key);
    for (int i = 0; i < WORDS; i++)
        uniform[i] = (double)(words.v[i] >> 11) * 0x1p-53;
}

void noise_uniform(uint64_t seed, int layer, int filter, size_t count, double *uniform) {
    for (size_t i = 0; i < count; i += WORDS) {
        double block[WORDS];
        noise_block(seed, layer, filter, i / WORDS, block);
        for (size_t j = 0; j < WORDS && i + j < count; j++)
            uniform[i + j] = block[j];
    }
}

void noise_picture(uint64_t seed, int layer, int filter, size_t count, float *x) {
    for (size_t i = 0; i < count; i += WORDS) {
        double block[WORDS];
        noise_block(seed, layer, filter, i / WORDS, block);
        for (size_t j = 0; j < WORDS && i + j < count; j++)
            x[i + j] = (float)((block[j] - 0.5) * 20 + 128);
    }
}
