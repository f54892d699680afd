/* make_images FOLDER COUNT [DAMAGED]: writes COUNT images of all kinds into FOLDER and folders below it, and among them
 * DAMAGED files that are none: cut, with flipped bytes, of other types, empty, with a head that lies. Prints the names
 * of those, as lines. For the shell tests. */
#include "image_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum damage { CUT, FLIPPED, OTHER_TYPE, EMPTY, LYING, DAMAGES };

/* A PNG file's checksums find every flip; JPEG has none. */
static struct image_content content_of(int number, int damaged) {
    static const int sizes[][2] = {{96, 72}, {64, 80}, {120, 56}, {70, 70}};
    const int *size = sizes[number % 4];
    struct image_content content = {number % IMAGE_KINDS, size[0], size[1], 1, (uint32_t)number};
    if (number % 3 == 0)
        content.orientation = 1 + number % 8;
    if (damaged && content.kind >= IMAGE_JPEG)
        content.kind = IMAGE_PNG;
    return content;
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
    default:
        bytes[16] = 0x7f; /* the width: 2 thousand million */
        return size;
    }
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[2]) : 0, damaged = argc > 3 ? atoi(argv[3]) : 0;
    if (count < 1 || damaged > count) {
        fprintf(stderr, "Usage: make_images FOLDER COUNT [DAMAGED]\n");
        return 2;
    }
    mkdir(argv[1], 0777);
    for (int i = 0; i < count; i++) {
        char path[4096], name[64];
        int is_damaged = damaged && i % (count / damaged) == 0 && i / (count / damaged) < damaged;
        struct image_content content = content_of(i, is_damaged);
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
