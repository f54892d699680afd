#include "filteratlas/text.h"

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
    if (size < 0)
        abort(); /* longer than INT_MAX: no text of ours is */
    reserve(text, (size_t)size);
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, again);
    text->size += (size_t)size;
    va_end(again);
    va_end(arguments);
}

int text_read(const char *path, struct text *text, struct error *error) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(error, STATUS_FAILURE, "%s: cannot be read: %s", path, strerror(errno));
    text->size = 0;
    size_t got;
    do {
        reserve(text, 1 << 16);
        got = fread(text->bytes + text->size, 1, 1 << 16, file);
        text->size += got;
    } while (got);
    text->bytes[text->size] = 0;
    int status = STATUS_OK;
    if (ferror(file))
        status = error_set(error, STATUS_FAILURE, "%s: cannot be read: %s", path, strerror(errno));
    fclose(file);
    return status;
}

void text_free(struct text *text) {
    free(text->bytes);
    *text = (struct text){0};
}
