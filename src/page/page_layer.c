/* The folder of one layer: thumbnails, cover and tiles in one pass over the pictures. */
#include "filteratlas/page/page.h"

#include "filteratlas/atlas/sort.h"
#include "filteratlas/atlas/strip.h"
#include "filteratlas/base/checksum.h"
#include "filteratlas/base/text.h"
#include "page_jpeg.h"
#include "pyramid.h"
#include "thumbnail.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANNELS = 3, SHEET_THUMBNAIL = 128, COVER_THUMBNAIL = 192, COVER_MOST = 8, QUALITY = 85 };

/* A row or a grid of thumbnails of one size in one picture. */
struct sheet {
    int columns, most;        /* thumbnails per row and in all */
    int width, height;        /* of a thumbnail */
    struct thumbnail *column; /* [columns]: what is being read in each */
    uint8_t *rgb;             /* [rows * height][columns * width][3] */
};

/* A layer's folder in the making. */
struct making {
    char folder[DURABLE_PATH_SIZE];
    struct store_filter *live; /* [count], highest loss first */
    int count, columns, rows;  /* the grid */
    struct strip strip;
    struct sheet sheet, cover;
    struct pyramid *pyramid;
    const struct interrupt *interrupt;
};

static size_t sheet_stride(const struct sheet *sheet) { return (size_t)sheet->columns * sheet->width * CHANNELS; }

static int sheet_rows(const struct sheet *sheet) { return (sheet->most + sheet->columns - 1) / sheet->columns; }

static int sheet_make(const struct strip *strip, int most, int columns, int size, struct sheet *sheet,
                      struct error *error) {
    *sheet = (struct sheet){.columns = columns, .most = most};
    thumbnail_fit(strip->width, strip->height, size, &sheet->width, &sheet->height);
    size_t bytes = sheet_stride(sheet) * sheet_rows(sheet) * sheet->height;
    sheet->rgb = calloc(bytes, 1);
    sheet->column = calloc(columns, sizeof *sheet->column);
    int status = sheet->rgb && sheet->column ? STATUS_OK : error_memory(error, (double)bytes, "the page's thumbnails");
    for (int i = 0; i < columns && !status; i++)
        status = thumbnail_make(strip->width, strip->height, sheet->width, sheet->height, &sheet->column[i], error);
    return status;
}

static void sheet_free(struct sheet *sheet) {
    for (int i = 0; sheet->column && i < sheet->columns; i++)
        thumbnail_free(&sheet->column[i]);
    free(sheet->column);
    free(sheet->rgb);
}

/* Takes in a row of pixels of picture `place`. */
static void sheet_row(struct sheet *sheet, int place, const uint8_t *row) {
    int x = place % sheet->columns, y = place / sheet->columns;
    if (place < sheet->most)
        thumbnail_row(&sheet->column[x], row,
                      sheet->rgb + y * sheet->height * sheet_stride(sheet) + (size_t)x * sheet->width * CHANNELS,
                      sheet_stride(sheet));
}

static int sheet_write(const struct sheet *sheet, const char *folder, const char *name, struct error *error) {
    char path[DURABLE_PATH_SIZE + 16];
    const struct jpeg_picture picture = {sheet->rgb, sheet->columns * sheet->width, sheet_rows(sheet) * sheet->height,
                                         sheet_stride(sheet)};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return page_jpeg_write(path, &picture, QUALITY, error);
}

static int open_row(const struct store *store, const char *layer, int row, struct making *making, struct error *error) {
    int first = row * making->columns, left = making->count - first;
    return strip_open(store, layer, making->live + first, left < making->columns ? left : making->columns,
                      &making->strip, error);
}

/* Pictures keep a little distance on the canvas, 8 pixels at 412. */
static int margin_for(int width, int height) {
    int shorter = width < height ? width : height;
    return shorter < 100 ? 2 : shorter / 50;
}

/* The margin is a matter of the pictures' size, so the first one is looked at before the strip is laid out. */
static int lay_out(const struct store *store, const char *layer, struct making *making, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct png_reader *reader;
    int width, height, columns = making->columns;
    store_picture_path(store, layer, making->live[0].index, path);
    int status = png_reader_open(path, &reader, &width, &height, error);
    png_reader_close(reader);
    if (status)
        return status;
    making->strip =
        (struct strip){.grid = columns, .margin = margin_for(width, height), .interrupt = making->interrupt};
    status = open_row(store, layer, 0, making, error);
    if (!status)
        status = sheet_make(&making->strip, making->count, columns, SHEET_THUMBNAIL, &making->sheet, error);
    int cover = making->count < COVER_MOST ? making->count : COVER_MOST;
    if (!status)
        status = sheet_make(&making->strip, cover, cover, COVER_THUMBNAIL, &making->cover, error);
    return status;
}

static int write_margin(struct making *making, struct error *error) {
    int status = strip_black_row(&making->strip, error);
    for (int y = 0; y < making->strip.margin && !status; y++)
        status = pyramid_row(making->pyramid, making->strip.row, error);
    return status;
}

/* A row of the grid, pixel row by pixel row. */
static int write_row(struct making *making, int row, struct error *error) {
    struct strip *strip = &making->strip;
    int status = STATUS_OK;
    for (int y = 0; y < strip->height && !status; y++) {
        status = strip_read_row(strip, error);
        for (int i = 0; i < strip->pictures && !status; i++) {
            const uint8_t *pixels = strip->row + (size_t)i * CHANNELS * (strip->width + strip->margin);
            sheet_row(&making->sheet, row * making->columns + i, pixels);
            sheet_row(&making->cover, row * making->columns + i, pixels);
        }
        if (!status)
            status = pyramid_row(making->pyramid, strip->row, error);
    }
    return status;
}

static int full_height(const struct making *making) {
    return making->rows * (making->strip.height + making->strip.margin) - making->strip.margin;
}

static int write_tiles(const struct store *store, const char *layer, struct making *making, struct error *error) {
    char tiles[DURABLE_PATH_SIZE + 16];
    snprintf(tiles, sizeof tiles, "%s/tiles", making->folder);
    int status = durable_make_folder(tiles, error);
    if (!status)
        status = pyramid_open(tiles, (int)strip_width(&making->strip), full_height(making), &making->pyramid, error);
    for (int row = 0; row < making->rows && !status; row++) {
        if (row > 0)
            status = write_margin(making, error);
        if (row > 0 && !status)
            status = open_row(store, layer, row, making, error);
        if (!status)
            status = write_row(making, row, error);
    }
    int closed = pyramid_close(making->pyramid, !status, error);
    return status ? status : closed;
}

/* Of all that the folder is made from, and of the program that makes it. */
static uint32_t digest_of(const struct store_layer *layer) {
    struct text text = {0};
    text_append(&text, "%s\n", FILTERATLAS_VERSION);
    for (int i = 0; i < layer->count; i++) {
        const struct store_filter *f = &layer->filter[i];
        text_append(&text, "%d %d %.17g %08" PRIx32 "\n", f->index, f->dead, f->loss, f->crc);
    }
    uint32_t digest = checksum_crc32(text.bytes, text.size);
    text_free(&text);
    return digest;
}

static int write_geometry(const struct store_layer *layer, const struct making *making, struct error *error) {
    char path[DURABLE_PATH_SIZE + 16];
    struct text text = {0};
    const struct strip *strip = &making->strip;
    text_append(&text, "filteratlas.sheet(\"%s\", {\n\"digest\": \"%08" PRIx32 "\",\n", layer->name, digest_of(layer));
    text_append(&text, "\"columns\": %d, \"rows\": %d, \"width\": %d, \"height\": %d, \"margin\": %d,\n",
                making->columns, making->rows, strip->width, strip->height, strip->margin);
    text_append(&text, "\"tile\": %d, \"levels\": %d, \"thumbnail\": [%d, %d],\n", PYRAMID_TILE,
                pyramid_levels((int)strip_width(strip), full_height(making)), making->sheet.width,
                making->sheet.height);
    text_append(&text, "\"filters\": [");
    for (int i = 0; i < making->count; i++)
        text_append(&text, "%s%d", i ? "," : "", making->live[i].index);
    text_append(&text, "]});\n");
    snprintf(path, sizeof path, "%s/sheet.js", making->folder);
    int status = durable_write(path, text.bytes, text.size, error);
    text_free(&text);
    return status;
}

static int fill_folder(const struct store *store, const struct store_layer *layer, struct making *making,
                       struct error *error) {
    making->columns = (int)ceil(sqrt(making->count));
    making->rows = (making->count + making->columns - 1) / making->columns;
    int status = lay_out(store, layer->name, making, error);
    if (!status)
        status = write_tiles(store, layer->name, making, error);
    if (!status)
        status = sheet_write(&making->sheet, making->folder, "sheet.jpg", error);
    if (!status)
        status = sheet_write(&making->cover, making->folder, "cover.jpg", error);
    if (!status)
        status = write_geometry(layer, making, error);
    sheet_free(&making->sheet);
    sheet_free(&making->cover);
    strip_free(&making->strip);
    return status;
}

/* Puts the new folder (NULL: none) in the place of the old one. */
static int replace_folder(const char *page, const char *layer, const char *part, struct error *error) {
    char path[DURABLE_PATH_SIZE], old[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", page, layer);
    snprintf(old, sizeof old, "%s/.%s.old", page, layer);
    int status = durable_remove_folder(old, error);
    if (!status && rename(path, old) && errno != ENOENT)
        status = error_set(error, STATUS_FAILURE, "%s: cannot be renamed: %s; remove it and run the command again",
                           path, strerror(errno));
    if (!status && part)
        status = durable_rename(path, error);
    if (!status)
        status = durable_sync_folder(page, error);
    return status ? status : durable_remove_folder(old, error);
}

int page_write_layer(const struct store *store, const struct store_layer *layer, const struct interrupt *interrupt,
                     struct error *error) {
    char page[DURABLE_PATH_SIZE], path[DURABLE_PATH_SIZE];
    struct making making = {.interrupt = interrupt};
    snprintf(page, sizeof page, "%s/page", store->folder);
    snprintf(path, sizeof path, "%s/%s", page, layer->name);
    durable_part(path, making.folder);
    int status = sort_live(layer, false, &making.live, &making.count, error);
    if (!status)
        status = durable_make_folder(page, error);
    if (!status)
        status = durable_remove_folder(making.folder, error);
    if (!status && making.count) {
        status = durable_make_folder(making.folder, error);
        if (!status)
            status = fill_folder(store, layer, &making, error);
    }
    if (!status)
        status = replace_folder(page, layer->name, making.count ? making.folder : NULL, error);
    if (status) {
        struct error ignored; /* the first one counts; what can't be removed now is removed next time */
        durable_remove_folder(making.folder, &ignored);
    }
    free(making.live);
    return status;
}

bool page_layer_is_current(const struct store *store, const struct store_layer *layer) {
    char path[DURABLE_PATH_SIZE];
    struct text text = {0};
    struct error ignored;
    uint32_t digest;
    snprintf(path, sizeof path, "%s/page/%s/sheet.js", store->folder, layer->name);
    bool current = text_read(path, &text, &ignored) == STATUS_OK &&
                   sscanf(text.bytes, "%*[^\n]\n\"digest\": \"%" SCNx32, &digest) == 1 && digest == digest_of(layer);
    text_free(&text);
    return current;
}
