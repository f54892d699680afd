/* What the head of an image file says. */
#ifndef FACTS_H
#define FACTS_H

#include <stdbool.h>
#include <stdint.h>

struct image_facts {
    int width, height;
    int orientation; /* 1 ... 8, as exif.h has it */
    bool whole;      /* it is stored in several passes, so that it must stand in memory whole */
};

/* value * share / 255, rounded, as Pillow has it. */
static inline uint8_t image_share(uint8_t value, uint8_t share) {
    unsigned product = (unsigned)value * share + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

#endif
