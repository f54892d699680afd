#include "thumbnail.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3 };

static int fit(int extent, int longest, int most) {
    int fitted = (int)(((long long)extent * most + longest / 2) / longest);
    return fitted ? fitted : 1;
}

void thumbnail_fit(int in_width, int in_height, int most, int *width, int *height) {
    int longest = in_width > in_height ? in_width : in_height;
    *width = longest > most ? fit(in_width, longest, most) : in_width;
    *height = longest > most ? fit(in_height, longest, most) : in_height;
}

int thumbnail_make(int in_width, int in_height, int width, int height, struct thumbnail *thumbnail,
                   struct error *error) {
    *thumbnail = (struct thumbnail){.in_width = in_width, .in_height = in_height, .width = width, .height = height};
    thumbnail->sums = calloc((size_t)width * CHANNELS, sizeof *thumbnail->sums);
    return thumbnail->sums ? STATUS_OK : error_memory(error, width * 24.0, "a thumbnail");
}

/* In lengths of 1/width of a pixel, pixel x of the row spans [x*width, (x+1)*width) and pixel i of the thumbnail
 * [i*in_width, (i+1)*in_width): all overlaps are whole numbers. They are weighted once more by the rows' own overlap.
 */
static void add_row(struct thumbnail *t, const uint8_t *row, uint64_t weight) {
    int x = 0, left = t->width; /* what is left of pixel x */
    for (int i = 0; i < t->width; i++) {
        uint32_t sum[CHANNELS] = {0};
        for (int wanted = t->in_width; wanted > 0;) {
            int overlap = left < wanted ? left : wanted;
            for (int c = 0; c < CHANNELS; c++)
                sum[c] += (uint32_t)overlap * row[CHANNELS * x + c];
            wanted -= overlap;
            left -= overlap;
            if (!left) {
                x++;
                left = t->width;
            }
        }
        for (int c = 0; c < CHANNELS; c++)
            t->sums[CHANNELS * i + c] += weight * sum[c];
    }
}

static void finish_row(struct thumbnail *t, uint8_t *rgb) {
    uint64_t area = (uint64_t)t->in_width * (uint64_t)t->in_height;
    for (int i = 0; i < CHANNELS * t->width; i++)
        rgb[i] = (uint8_t)((t->sums[i] + area / 2) / area);
    memset(t->sums, 0, (size_t)t->width * CHANNELS * sizeof *t->sums);
}

void thumbnail_row(struct thumbnail *t, const uint8_t *row, uint8_t *rgb, size_t stride) {
    long long from = (long long)t->rows * t->height, to = from + t->height;
    int j = (int)(from / t->in_height);
    long long end = (long long)(j + 1) * t->in_height; /* of row j of the thumbnail */
    add_row(t, row, (uint64_t)((to < end ? to : end) - from));
    if (to >= end) {
        finish_row(t, rgb + (size_t)j * stride);
        if (to > end)
            add_row(t, row, (uint64_t)(to - end));
    }
    t->rows = (t->rows + 1) % t->in_height;
}

void thumbnail_free(struct thumbnail *thumbnail) { free(thumbnail->sums); }
