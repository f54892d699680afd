#include "operands.h"

#include "filteratlas/base/huge_pages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE = 64 };

void *operands_zero(size_t bytes) {
    void *memory = huge_pages_allocate(bytes + SPARE);
    if (!memory) {
        fprintf(stderr, "bench: %.0f MB: not enough memory\n", (double)bytes / 1e6);
        exit(1);
    }
    return memset(memory, 0, bytes + SPARE);
}

float *operands_noise(size_t floats, float scale) {
    uint64_t state = 1; /* a linear congruential generator, Knuth's MMIX */
    float *noise = operands_zero(floats * sizeof *noise);
    for (size_t i = 0; i < floats; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        noise[i] = (float)((double)(int64_t)state * 0x1p-63) * scale;
    }
    return noise;
}
