/* Where each channel of a map is highest. */
#ifndef SCAN_H
#define SCAN_H

#include "filteratlas/net/activations.h"

struct scanned_map {
    const float *values; /* [height][width][stride] */
    const uint8_t *gate; /* of a pooled map, which of four each value was; else NULL */
    int height, width, stride, channels;
};

/* highest [channels]; `row` is scratch [stride]. */
void scan_map(const struct scanned_map *map, float *row, struct activation *highest);

#endif
