#include "filteratlas/regularize.h"

#include <string.h>

enum { CHANNELS = 3 };

/* In 0 .. count-1. */
static int wrap(int at, int count) { return (at % count + count) % count; }

void shift_picture(const float *in, int height, int width, int rows, int columns, float *out) {
    size_t row = (size_t)width * CHANNELS, wrapped = (size_t)wrap(columns, width) * CHANNELS;
    for (int y = 0; y < height; y++) {
        const float *from = in + y * row;
        float *to = out + wrap(y + rows, height) * row;
        memcpy(to + wrapped, from, (row - wrapped) * sizeof *to);
        memcpy(to, from + row - wrapped, wrapped * sizeof *to);
    }
}
