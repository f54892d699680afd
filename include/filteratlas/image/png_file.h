/* PNG pictures, 8-bit RGB, through libpng. Rows are [width][3] bytes. */
#ifndef FILTERATLAS_PNG_FILE_H
#define FILTERATLAS_PNG_FILE_H

#include "filteratlas/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A tEXt chunk: both in Latin-1, the key at most 79 bytes. */
struct png_text {
    const char *key;
    const char *text;
};

/* rgb [height][width][3] -> a PNG file's bytes, the same for the same input, behind the *size that *bytes holds already
 * (NULL and 0: none). The caller frees *bytes, after a failure too. */
int png_encode(const uint8_t *rgb, int width, int height, const struct png_text *texts, int count, uint8_t **bytes,
               size_t *size, struct error *error);

/* "libpng 1.6.39", static. */
const char *png_description(void);

/* Writes a picture row by row, so that it never stands in memory whole. The file is created or overwritten: give a
 * temporary name, and rename it after png_writer_close, which flushes it to the disk. A failure names the file. */
struct png_writer;
int png_writer_open(const char *path, int width, int height, const struct png_text *texts, int count,
                    struct png_writer **writer, struct error *error);
int png_writer_row(struct png_writer *writer, const uint8_t *row, struct error *error);

/* Finishes the file if `complete`, else only gives the memory back. Accepts NULL. */
int png_writer_close(struct png_writer *writer, int complete, struct error *error);

/* Reads a picture row by row; anything but an 8-bit RGB file that isn't interlaced is refused. */
struct png_reader;
int png_reader_open(const char *path, struct png_reader **reader, int *width, int *height, struct error *error);
int png_reader_row(struct png_reader *reader, uint8_t *row, struct error *error);
void png_reader_close(struct png_reader *reader); /* accepts NULL */

#endif
