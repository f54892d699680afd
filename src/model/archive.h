/* The .keras file, a zip archive of config.json, metadata.json and model.weights.h5: the one place that includes zip.h.
 */
#ifndef MODEL_ARCHIVE_H
#define MODEL_ARCHIVE_H

#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct archive {
    char *config, *metadata, *weights; /* NULL what isn't there; owned */
    size_t config_size, metadata_size, weights_size;
};

/* Whether a file begins as an archive does. */
bool archive_recognise(const char *path);

/* Reads the three members. STATUS_USAGE if the file is damaged or no such archive, or if the program was built without
 * libzip. On success the caller ends with archive_free. */
int archive_read(const char *path, struct archive *archive, struct error *error);
void archive_free(struct archive *archive);

#endif
