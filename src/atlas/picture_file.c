#include "filteratlas/atlas/picture_file.h"

#include "filteratlas/base/checksum.h"
#include "filteratlas/base/file.h"
#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void picture_file_note_rescue(struct store_filter *filter, int attempt, bool leaked) {
    *filter->rescue = 0;
    if (!filter->dead && leaked)
        snprintf(filter->rescue, sizeof filter->rescue, "leak");
    else if (!filter->dead && attempt)
        snprintf(filter->rescue, sizeof filter->rescue, "retry %d", attempt);
}

int picture_file_encode(const uint8_t *rgb, int width, int height, const char *layer, const struct store_filter *filter,
                        const char *job_digest, const char *recipe, uint8_t **bytes, size_t *size,
                        struct error *error) {
    char index[16], loss[32];
    snprintf(index, sizeof index, "%d", filter->index);
    snprintf(loss, sizeof loss, "%.17g", filter->loss);
    struct png_text texts[7] = {
        {"Software", "filteratlas"}, {"layer", layer}, {"filter", index}, {"loss", loss}, {"job", job_digest}};
    int count = 5;
    if (*filter->rescue)
        texts[count++] = (struct png_text){"rescue", filter->rescue};
    if (*recipe)
        texts[count++] = (struct png_text){"recipe", recipe};
    return png_encode(rgb, width, height, texts, count, bytes, size, error);
}

/* A tEXt chunk stands in the file as it is: length, "tEXt", key, 0, text, and a checksum. */
static bool has_chunk(const char *bytes, size_t size, const char *key, const char *text) {
    char chunk[512];
    uint32_t length = htonl((uint32_t)(strlen(key) + 1 + strlen(text)));
    memcpy(chunk, &length, sizeof length);
    int rest = snprintf(chunk + sizeof length, sizeof chunk - sizeof length, "tEXt%s%c%s", key, 0, text);
    return sizeof length + (size_t)rest <= sizeof chunk && memmem(bytes, size, chunk, sizeof length + (size_t)rest);
}

bool picture_file_is_of(const char *path, const char *layer, int filter, const char *job_digest) {
    char bytes[2048], index[16];
    FILE *file = file_open_regular(path);
    if (!file)
        return false;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    snprintf(index, sizeof index, "%d", filter);
    return has_chunk(bytes, size, "layer", layer) && has_chunk(bytes, size, "filter", index) &&
           (!job_digest || has_chunk(bytes, size, "job", job_digest));
}

bool picture_file_matches(const char *path, const struct store_filter *filter) {
    struct text bytes = {0};
    struct error why;
    bool matches = text_read_regular(path, &bytes, &why) == STATUS_OK && bytes.size == filter->bytes &&
                   checksum_crc32(bytes.bytes, bytes.size) == filter->crc;
    text_free(&bytes);
    return matches;
}
