/* Writes image files of every kind that cameras and programs make, for tests; and what their pixels are. A failure ends
 * the process. */
#ifndef TESTS_IMAGE_WRITER_H
#define TESTS_IMAGE_WRITER_H

#include <stddef.h>
#include <stdint.h>

enum image_kind {
    IMAGE_PNG,
    IMAGE_PNG_GREY,
    IMAGE_PNG_PALETTE,
    IMAGE_PNG_ALPHA,
    IMAGE_PNG_16,
    IMAGE_PNG_INTERLACED,
    IMAGE_JPEG,
    IMAGE_JPEG_GREY,
    IMAGE_JPEG_CMYK,
    IMAGE_JPEG_PROGRESSIVE,
    IMAGE_KINDS
};

/* What is in a file: waves and a spot that depend on the seed. */
struct image_content {
    enum image_kind kind;
    int width, height; /* upright */
    int orientation;   /* 1 ... 8 */
    uint32_t seed;
};

/* The pixel of an upright picture as a reader should see it; JPEG has it within a few levels. */
void image_pixel(const struct image_content *content, int x, int y, uint8_t rgb[3]);

/* The bytes of the file; the caller frees them. */
uint8_t *image_encode(const struct image_content *content, size_t *size);

void image_save(const char *path, const void *bytes, size_t size);

#endif
