/* JPEG pictures, 8-bit RGB, through libjpeg(-turbo): the one place that includes jpeglib.h. Written for what is looked
 * at, never for what is kept; read as src/image/jpeg_source.h has it. */
#ifndef FILTERATLAS_JPEG_FILE_H
#define FILTERATLAS_JPEG_FILE_H

#include "filteratlas/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { JPEG_FILE_MOST = 65500 }; /* pixels of an edge that the format allows */

/* A picture, or a part of one, in memory: rows of [width][3] bytes, `stride` bytes from one to the next. */
struct jpeg_picture {
    const uint8_t *rgb;
    int width, height;
    size_t stride;
};

/* The bytes of a JPEG file, the same for the same picture and quality (1 to 100). The caller frees *bytes, after a
 * failure too. */
int jpeg_file_encode(const struct jpeg_picture *picture, int quality, unsigned char **bytes, unsigned long *size,
                     struct error *error);

#endif
