#include "pyramid.h"

#include "page_jpeg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, TILE = PYRAMID_TILE, QUALITY = 85, MOST_LEVELS = 32 };

struct level {
    int width;
    int rows;       /* taken in so far */
    uint8_t *strip; /* [TILE][width][3], the row of tiles in work; of the picture itself [2][width][3] */
};

struct pyramid {
    char folder[DURABLE_PATH_SIZE];
    int levels;
    struct level level[MOST_LEVELS + 1]; /* the last is the picture itself */
    uint8_t *half;                       /* [width / 2][3], a row on its way down */
};

static int half(int extent) { return (extent + 1) / 2; }

int pyramid_levels(int width, int height) {
    int levels = 0;
    do {
        width = half(width);
        height = half(height);
        levels++;
    } while (width > TILE || height > TILE);
    return levels;
}

/* Rows of the strip of a level. */
static int strip_rows(const struct pyramid *pyramid, int level) { return level == pyramid->levels ? 2 : TILE; }

static uint8_t *strip_row(const struct pyramid *pyramid, int level, int row) {
    const struct level *l = &pyramid->level[level];
    return l->strip + (size_t)(row % strip_rows(pyramid, level)) * CHANNELS * l->width;
}

static int make_level(struct pyramid *pyramid, int level, struct error *error) {
    char path[DURABLE_PATH_SIZE + 16];
    struct level *l = &pyramid->level[level];
    size_t bytes = (size_t)strip_rows(pyramid, level) * CHANNELS * l->width;
    if (!(l->strip = malloc(bytes)))
        return error_memory(error, (double)bytes, "the page's tiles");
    snprintf(path, sizeof path, "%s/%d", pyramid->folder, level);
    return level < pyramid->levels ? durable_make_folder(path, error) : STATUS_OK;
}

int pyramid_open(const char *folder, int width, int height, struct pyramid **pyramid, struct error *error) {
    struct pyramid *p = *pyramid = calloc(1, sizeof *p);
    int status = STATUS_OK;
    if (!p || !(p->half = malloc((size_t)half(width) * CHANNELS)))
        return error_memory(error, width * 2.0, "the page's tiles");
    snprintf(p->folder, sizeof p->folder, "%s", folder);
    p->levels = pyramid_levels(width, height);
    for (int level = p->levels; level >= 0 && !status; level--) {
        p->level[level].width = width;
        status = make_level(p, level, error);
        width = half(width);
    }
    return status;
}

/* The row of tiles that ends with the last row taken in. */
static int write_tiles(struct pyramid *pyramid, int level, struct error *error) {
    const struct level *l = &pyramid->level[level];
    int y = (l->rows - 1) / TILE, status = STATUS_OK;
    struct jpeg_picture tile = {.height = l->rows - y * TILE, .stride = (size_t)l->width * CHANNELS};
    for (int x = 0; x * TILE < l->width && !status; x++) {
        char path[DURABLE_PATH_SIZE + 64];
        snprintf(path, sizeof path, "%s/%d/%d_%d.jpg", pyramid->folder, level, x, y);
        tile.rgb = l->strip + (size_t)x * TILE * CHANNELS;
        tile.width = l->width - x * TILE < TILE ? l->width - x * TILE : TILE;
        status = page_jpeg_write(path, &tile, QUALITY, error);
    }
    return status;
}

/* a, b [width][3] -> out [half(width)][3]; an odd last pixel stands for its missing neighbour. */
static void halve(const uint8_t *a, const uint8_t *b, int width, uint8_t *out) {
    for (int x = 0; x < width / 2; x++, a += 2 * CHANNELS, b += 2 * CHANNELS)
        for (int c = 0; c < CHANNELS; c++)
            *out++ = (uint8_t)((a[c] + a[CHANNELS + c] + b[c] + b[CHANNELS + c] + 2) / 4);
    for (int c = 0; c < CHANNELS && width % 2; c++)
        *out++ = (uint8_t)((a[c] + b[c] + 1) / 2);
}

/* A row of a level, which may complete a row of tiles and, with the row before, a row of the level below. */
static int push(struct pyramid *pyramid, int level, const uint8_t *row, struct error *error) {
    int status = STATUS_OK;
    for (; level >= 0 && !status; level--) {
        struct level *l = &pyramid->level[level];
        memcpy(strip_row(pyramid, level, l->rows), row, (size_t)l->width * CHANNELS);
        l->rows++;
        if (level < pyramid->levels && l->rows % TILE == 0)
            status = write_tiles(pyramid, level, error);
        if (l->rows % 2 || !level)
            break;
        halve(strip_row(pyramid, level, l->rows - 2), strip_row(pyramid, level, l->rows - 1), l->width, pyramid->half);
        row = pyramid->half;
    }
    return status;
}

int pyramid_row(struct pyramid *pyramid, const uint8_t *row, struct error *error) {
    return push(pyramid, pyramid->levels, row, error);
}

/* From the largest level down: an odd last row stands for its missing neighbour, and tiles that end early. */
static int finish(struct pyramid *pyramid, struct error *error) {
    int status = STATUS_OK;
    for (int level = pyramid->levels; level >= 0 && !status; level--) {
        struct level *l = &pyramid->level[level];
        if (level < pyramid->levels && l->rows % TILE)
            status = write_tiles(pyramid, level, error);
        if (!status && level && l->rows % 2) {
            const uint8_t *last = strip_row(pyramid, level, l->rows - 1);
            halve(last, last, l->width, pyramid->half);
            status = push(pyramid, level - 1, pyramid->half, error);
        }
    }
    for (int level = 0; level < pyramid->levels && !status; level++) {
        char path[DURABLE_PATH_SIZE + 16];
        snprintf(path, sizeof path, "%s/%d", pyramid->folder, level);
        status = durable_sync_folder(path, error);
    }
    return status;
}

int pyramid_close(struct pyramid *pyramid, int complete, struct error *error) {
    int status = STATUS_OK;
    if (!pyramid)
        return STATUS_OK;
    if (complete)
        status = finish(pyramid, error);
    for (int level = 0; level <= MOST_LEVELS; level++)
        free(pyramid->level[level].strip);
    free(pyramid->half);
    free(pyramid);
    return status;
}
