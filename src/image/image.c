#include "filteratlas/image/image.h"

#include "exif.h"
#include "filteratlas/base/file.h"
#include "filteratlas/image/resize.h"
#include "jpeg_source.h"
#include "png_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One of the two kinds of files. */
struct source {
    struct image_facts facts;
    struct jpeg_source *jpeg;
    struct png_source *png;
};

static int open_source(FILE *file, struct source *source, struct error *error) {
    static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff}, png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t head[sizeof png] = {0};
    size_t got = fread(head, 1, sizeof head, file);
    rewind(file);
    if (!got)
        return error_set(error, STATUS_USAGE, "it is empty");
    if (!memcmp(head, jpeg, sizeof jpeg))
        return jpeg_source_open(file, &source->jpeg, &source->facts, error);
    if (!memcmp(head, png, sizeof png))
        return png_source_open(file, &source->png, &source->facts, error);
    return error_set(error, STATUS_USAGE, "neither JPEG nor PNG");
}

static int start(struct source *source, struct error *error) {
    return source->jpeg ? jpeg_source_start(source->jpeg, error) : png_source_start(source->png, error);
}

static int read_row(struct source *source, uint8_t *row, struct error *error) {
    return source->jpeg ? jpeg_source_row(source->jpeg, row, error) : png_source_row(source->png, row, error);
}

static int finish(struct source *source, struct error *error) {
    return source->jpeg ? jpeg_source_finish(source->jpeg, error) : png_source_finish(source->png, error);
}

static void close_source(struct source *source) {
    jpeg_source_close(source->jpeg);
    png_source_close(source->png);
}

static int check_size(const struct image_facts *facts, struct error *error) {
    double pixels = (double)facts->width * facts->height;
    bool whole = facts->whole || facts->orientation != 1;
    double most = whole ? IMAGE_MOST_WHOLE : IMAGE_MOST;
    if (pixels <= most)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE, "%d x %d pixels are too many%s: at most %.0f million", facts->width,
                     facts->height, whole ? " for an image that is interlaced, progressive or turned" : "", most / 1e6);
}

/* The window for an upright picture of that size. */
static int make_resize(int width, int height, int shorter, int crop, struct resize **resize, struct error *error) {
    int least = width < height ? width : height;
    int out_width = (int)((long long)shorter * width / least), out_height = (int)((long long)shorter * height / least);
    const struct resize_window window = {(out_width - crop) / 2, (out_height - crop) / 2, crop, crop};
    return resize_make(width, height, out_width, out_height, &window, resize, error);
}

/* A picture that is upright as it is, row by row. */
static int read_rows(struct source *source, struct resize *resize, struct error *error) {
    size_t bytes = (size_t)source->facts.width * 3;
    uint8_t *row = malloc(bytes);
    int status = row ? start(source, error) : error_memory(error, (double)bytes, "reading an image");
    for (int y = 0; y < source->facts.height && !status; y++) {
        status = read_row(source, row, error);
        if (!status)
            resize_row(resize, y, row);
    }
    free(row);
    return status ? status : finish(source, error);
}

/* Fills upright, which has the size of the turned picture. */
static int turn_rows(struct source *source, uint8_t *row, uint8_t *upright, struct error *error) {
    const struct image_facts *facts = &source->facts;
    size_t width = facts->orientation >= 5 ? facts->height : facts->width;
    int status = start(source, error);
    for (int y = 0; y < facts->height && !status; y++) {
        status = read_row(source, row, error);
        for (int x = 0; x < facts->width && !status; x++) {
            int to_x, to_y;
            exif_turn(facts->orientation, facts->width, facts->height, x, y, &to_x, &to_y);
            memcpy(upright + (to_y * width + to_x) * 3, row + (size_t)x * 3, 3);
        }
    }
    return status ? status : finish(source, error);
}

static int read_turned(struct source *source, int width, int height, struct resize *resize, struct error *error) {
    size_t bytes = (size_t)width * height * 3;
    uint8_t *upright = malloc(bytes), *row = malloc((size_t)source->facts.width * 3);
    int status = upright && row ? turn_rows(source, row, upright, error)
                                : error_memory(error, (double)bytes, "turning an image");
    for (int y = 0; y < height && !status; y++)
        resize_row(resize, y, upright + (size_t)y * width * 3);
    free(upright);
    free(row);
    return status;
}

static int read_source(struct source *source, int shorter, int crop, uint8_t *rgb, struct error *error) {
    const struct image_facts *facts = &source->facts;
    bool lies = facts->orientation >= 5;
    int width = lies ? facts->height : facts->width, height = lies ? facts->width : facts->height;
    struct resize *resize = NULL;
    int status = check_size(facts, error);
    if (!status)
        status = make_resize(width, height, shorter, crop, &resize, error);
    if (!status)
        status = facts->orientation == 1 ? read_rows(source, resize, error)
                                         : read_turned(source, width, height, resize, error);
    if (!status)
        resize_finish(resize, rgb);
    resize_free(resize);
    return status;
}

/* Not a pipe, which would be waited for, nor a folder or a device. */
static FILE *open_regular(const char *path, struct error *error) {
    FILE *file = file_open_regular(path);
    if (!file && !errno)
        error_set(error, STATUS_USAGE, "not a regular file");
    else if (!file)
        error_set(error, errno == EMFILE || errno == ENFILE || errno == ENOMEM ? STATUS_FAILURE : STATUS_USAGE,
                  "cannot be opened: %s", strerror(errno));
    return file;
}

int image_read(const char *path, int shorter, int crop, uint8_t *rgb, struct error *error) {
    struct source source = {0};
    FILE *file = open_regular(path, error);
    if (!file)
        return error->status;
    int status = open_source(file, &source, error);
    if (!status)
        status = read_source(&source, shorter, crop, rgb, error);
    close_source(&source);
    fclose(file);
    return status;
}
