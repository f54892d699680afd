/* JPEG pictures, 8-bit RGB, through libjpeg(-turbo): the one place that includes jpeglib.h. For what is looked at,
 * never for what is kept. */
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

/* Writes a JPEG file under path as durable_write_part and durable_publish do; its entry is durable once the folder has
 * been flushed. The same bytes for the same picture and quality (1 to 100). */
int jpeg_file_write(const char *path, const struct jpeg_picture *picture, int quality, struct error *error);

#endif
