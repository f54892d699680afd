#include "png_source.h"

#include "exif.h"
#include "png_failure.h"

#include <stdlib.h>
#include <string.h>

struct png_source {
    struct png_failure failure;
    png_structp png;
    png_infop info;
    int width, height, channels; /* 3, or 4 with transparency */
    bool interlaced;
    uint8_t *pixels; /* [width][channels], or of an interlaced file [height][width][channels] */
    int next;        /* row */
};

static int cannot_read(const struct png_source *source, struct error *error) {
    return error_set(error, STATUS_USAGE, "%s", source->failure.message);
}

static int orientation_of(const struct png_source *source) {
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 size = 0;
    png_bytep bytes = NULL;
    if (png_get_eXIf_1(source->png, source->info, &size, &bytes) && bytes)
        return exif_orientation(bytes, size);
#endif
    return 1;
}

static void want_rgb8(struct png_source *source) {
    png_set_expand(source->png);
    png_set_strip_16(source->png);
    png_set_gray_to_rgb(source->png);
    source->interlaced = png_set_interlace_handling(source->png) > 1;
    png_read_update_info(source->png, source->info);
    source->channels = png_get_channels(source->png, source->info);
}

int png_source_open(FILE *file, struct png_source **source, struct image_facts *facts, struct error *error) {
    struct png_source *s = *source = calloc(1, sizeof *s);
    if (!s)
        return error_memory(error, sizeof *s, "reading an image");
    s->png = png_failure_make_reader(&s->failure, &s->info);
    if (!s->info)
        return error_memory(error, 1e6, "reading an image");
    if (setjmp(s->failure.place))
        return cannot_read(s, error);
    png_init_io(s->png, file);
    png_read_info(s->png, s->info);
    s->width = (int)png_get_image_width(s->png, s->info);
    s->height = (int)png_get_image_height(s->png, s->info);
    want_rgb8(s);
    *facts = (struct image_facts){
        .width = s->width, .height = s->height, .orientation = orientation_of(s), .whole = s->interlaced};
    return STATUS_OK;
}

int png_source_start(struct png_source *source, struct error *error) {
    size_t row = (size_t)source->width * source->channels, rows = source->interlaced ? source->height : 1;
    source->pixels = malloc(row * rows);
    if (!source->pixels)
        return error_memory(error, (double)row * rows, "reading an image");
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    enum { PASSES = 7 }; /* of which each adds to what the earlier ones left in a row */
    for (int pass = 0; source->interlaced && pass < PASSES; pass++)
        for (int y = 0; y < source->height; y++)
            png_read_row(source->png, source->pixels + y * row, NULL);
    return STATUS_OK;
}

static void on_white(const uint8_t *rgba, int width, uint8_t *rgb) {
    for (int x = 0; x < width; x++, rgba += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            unsigned sum = rgba[c] * rgba[3] + 255u * (255u - rgba[3]) + 128;
            rgb[c] = (uint8_t)((sum + (sum >> 8)) >> 8);
        }
}

static int decode_row(struct png_source *source, uint8_t *pixels, struct error *error) {
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    png_read_row(source->png, pixels, NULL);
    return STATUS_OK;
}

int png_source_row(struct png_source *source, uint8_t *row, struct error *error) {
    size_t bytes = (size_t)source->width * source->channels;
    uint8_t *pixels = source->interlaced ? source->pixels + source->next++ * bytes : source->pixels;
    int status = source->interlaced ? STATUS_OK : decode_row(source, pixels, error);
    if (status)
        return status;
    if (source->channels == 4)
        on_white(pixels, source->width, row);
    else
        memcpy(row, pixels, bytes);
    return STATUS_OK;
}

int png_source_finish(struct png_source *source, struct error *error) {
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    png_read_end(source->png, NULL);
    return STATUS_OK;
}

void png_source_close(struct png_source *source) {
    if (!source)
        return;
    if (source->png)
        png_destroy_read_struct(&source->png, &source->info, NULL);
    free(source->pixels);
    free(source);
}
