/* PNG files of every kind, read row by row as 8-bit RGB: palettes and grey as colours, of 16 bits the upper 8, what is
 * transparent on white. As jpeg_source.h has it. */
#ifndef PNG_SOURCE_H
#define PNG_SOURCE_H

#include "facts.h"
#include "filteratlas/base/error.h"

#include <stdint.h>
#include <stdio.h>

struct png_source;

int png_source_open(FILE *file, struct png_source **source, struct image_facts *facts, struct error *error);
int png_source_start(struct png_source *source, struct error *error);
int png_source_row(struct png_source *source, uint8_t *row, struct error *error);
int png_source_finish(struct png_source *source, struct error *error);
void png_source_close(struct png_source *source); /* accepts NULL */

#endif
