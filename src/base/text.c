#include "filteratlas/base/text.h"

#include "filteratlas/base/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `size` more bytes and the null byte. */
static void reserve(struct text *text, size_t size) {
    if (text->size + size + 1 <= text->capacity)
        return;
    text->capacity = 2 * (text->size + size + 1);
    text->bytes = realloc(text->bytes, text->capacity);
    if (!text->bytes)
        abort();
}

void text_append(struct text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size < 0) /* no text of ours has such a format */
        abort();
    reserve(text, (size_t)size);
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, again);
    text->size += (size_t)size;
    va_end(again);
    va_end(arguments);
}

void text_append_bytes(struct text *text, const void *bytes, size_t size) {
    reserve(text, size);
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

static int cannot_read(const char *path, const char *why, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: cannot be read: %s; check the path and its permissions", path, why);
}

static int read_all(FILE *file, const char *path, struct text *text, struct error *error) {
    text->size = 0;
    size_t got;
    do {
        reserve(text, 1 << 16);
        got = fread(text->bytes + text->size, 1, 1 << 16, file);
        text->size += got;
    } while (got);
    text->bytes[text->size] = 0;
    return ferror(file) ? cannot_read(path, strerror(errno), error) : STATUS_OK;
}

int text_read(const char *path, struct text *text, struct error *error) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return cannot_read(path, strerror(errno), error);
    int status = read_all(file, path, text, error);
    fclose(file);
    return status;
}

int text_read_regular(const char *path, struct text *text, struct error *error) {
    FILE *file = file_open_regular(path);
    if (!file)
        return cannot_read(path, errno ? strerror(errno) : "not a regular file", error);
    int status = read_all(file, path, text, error);
    fclose(file);
    return status;
}

void text_free(struct text *text) {
    free(text->bytes);
    *text = (struct text){0};
}
