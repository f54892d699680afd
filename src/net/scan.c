#include "scan.h"

#include <string.h>

enum { GATE_CLOSED = 4 };

/* The highest of each channel in a row of the map, into row[stride]. */
static void scan_row(const struct scanned_map *map, int y, float *restrict row) {
    const float *restrict values = map->values + (size_t)y * map->width * map->stride;
    memcpy(row, values, map->stride * sizeof *row);
    for (int x = 1; x < map->width; x++) {
        values += map->stride;
        for (int c = 0; c < map->stride; c++)
            row[c] = values[c] > row[c] ? values[c] : row[c];
    }
}

/* The column, now that the row is known; in a pooled map the place in its window, too. */
static void find_column(const struct scanned_map *map, int channel, struct activation *highest) {
    size_t at = (size_t)highest->row * map->width * map->stride + channel;
    int column = 0;
    while (column < map->width - 1 && map->values[at + (size_t)column * map->stride] < highest->value)
        column++;
    highest->column = (uint16_t)column;
    if (!map->gate)
        return;
    int place = map->gate[at + (size_t)column * map->stride] % GATE_CLOSED;
    highest->row = (uint16_t)(2 * highest->row + place / 2);
    highest->column = (uint16_t)(2 * column + place % 2);
}

void scan_map(const struct scanned_map *map, float *row, struct activation *highest) {
    memset(highest, 0, map->channels * sizeof *highest);
    for (int y = 0; y < map->height; y++) {
        scan_row(map, y, row);
        for (int c = 0; c < map->channels; c++)
            if (row[c] > highest[c].value)
                highest[c] = (struct activation){row[c], (uint16_t)y, 0};
    }
    for (int c = 0; c < map->channels; c++)
        if (highest[c].value > 0)
            find_column(map, c, &highest[c]);
}
