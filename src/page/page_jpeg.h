/* The page's JPEG files. */
#ifndef PAGE_JPEG_H
#define PAGE_JPEG_H

#include "filteratlas/base/error.h"
#include "filteratlas/image/jpeg_file.h"

/* Writes a JPEG file under path as durable_write_part and durable_rename do; its entry is durable once the folder has
 * been flushed. The same bytes for the same picture and quality (1 to 100). */
int page_jpeg_write(const char *path, const struct jpeg_picture *picture, int quality, struct error *error);

#endif
