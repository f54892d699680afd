/* make_atlas: an atlas of VGG16's shape without the hours that drawing it takes, for tests of what comes after.
 *
 *   make_atlas OUT SIZE DIVISOR PNG...   13 layers of 64, 64, 128 ... 512 filters, divided by DIVISOR, all live,
 * pictures of SIZE x SIZE pixels: the PNG files in turn, enlarged, turned and made noisy, so that no two are the same
 * and none compresses better than a drawn one */
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/checksum.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/image/resize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT = 8, NOISE = 24 };

struct source {
    int width, height;
    uint8_t *rgb;
};

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; } /* Numerical Recipes, 7.1 */

static int read_source(const char *path, struct source *source, struct error *error) {
    struct png_reader *reader;
    int status = png_reader_open(path, &reader, &source->width, &source->height, error);
    source->rgb = status ? NULL : malloc((size_t)source->width * source->height * 3);
    for (int y = 0; y < source->height && !status; y++)
        status = png_reader_row(reader, source->rgb + (size_t)y * source->width * 3, error);
    png_reader_close(reader);
    return status;
}

/* Enlarges the source, mirrors it and exchanges its channels in one of 12 ways, and adds noise. */
static int make_picture(const struct source *source, int size, uint32_t seed, uint8_t *rgb, struct error *error) {
    uint32_t state = seed;
    uint8_t *large = malloc((size_t)size * size * 3);
    int status = resize_bicubic(source->rgb, source->width, source->height, large, size, size, error);
    int turn = (int)(seed / 7 % 3), mirror = (int)(seed / 3 % 2), flip = (int)(seed / 5 % 2);
    for (int y = 0; y < size && !status; y++)
        for (int x = 0; x < size; x++)
            for (int c = 0; c < 3; c++) {
                size_t from = (size_t)(flip ? size - 1 - y : y) * size + (mirror ? size - 1 - x : x);
                int value = large[3 * from + (c + turn) % 3] + (int)(next(&state) >> 16) % NOISE - NOISE / 2;
                rgb[((size_t)y * size + x) * 3 + c] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
    free(large);
    return status;
}

static int put_filter(const struct store *store, const char *layer, const struct source *source, int size,
                      struct store_filter *filter, struct error *error) {
    uint8_t *rgb = malloc((size_t)size * size * 3), *png = NULL;
    size_t bytes = 0;
    uint32_t seed = checksum_crc32(layer, strlen(layer)) + 2654435761u * (uint32_t)filter->index;
    int status = make_picture(source, size, seed, rgb, error);
    if (!status)
        status = png_encode(rgb, size, size, NULL, 0, &png, &bytes, error);
    if (!status)
        status = store_put_picture(store, layer, filter, png, bytes, error);
    filter->loss = exp((double)(next(&seed) >> 16) / 65536 * 3);
    filter->seconds = 1;
    free(png);
    free(rgb);
    return status;
}

static int make_layer(const struct store *store, const char *layer, int count, int size, const struct source *sources,
                      int many, struct error *error) {
    struct store_filter filters[UNIT];
    int status = STATUS_OK;
    for (int f = 0; f < count && !status; f++) {
        filters[f % UNIT] = (struct store_filter){.index = f};
        status = put_filter(store, layer, &sources[(f + layer[5] * 5) % many], size, &filters[f % UNIT], error);
        if (!status && (f % UNIT == UNIT - 1 || f == count - 1))
            status = store_commit_unit(store, layer, f / UNIT, filters, f % UNIT + 1, NULL, error);
    }
    return status;
}

int main(int argc, char **argv) {
    static const int convolutions[] = {2, 2, 3, 3, 3}, widths[] = {64, 128, 256, 512, 512};
    struct source sources[256];
    struct store store;
    struct error error = {.message = "OUT SIZE DIVISOR PNG...?"};
    const struct store_entry job[] = {
        {"network", "VGG16"}, {"size", argc > 2 ? argv[2] : ""}, {"made-by", "make_atlas"}};
    int many = argc - 4, status = many < 1 || many > 256 || atoi(argv[2]) < 1 || atoi(argv[3]) < 1;
    for (int i = 0; i < many && !status; i++)
        status = read_source(argv[4 + i], &sources[i], &error);
    if (!status)
        status = store_open(argv[1], job, 3, NULL, &store, &error);
    for (int b = 0; b < 5; b++)
        for (int c = 0; c < convolutions[b] && !status; c++) {
            char layer[32];
            snprintf(layer, sizeof layer, "block%d_conv%d", b + 1, c + 1);
            status = make_layer(&store, layer, widths[b] / atoi(argv[3]), atoi(argv[2]), sources, many, &error);
        }
    if (status)
        fprintf(stderr, "make_atlas: %s\n", error.message);
    return status;
}
