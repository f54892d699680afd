/* The PNG file of a filter's picture: what its tEXt chunks say of it, and in which words. */
#ifndef FILTERATLAS_PICTURE_FILE_H
#define FILTERATLAS_PICTURE_FILE_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What kept a live filter from death, in words, into filter->rescue: noise number `attempt` > 0, or a leak; "" if it
 * needed no rescue. */
void picture_file_note_rescue(struct store_filter *filter, int attempt, bool leaked);

/* rgb [height][width][3] -> the bytes of the PNG file of a live filter, with chunks Software, layer, filter, loss (17
 * digits), job and, where they aren't "", rescue and recipe. The same for the same input. It stands behind the *size
 * bytes that *bytes holds already, as png_encode has it. */
int picture_file_encode(const uint8_t *rgb, int width, int height, const char *layer, const struct store_filter *filter,
                        const char *job_digest, const char *recipe, uint8_t **bytes, size_t *size, struct error *error);

/* Whether the file at `path` says in its chunks that it is this filter's picture, of the job with this digest (NULL: of
 * any). Looks at the file's beginning alone. */
bool picture_file_is_of(const char *path, const char *layer, int filter, const char *job_digest);

/* Whether the file at `path` is whole: length and checksum are those of the filter's record. */
bool picture_file_matches(const char *path, const struct store_filter *filter);

#endif
