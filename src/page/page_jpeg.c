#include "page_jpeg.h"

#include "filteratlas/atlas/durable.h"

#include <stdlib.h>

int page_jpeg_write(const char *path, const struct jpeg_picture *picture, int quality, struct error *error) {
    unsigned char *bytes;
    unsigned long size;
    int status = jpeg_file_encode(picture, quality, &bytes, &size, error);
    if (!status)
        status = durable_write_part(path, bytes, size, error);
    if (!status)
        status = durable_rename(path, error);
    free(bytes);
    return status;
}
