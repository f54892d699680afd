#include "exif.h"

#include <stdbool.h>

enum { ORIENTATION = 274, TYPE_SHORT = 3, ENTRY_SIZE = 12 };

/* An integer of `count` bytes in the order of the file; 0 outside of it. */
struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool big;
};

static uint32_t number(const struct tiff *tiff, size_t at, int count) {
    uint32_t value = 0;
    if (at > tiff->size || tiff->size - at < (size_t)count)
        return 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | tiff->bytes[at + (tiff->big ? i : count - 1 - i)];
    return value;
}

int exif_orientation(const uint8_t *bytes, size_t size) {
    struct tiff tiff = {bytes, size, size > 0 && bytes[0] == 'M'};
    size_t folder = number(&tiff, 4, 4), entries = number(&tiff, folder, 2);
    if (number(&tiff, 2, 2) != 42)
        return 1;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = folder + 2 + i * ENTRY_SIZE;
        uint32_t value = number(&tiff, entry + 8, 2);
        if (number(&tiff, entry, 2) == ORIENTATION && number(&tiff, entry + 2, 2) == TYPE_SHORT)
            return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

void exif_turn(int orientation, int width, int height, int x, int y, int *turned_x, int *turned_y) {
    bool mirrored = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool upside_down = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int across = mirrored ? width - 1 - x : x, down = upside_down ? height - 1 - y : y;
    *turned_x = orientation >= 5 ? down : across;
    *turned_y = orientation >= 5 ? across : down;
}
