/* Text that grows as it is written, and whole files read into it. */
#ifndef FILTERATLAS_TEXT_H
#define FILTERATLAS_TEXT_H

#include "filteratlas/base/error.h"

#include <stddef.h>

/* Starts as {0}. bytes[size] is always a null byte once anything was appended or read. */
struct text {
    char *bytes;
    size_t size, capacity;
};

/* Appends printf-style. Memory for the small texts this is used for is taken for granted: without it the process ends.
 */
void text_append(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes of any kind, likewise. */
void text_append_bytes(struct text *text, const void *bytes, size_t size);

/* Replaces *text by the content of a file. STATUS_FAILURE names the file. */
int text_read(const char *path, struct text *text, struct error *error);

/* The same of a regular file only, for folders in which anything may lie: it neither waits for a pipe nor reads a
 * device. */
int text_read_regular(const char *path, struct text *text, struct error *error);

void text_free(struct text *text);

#endif
