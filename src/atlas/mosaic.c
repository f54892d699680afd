#include "filteratlas/mosaic.h"

#include "filteratlas/png_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANNELS = 3 };

static int by_loss(const void *a, const void *b) {
    const struct store_filter *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss < y->loss ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The live filters in the order of the mosaic; the caller frees them. */
static struct store_filter *select_live(const struct store_layer *layer, bool by_index, int *live) {
    struct store_filter *chosen = malloc((layer->count + 1) * sizeof *chosen);
    *live = 0;
    for (int i = 0; chosen && i < layer->count; i++)
        if (!layer->filter[i].dead)
            chosen[(*live)++] = layer->filter[i];
    if (chosen && !by_index)
        qsort(chosen, *live, sizeof *chosen, by_loss);
    return chosen;
}

/* The pictures of one row of the mosaic, read side by side. */
struct strip {
    int grid, width, height, margin; /* pixels of one picture; pixels between two */
    int pictures;                    /* at most grid */
    struct png_reader **reader;      /* [grid] */
    uint8_t *row;                    /* [mosaic width][3] */
};

static size_t row_bytes(const struct strip *strip) {
    return CHANNELS * ((size_t)strip->grid * strip->width + (size_t)(strip->grid - 1) * strip->margin);
}

static int strip_open(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                      struct strip *strip, struct error *error) {
    strip->pictures = 0;
    for (int i = 0; i < count; i++) {
        char path[DURABLE_PATH_SIZE];
        int width, height;
        store_picture_path(store, layer, filters[i].index, path);
        strip->pictures++;
        int status = png_reader_open(path, &strip->reader[i], &width, &height, error);
        if (status)
            return status;
        if (strip->width && (width != strip->width || height != strip->height))
            return error_set(error, STATUS_FAILURE,
                             "%s: is %d x %d pixels, not %d x %d as the others; remove it and run render again", path,
                             width, height, strip->width, strip->height);
        strip->width = width;
        strip->height = height;
    }
    return STATUS_OK;
}

static void strip_close(struct strip *strip) {
    for (int i = 0; i < strip->pictures; i++)
        png_reader_close(strip->reader[i]);
    strip->pictures = 0;
}

static int write_black_rows(struct png_writer *writer, struct strip *strip, int rows, struct error *error) {
    int status = STATUS_OK;
    memset(strip->row, 0, row_bytes(strip));
    for (int y = 0; y < rows && !status; y++)
        status = png_writer_row(writer, strip->row, error);
    return status;
}

static int write_strip(struct png_writer *writer, struct strip *strip, struct error *error) {
    int status = STATUS_OK;
    memset(strip->row, 0, row_bytes(strip));
    for (int y = 0; y < strip->height && !status; y++) {
        for (int i = 0; i < strip->pictures && !status; i++)
            status = png_reader_row(strip->reader[i],
                                    strip->row + (size_t)i * CHANNELS * (strip->width + strip->margin), error);
        if (!status)
            status = png_writer_row(writer, strip->row, error);
    }
    return status;
}

/* All strips, the first of which is open already. */
static int write_strips(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                        struct strip *strip, struct png_writer *writer, struct error *error) {
    int status = STATUS_OK;
    for (int row = 0; row < strip->grid && !status; row++) {
        int first = row * strip->grid, left = count > first ? count - first : 0;
        if (row > 0) {
            strip_close(strip);
            status = write_black_rows(writer, strip, strip->margin, error);
            if (!status)
                status =
                    strip_open(store, layer, filters + first, left < strip->grid ? left : strip->grid, strip, error);
        }
        if (!status)
            status = write_strip(writer, strip, error);
    }
    return status;
}

static int write_part(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                      struct strip *strip, const char *part, struct error *error) {
    struct png_writer *writer = NULL;
    const struct png_text texts[] = {{"Software", "filteratlas"}, {"layer", layer}, {"job", store->job_digest}};
    strip->reader = calloc(strip->grid, sizeof(struct png_reader *));
    if (!strip->reader)
        return error_memory(error, strip->grid * 8.0, "a mosaic");
    int status = strip_open(store, layer, filters, count < strip->grid ? count : strip->grid, strip, error);
    if (!status && !(strip->row = malloc(row_bytes(strip))))
        status = error_memory(error, (double)row_bytes(strip), "a mosaic");
    if (!status)
        status =
            png_writer_open(part, (int)(row_bytes(strip) / CHANNELS),
                            strip->grid * strip->height + (strip->grid - 1) * strip->margin, texts, 3, &writer, error);
    if (!status)
        status = write_strips(store, layer, filters, count, strip, writer, error);
    int closed = png_writer_close(writer, !status, error);
    strip_close(strip);
    free(strip->reader);
    free(strip->row);
    return status ? status : closed;
}

/* Removes vgg_<layer>_<k>x<k>.png of every k but `grid`. */
static void remove_older(const struct store *store, const char *layer, int grid) {
    DIR *folder = opendir(store->folder);
    char prefix[64];
    int length = snprintf(prefix, sizeof prefix, "vgg_%s_", layer);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int k, l, end = 0;
        if (strncmp(entry->d_name, prefix, length) || sscanf(entry->d_name + length, "%dx%d.png%n", &k, &l, &end) != 2)
            continue;
        char path[DURABLE_PATH_SIZE + 256];
        snprintf(path, sizeof path, "%s/%s", store->folder, entry->d_name);
        if (end && !entry->d_name[length + end] && k == l && k != grid)
            unlink(path);
    }
    if (folder)
        closedir(folder);
}

int mosaic_write(const struct store *store, const struct store_layer *layer, const struct mosaic_options *options,
                 struct mosaic *mosaic, struct error *error) {
    struct store_filter *filters = select_live(layer, options->by_index, &mosaic->live);
    if (!filters)
        return error_memory(error, layer->count * (double)sizeof *filters, "a mosaic");
    int status = STATUS_OK;
    mosaic->grid = mosaic->live ? options->grid ? options->grid : (int)sqrt(mosaic->live) : 0;
    if (mosaic->grid) {
        struct strip strip = {.grid = mosaic->grid, .margin = options->margin};
        char part[DURABLE_PATH_SIZE];
        snprintf(mosaic->path, sizeof mosaic->path, "%s/vgg_%s_%dx%d.png", store->folder, layer->name, mosaic->grid,
                 mosaic->grid);
        durable_part(mosaic->path, part);
        status = write_part(store, layer->name, filters, mosaic->live, &strip, part, error);
        if (status)
            unlink(part);
        else
            status = durable_publish(mosaic->path, error);
    }
    if (!status)
        remove_older(store, layer->name, mosaic->grid);
    free(filters);
    return status;
}
