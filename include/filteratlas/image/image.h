/* Images as a network is given them: a JPEG or PNG file of any kind, upright as the camera was held, brought to a
 * number of pixels on its shorter side by Pillow's bicubic resize, and of that the square in the middle.
 *
 * Memory is bounded whatever the file says: rows go through one by one, but where an image must stand in memory whole
 * (it is interlaced or progressive, or was taken with the camera turned), of which IMAGE_MOST_WHOLE pixels are allowed:
 * 200 MB, and as much again or twice that in the decoder. */
#ifndef FILTERATLAS_IMAGE_H
#define FILTERATLAS_IMAGE_H

#include "filteratlas/base/error.h"

#include <stdint.h>

enum { IMAGE_MOST_WHOLE = 1 << 26, IMAGE_MOST = 1 << 30 }; /* pixels */

/* Reads a file: rgb [crop][crop][3]. With s and l the file's shorter and longer side, the longer one becomes
 * trunc(shorter * l / s), and the square begins floor((extent - crop) / 2) from the upper left; crop <= shorter.
 * A file that is no such image, or damaged in a way that can be seen, or too large: STATUS_USAGE with a message that
 * says why, without the file's name. STATUS_FAILURE is this process's trouble: memory, too many open files. */
int image_read(const char *path, int shorter, int crop, uint8_t *rgb, struct error *error);

#endif
