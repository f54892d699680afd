#include "jpeg_file.h"

#include "filteratlas/atlas/durable.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants it first */
#include <stdlib.h>

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

/* The caller frees *bytes, after a failure too. */
static int encode(const struct jpeg_picture *picture, int quality, unsigned char **bytes, unsigned long *size,
                  struct error *error) {
    struct jpeg_compress_struct jpeg;
    struct failure failure;
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

int jpeg_file_write(const char *path, const struct jpeg_picture *picture, int quality, struct error *error) {
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    int status = encode(picture, quality, &bytes, &size, error);
    if (!status)
        status = durable_write_part(path, bytes, size, error);
    if (!status)
        status = durable_publish(path, error);
    free(bytes);
    return status;
}
