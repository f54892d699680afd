#include "filteratlas/atlas/strip.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3 };

size_t strip_width(const struct strip *strip) {
    return (size_t)strip->grid * strip->width + (size_t)(strip->grid - 1) * strip->margin;
}

static void close_pictures(struct strip *strip) {
    for (int i = 0; i < strip->pictures; i++)
        png_reader_close(strip->reader[i]);
    strip->pictures = 0;
}

static int open_picture(const char *path, struct strip *strip, struct error *error) {
    int width, height, status = png_reader_open(path, &strip->reader[strip->pictures++], &width, &height, error);
    if (status)
        return status;
    if (strip->width && (width != strip->width || height != strip->height))
        return error_set(error, STATUS_FAILURE,
                         "%s: is %d x %d pixels, not %d x %d as the others; remove it and run render again", path,
                         width, height, strip->width, strip->height);
    strip->width = width;
    strip->height = height;
    return STATUS_OK;
}

int strip_open(const struct store *store, const char *layer, const struct store_filter *filters, int count,
               struct strip *strip, struct error *error) {
    int status = STATUS_OK;
    close_pictures(strip);
    if (!strip->reader && !(strip->reader = calloc(strip->grid, sizeof(struct png_reader *))))
        return error_memory(error, strip->grid * 8.0, "reading pictures");
    for (int i = 0; i < count && !status; i++) {
        char path[DURABLE_PATH_SIZE];
        store_picture_path(store, layer, filters[i].index, path);
        status = open_picture(path, strip, error);
    }
    if (!status && !strip->row && !(strip->row = malloc(CHANNELS * strip_width(strip))))
        status = error_memory(error, CHANNELS * (double)strip_width(strip), "reading pictures");
    return status ? status : strip_black_row(strip, error);
}

int strip_read_row(struct strip *strip, struct error *error) {
    int status = interrupt_check(strip->interrupt, error);
    for (int i = 0; i < strip->pictures && !status; i++)
        status =
            png_reader_row(strip->reader[i], strip->row + (size_t)i * CHANNELS * (strip->width + strip->margin), error);
    return status;
}

int strip_black_row(struct strip *strip, struct error *error) {
    memset(strip->row, 0, CHANNELS * strip_width(strip));
    return interrupt_check(strip->interrupt, error);
}

void strip_free(struct strip *strip) {
    close_pictures(strip);
    free(strip->reader);
    free(strip->row);
}
