/* make_images FOLDER COUNT [DAMAGED [WIDE]]: writes COUNT images of all kinds into FOLDER and folders below it, and
 * among them DAMAGED files that are none: cut, with flipped bytes, of other types, empty, with a head that lies, one
 * whose lie is 30,000 x 30,000 pixels and credible. Prints the names of those, as lines. WIDE of the others, the last
 * ones, are 30,000 pixels wide. For the shell tests. */
#include "filteratlas/base/checksum.h"
#include "image_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum damage { CUT, FLIPPED, OTHER_TYPE, EMPTY, LYING, HUGE, DAMAGES };

enum { HUGE_EXTENT = 30000 };

/* damaged: a number that counts them, or -1. A PNG file's checksums find every flip; JPEG has none. */
static struct image_content content_of(int number, int damaged) {
    static const int sizes[][2] = {{96, 72}, {64, 80}, {120, 56}, {70, 70}};
    const int *size = sizes[number % 4];
    struct image_content content = {number % IMAGE_KINDS, size[0], size[1], 1, (uint32_t)number};
    if (number % 3 == 0)
        content.orientation = 1 + number % 8;
    if (damaged >= 0)
        content.kind = damaged / DAMAGES % IMAGE_JPEG;
    return content;
}

/* The head of a PNG file, from byte 12 on: "IHDR", width, height, five more bytes, and their CRC; big-endian. */
static void lie_hugely(uint8_t *bytes) {
    static const uint8_t extent[] = {0, 0, HUGE_EXTENT >> 8, HUGE_EXTENT & 255};
    memcpy(bytes + 16, extent, 4);
    memcpy(bytes + 20, extent, 4);
    uint32_t crc = checksum_crc32(bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
}

static size_t damage(enum damage how, uint8_t *bytes, size_t size) {
    static const char text[] = "GIF89a: not what its name says";
    switch (how) {
    case CUT:
        return size * 2 / 3;
    case FLIPPED:
        for (size_t at = 40; at < size - 12; at += 97)
            bytes[at] ^= 0x55;
        return size;
    case OTHER_TYPE:
        memcpy(bytes, text, sizeof text);
        return sizeof text;
    case EMPTY:
        return 0;
    case HUGE:
        lie_hugely(bytes);
        return size;
    default:
        bytes[16] = 0x7f; /* the width: 2 thousand million */
        return size;
    }
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[2]) : 0, damaged = argc > 3 ? atoi(argv[3]) : 0,
        wide = argc > 4 ? atoi(argv[4]) : 0;
    if (count < 1 || damaged > count || wide > count) {
        fprintf(stderr, "Usage: make_images FOLDER COUNT [DAMAGED [WIDE]]\n");
        return 2;
    }
    mkdir(argv[1], 0777);
    for (int i = 0; i < count; i++) {
        char path[4096], name[64];
        int is_damaged = damaged && i % (count / damaged) == 0 && i / (count / damaged) < damaged;
        struct image_content content = content_of(i, is_damaged ? i / (count / damaged) : -1);
        if (i >= count - wide && !is_damaged)
            content.width = HUGE_EXTENT;
        size_t size;
        uint8_t *bytes = image_encode(&content, &size);
        snprintf(path, sizeof path, "%s/%c", argv[1], 'a' + i % 5);
        mkdir(path, 0777);
        snprintf(name, sizeof name, "%c/%04d.%s", 'a' + i % 5, i, content.kind >= IMAGE_JPEG ? "jpg" : "png");
        snprintf(path, sizeof path, "%s/%s", argv[1], name);
        if (is_damaged) {
            size = damage(i / (count / damaged) % DAMAGES, bytes, size);
            puts(name);
        }
        image_save(path, bytes, size);
        free(bytes);
    }
    return 0;
}
