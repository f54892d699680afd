#include "filteratlas/atlas/mosaic.h"

#include "filteratlas/atlas/sort.h"
#include "filteratlas/atlas/strip.h"
#include "filteratlas/image/png_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_black_rows(struct png_writer *writer, struct strip *strip, int rows, struct error *error) {
    int status = STATUS_OK;
    for (int y = 0; y < rows && !status; y++) {
        status = strip_black_row(strip, error);
        if (!status)
            status = png_writer_row(writer, strip->row, error);
    }
    return status;
}

static int write_strip(struct png_writer *writer, struct strip *strip, struct error *error) {
    int status = STATUS_OK;
    for (int y = 0; y < strip->height && !status; y++) {
        status = strip_read_row(strip, error);
        if (!status)
            status = png_writer_row(writer, strip->row, error);
    }
    return status;
}

static int open_strip(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                      int row, struct strip *strip, struct error *error) {
    int first = row * strip->grid, left = count > first ? count - first : 0;
    return strip_open(store, layer, filters + first, left < strip->grid ? left : strip->grid, strip, error);
}

/* All strips, the first of which is open already. */
static int write_strips(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                        struct strip *strip, struct png_writer *writer, struct error *error) {
    int status = write_strip(writer, strip, error);
    for (int row = 1; row < strip->grid && !status; row++) {
        status = write_black_rows(writer, strip, strip->margin, error);
        if (!status)
            status = open_strip(store, layer, filters, count, row, strip, error);
        if (!status)
            status = write_strip(writer, strip, error);
    }
    return status;
}

static int write_part(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                      struct strip *strip, const char *part, struct error *error) {
    struct png_writer *writer = NULL;
    const struct png_text texts[] = {{"Software", "filteratlas"}, {"layer", layer}, {"job", store->job_digest}};
    int status = open_strip(store, layer, filters, count, 0, strip, error);
    if (!status)
        status =
            png_writer_open(part, (int)strip_width(strip),
                            strip->grid * strip->height + (strip->grid - 1) * strip->margin, texts, 3, &writer, error);
    if (!status)
        status = write_strips(store, layer, filters, count, strip, writer, error);
    int closed = png_writer_close(writer, !status, error);
    strip_free(strip);
    return status ? status : closed;
}

/* The k of <prefix>_<layer>_<k>x<k>.png, or 0 if name is none of the layer's mosaics. */
static int grid_of(const char *name, const struct store *store, const char *layer) {
    char prefix[LAYERS_NETWORK_SIZE + STORE_NAME_SIZE + 2];
    int length = snprintf(prefix, sizeof prefix, "%s_%s_", store->prefix, layer), k, l, end = 0;
    if (strncmp(name, prefix, length) || sscanf(name + length, "%dx%d.png%n", &k, &l, &end) != 2)
        return 0;
    return end && !name[length + end] && k == l ? k : 0;
}

/* Whether name is the temporary name of a mosaic of the layer, left by a process that was killed. */
static bool is_left_over(const char *name, const struct store *store, const char *layer) {
    char inner[256];
    size_t length = strlen(name), tail = strlen(".part");
    if (name[0] != '.' || length <= tail + 1 || length >= sizeof inner || strcmp(name + length - tail, ".part") != 0)
        return false;
    snprintf(inner, sizeof inner, "%.*s", (int)(length - tail - 1), name + 1);
    return grid_of(inner, store, layer) > 0;
}

/* Removes the layer's mosaics of another grid, and what a killed process left of one. */
static void remove_older(const struct store *store, const char *layer, int grid) {
    DIR *folder = opendir(store->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[DURABLE_PATH_SIZE + 256];
        int k = grid_of(entry->d_name, store, layer);
        snprintf(path, sizeof path, "%s/%s", store->folder, entry->d_name);
        if ((k && k != grid) || is_left_over(entry->d_name, store, layer))
            unlink(path);
    }
    if (folder)
        closedir(folder);
}

bool mosaic_find(const struct store *store, const char *layer, char path[DURABLE_PATH_SIZE]) {
    DIR *folder = opendir(store->folder);
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
        if ((found = grid_of(entry->d_name, store, layer) > 0))
            snprintf(path, DURABLE_PATH_SIZE, "%s/%.250s", store->folder, entry->d_name);
    if (folder)
        closedir(folder);
    return found;
}

int mosaic_write(const struct store *store, const struct store_layer *layer, const struct mosaic_options *options,
                 const struct interrupt *interrupt, struct mosaic *mosaic, struct error *error) {
    struct store_filter *filters;
    int status = sort_live(layer, options->by_index, &filters, &mosaic->live, error);
    if (status)
        return status;
    mosaic->grid = mosaic->live ? options->grid ? options->grid : (int)sqrt(mosaic->live) : 0;
    if (mosaic->grid) {
        struct strip strip = {.grid = mosaic->grid, .margin = options->margin, .interrupt = interrupt};
        char part[DURABLE_PATH_SIZE];
        snprintf(mosaic->path, sizeof mosaic->path, "%s/%s_%s_%dx%d.png", store->folder, store->prefix, layer->name,
                 mosaic->grid, mosaic->grid);
        durable_part(mosaic->path, part);
        status = write_part(store, layer->name, filters, mosaic->live, &strip, part, error);
        if (status)
            unlink(part);
        else
            status = durable_rename(mosaic->path, error);
    }
    if (!status)
        remove_older(store, layer->name, mosaic->grid);
    free(filters);
    return status;
}
