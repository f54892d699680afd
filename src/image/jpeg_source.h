/* JPEG files, read row by row as 8-bit RGB, also those in grey and in four colours. Messages say why, not which file;
 * a file that is damaged in a way that the decoder notices is refused. */
#ifndef JPEG_SOURCE_H
#define JPEG_SOURCE_H

#include "facts.h"
#include "filteratlas/base/error.h"

#include <stdint.h>
#include <stdio.h>

struct jpeg_source;

/* Reads the head. The file must stay open. Release with jpeg_source_close, after a failure too. */
int jpeg_source_open(FILE *file, struct jpeg_source **source, struct image_facts *facts, struct error *error);

/* Then this, then `height` rows [width][3], then jpeg_source_finish, which looks at the end of the file. */
int jpeg_source_start(struct jpeg_source *source, struct error *error);
int jpeg_source_row(struct jpeg_source *source, uint8_t *row, struct error *error);
int jpeg_source_finish(struct jpeg_source *source, struct error *error);
void jpeg_source_close(struct jpeg_source *source); /* accepts NULL */

#endif
