#include "filteratlas/image/jpeg_file.h"

#include "exif.h"
#include "jpeg_source.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it first */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/* libjpeg reports an error by a call that must not return; the message is kept for the function that does. */
struct failure {
    struct jpeg_error_mgr manager; /* first, so that libjpeg's pointer to it is one to the whole */
    jmp_buf place;
    char message[JMSG_LENGTH_MAX];
};

static void fail(j_common_ptr jpeg) {
    struct failure *failure = (struct failure *)jpeg->err;
    failure->manager.format_message(jpeg, failure->message);
    longjmp(failure->place, 1);
}

static void compress(struct jpeg_compress_struct *jpeg, const struct jpeg_picture *picture, int quality) {
    jpeg->image_width = (JDIMENSION)picture->width;
    jpeg->image_height = (JDIMENSION)picture->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = (JSAMPROW)(picture->rgb + jpeg->next_scanline * picture->stride);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

int jpeg_file_encode(const struct jpeg_picture *picture, int quality, unsigned char **bytes, unsigned long *size,
                     struct error *error) {
    struct jpeg_compress_struct jpeg;
    struct failure failure;
    *bytes = NULL;
    *size = 0;
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    if (setjmp(failure.place)) {
        jpeg_destroy_compress(&jpeg);
        return error_set(error, STATUS_FAILURE, "cannot encode a picture of %d x %d pixels: %s", picture->width,
                         picture->height, failure.message);
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, bytes, size);
    compress(&jpeg, picture, quality);
    jpeg_destroy_compress(&jpeg);
    return STATUS_OK;
}

/* Reading ------------------------------------------------------------------------------------------------------- */

struct jpeg_source {
    struct jpeg_decompress_struct jpeg;
    struct failure failure;
    uint8_t *cmyk; /* [width][4], a row of four colours; NULL where there are three */
};

/* A warning speaks of data that are not what they were: what libjpeg makes of them is not the picture. */
static void fail_on_warning(j_common_ptr jpeg, int level) {
    if (level < 0)
        fail(jpeg);
}

static int cannot_read(const struct jpeg_source *source, struct error *error) {
    return error_set(error, STATUS_USAGE, "%s", source->failure.message);
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg) {
    static const char name[6] = "Exif\0";
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->data_length > sizeof name && !memcmp(marker->data, name, sizeof name))
            return exif_orientation(marker->data + sizeof name, marker->data_length - sizeof name);
    return 1;
}

static int choose_colours(struct jpeg_source *source, struct error *error) {
    struct jpeg_decompress_struct *jpeg = &source->jpeg;
    bool four = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    if (jpeg->jpeg_color_space == JCS_UNKNOWN)
        return error_set(error, STATUS_USAGE, "%d colours that JPEG has no name for", jpeg->num_components);
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    if (four)
        source->cmyk = malloc((size_t)jpeg->image_width * 4);
    return four && !source->cmyk ? error_memory(error, jpeg->image_width * 4.0, "reading an image") : STATUS_OK;
}

int jpeg_source_open(FILE *file, struct jpeg_source **source, struct image_facts *facts, struct error *error) {
    struct jpeg_source *r = *source = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, sizeof *r, "reading an image");
    r->jpeg.err = jpeg_std_error(&r->failure.manager);
    r->failure.manager.error_exit = fail;
    r->failure.manager.emit_message = fail_on_warning;
    if (setjmp(r->failure.place))
        return cannot_read(r, error);
    jpeg_create_decompress(&r->jpeg);
    jpeg_stdio_src(&r->jpeg, file);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&r->jpeg, TRUE);
    *facts = (struct image_facts){.width = (int)r->jpeg.image_width,
                                  .height = (int)r->jpeg.image_height,
                                  .orientation = orientation_of(&r->jpeg),
                                  .whole = jpeg_has_multiple_scans(&r->jpeg)};
    return choose_colours(r, error);
}

int jpeg_source_start(struct jpeg_source *source, struct error *error) {
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    jpeg_start_decompress(&source->jpeg);
    return STATUS_OK;
}

/* Adobe's programs write all four colours inverted, and so, for want of another custom, does everyone. */
static void from_cmyk(const uint8_t *cmyk, int width, uint8_t *rgb) {
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(cmyk[3] - image_share((uint8_t)(255 - cmyk[c]), cmyk[3]));
}

static int decode_row(struct jpeg_source *source, JSAMPROW row, struct error *error) {
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    jpeg_read_scanlines(&source->jpeg, &row, 1);
    return STATUS_OK;
}

int jpeg_source_row(struct jpeg_source *source, uint8_t *row, struct error *error) {
    int status = decode_row(source, source->cmyk ? source->cmyk : row, error);
    if (!status && source->cmyk)
        from_cmyk(source->cmyk, (int)source->jpeg.image_width, row);
    return status;
}

int jpeg_source_finish(struct jpeg_source *source, struct error *error) {
    if (setjmp(source->failure.place))
        return cannot_read(source, error);
    jpeg_finish_decompress(&source->jpeg);
    return STATUS_OK;
}

void jpeg_source_close(struct jpeg_source *source) {
    if (!source)
        return;
    jpeg_destroy_decompress(&source->jpeg);
    free(source->cmyk);
    free(source);
}
