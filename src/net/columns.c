#include "columns.h"

#include <string.h>

size_t columns_depth(const struct window *w) {
    return (size_t)w->kernel[0] * (size_t)w->kernel[1] * (size_t)w->channels;
}

bool columns_are_map(const struct window *w) {
    return w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 && w->before[0] == 0 &&
           w->before[1] == 0 && w->channel == 0 && w->channels == w->map_stride && w->rows == w->height &&
           w->columns == w->width;
}

/* Where the window stands at a position. */
struct place {
    size_t picture; /* floats to the picture's first */
    int top, left;
};

static struct place place_of(const struct window *w, size_t position) {
    size_t positions = (size_t)w->rows * (size_t)w->columns, in_map = position % positions;
    size_t map = (size_t)w->height * (size_t)w->width * (size_t)w->map_stride;
    return (struct place){.picture = position / positions * map,
                          .top = (int)(in_map / (size_t)w->columns) * w->stride[0] - w->before[0],
                          .left = (int)(in_map % (size_t)w->columns) * w->stride[1] - w->before[1]};
}

void columns_inside(const struct window *w, int left, int *from, int *to) {
    int d = w->dilation[1], k = w->kernel[1];
    *from = left < 0 ? (-left + d - 1) / d : 0;
    int room = w->width - left; /* taps at less than that */
    *to = room <= 0 ? 0 : (room + d - 1) / d;
    *to = *to < k ? *to : k;
    *from = *from < *to ? *from : *to;
}

/* The taps of a row as runs of floats: close to each other if the window is not dilated and takes all channels. */
static bool is_run(const struct window *w) { return w->dilation[1] == 1 && w->channels == w->map_stride; }

static void gather_row(const struct window *w, const float *line, int left, float *columns) {
    size_t channels = (size_t)w->channels, step = (size_t)w->dilation[1] * (size_t)w->map_stride;
    int from, to;
    columns_inside(w, left, &from, &to);
    memset(columns, 0, (size_t)from * channels * sizeof *columns);
    const float *source = line + ((ptrdiff_t)left + (ptrdiff_t)from * w->dilation[1]) * w->map_stride + w->channel;
    if (is_run(w) && to > from)
        memcpy(columns + (size_t)from * channels, source, (size_t)(to - from) * channels * sizeof *columns);
    for (int tap = from; !is_run(w) && tap < to; tap++, source += step)
        memcpy(columns + (size_t)tap * channels, source, channels * sizeof *columns);
    memset(columns + (size_t)to * channels, 0, (size_t)(w->kernel[1] - to) * channels * sizeof *columns);
}

void columns_gather(const struct window *w, const float *map, size_t first, size_t count, float *columns) {
    size_t row = (size_t)w->kernel[1] * (size_t)w->channels, line = (size_t)w->width * (size_t)w->map_stride;
    for (size_t p = first; p < first + count; p++) {
        struct place place = place_of(w, p);
        for (int tap = 0; tap < w->kernel[0]; tap++, columns += row) {
            int y = place.top + tap * w->dilation[0];
            if (y < 0 || y >= w->height)
                memset(columns, 0, row * sizeof *columns);
            else
                gather_row(w, map + place.picture + (size_t)y * line, place.left, columns);
        }
    }
}

static void scatter_row(const struct loops *loops, const struct window *w, const float *columns, int left,
                        float *line) {
    size_t channels = (size_t)w->channels, step = (size_t)w->dilation[1] * (size_t)w->map_stride;
    int from, to;
    columns_inside(w, left, &from, &to);
    if (to == from)
        return;
    float *target = line + ((ptrdiff_t)left + (ptrdiff_t)from * w->dilation[1]) * w->map_stride + w->channel;
    columns += (size_t)from * channels;
    if (is_run(w))
        loops->sum((size_t)(to - from) * channels, columns, target, target);
    for (int tap = from; !is_run(w) && tap < to; tap++, target += step, columns += channels)
        loops->sum(channels, columns, target, target);
}

void columns_scatter(const struct loops *loops, const struct window *w, const float *columns, size_t stride,
                     size_t first, size_t count, float *map) {
    size_t row = (size_t)w->kernel[1] * (size_t)w->channels, line = (size_t)w->width * (size_t)w->map_stride;
    for (size_t p = first; p < first + count; p++, columns += stride) {
        struct place place = place_of(w, p);
        for (int tap = 0; tap < w->kernel[0]; tap++) {
            int y = place.top + tap * w->dilation[0];
            if (y >= 0 && y < w->height)
                scatter_row(loops, w, columns + (size_t)tap * row, place.left, map + place.picture + (size_t)y * line);
        }
    }
}
