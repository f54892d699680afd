/* png_pixels: what a PNG file shows, for the shell tests.
 *
 *   png_pixels FILE...          "CRC WIDTHxHEIGHT" of the pixels of each file, whatever else stands in it
 *   png_pixels --swap FILE...   the same, with red and blue exchanged
 *   png_pixels --values FILE    "WIDTH HEIGHT", then a line "R G B" for each pixel
 *   png_pixels --texts FILE...  "KEY=TEXT" of every tEXt chunk */
#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void swap_red_and_blue(uint8_t *row, int width) {
    for (int x = 0; x < width; x++) {
        uint8_t red = row[3 * x];
        row[3 * x] = row[3 * x + 2];
        row[3 * x + 2] = red;
    }
}

static int print_pixels(const char *path, int swap, struct error *error) {
    struct png_reader *reader;
    int width = 0, height = 0, status = png_reader_open(path, &reader, &width, &height, error);
    uint8_t *row = malloc(3 * (size_t)width + 1);
    unsigned long crc = crc32(0, NULL, 0);
    for (int y = 0; y < height && !status; y++) {
        status = png_reader_row(reader, row, error);
        if (swap)
            swap_red_and_blue(row, width);
        crc = crc32(crc, row, 3 * (unsigned)width);
    }
    if (!status)
        printf("%08lx %dx%d\n", crc, width, height);
    free(row);
    png_reader_close(reader);
    return status;
}

static int print_values(const char *path, struct error *error) {
    struct png_reader *reader;
    int width = 0, height = 0, status = png_reader_open(path, &reader, &width, &height, error);
    uint8_t *row = malloc(3 * (size_t)width + 1);
    printf("%d %d\n", width, height);
    for (int y = 0; y < height && !status; y++) {
        status = png_reader_row(reader, row, error);
        for (int x = 0; x < width && !status; x++)
            printf("%d %d %d\n", row[3 * x], row[3 * x + 1], row[3 * x + 2]);
    }
    free(row);
    png_reader_close(reader);
    return status;
}

/* PNG specification, 5.3: length, type, content, CRC, again and again behind eight bytes. */
static int print_texts(const char *path, struct error *error) {
    struct text png = {0};
    int status = text_read(path, &png, error);
    for (size_t at = 8; !status && at + 12 <= png.size;) {
        const uint8_t *chunk = (const uint8_t *)png.bytes + at;
        size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        const char *key = png.bytes + at + 8;
        size_t size = strnlen(key, length);
        if (!memcmp(chunk + 4, "tEXt", 4) && at + 12 + length <= png.size && size < length)
            printf("%s=%.*s\n", key, (int)(length - size - 1), key + size + 1);
        at += 12 + length;
    }
    text_free(&png);
    return status;
}

int main(int argc, char **argv) {
    const char *option = argc > 1 && !strncmp(argv[1], "--", 2) ? argv[1] : "";
    int first = *option ? 2 : 1, status = argc <= first;
    struct error error = {.message = "which file?"};
    for (int i = first; i < argc && !status; i++)
        status = !strcmp(option, "--texts")    ? print_texts(argv[i], &error)
                 : !strcmp(option, "--values") ? print_values(argv[i], &error)
                                               : print_pixels(argv[i], !strcmp(option, "--swap"), &error);
    if (status)
        fprintf(stderr, "png_pixels: %s\n", error.message);
    return status != 0;
}
