/* The one thing that is wanted of a camera's notes: which way up it was held (Exif 2.32, 4.6.4 and tag 274). */
#ifndef EXIF_H
#define EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Of a TIFF structure, which begins with II or MM: 1 ... 8, and 1 where it says nothing that is understood. */
int exif_orientation(const uint8_t *bytes, size_t size);

/* Where the pixel at (x, y) of a picture of that orientation stands, once it is upright; width and height are those of
 * the file. From 5 on the upright picture is `height` wide. */
void exif_turn(int orientation, int width, int height, int x, int y, int *turned_x, int *turned_y);

#endif
