/* DIR/atlas.h5: the whole atlas in one HDF5 file, for numpy and its like. Per layer a group with four datasets, of
 * which row i is the same drawn filter, rising by index:
 *
 *   /block5_conv1/images  uint8 (N, H, W, 3), as in the PNG; a chunk per picture, gzip
 *                index    int32 (N), the filter's number
 *                loss     float64 (N)
 *                status   4 bytes of ASCII (N): "live" or "dead"
 *
 * and, of a layer that `examples` has looked at, a group of the images that excite it most; row i is the same filter,
 * and place p, from 0, the (p + 1)-best of at most T images:
 *
 *   /block5_conv1/examples           attribute images: how many were looked at
 *                examples/answered   int32 (N), how many of them the filter answered to
 *                examples/image      UTF-8 strings (N, T), the image's name, "" where there is none
 *                examples/row        int32 (N, T), in the layer's map, -1 where there is none
 *                examples/column     likewise
 *                examples/activation float32 (N, T), 0 where there is none
 *                examples/jpeg       uint8 of variable length (N, T), the file with the part of the image
 *
 * Dead filters have no picture: their rows of `images` were never written, read as zeros and take no space. `images`
 * has the attributes of an HDF5 image (HDF5 Image and Palette Specification 1.2: CLASS ... INTERLACE_MODE). The bytes
 * depend on the pictures, the losses and HDF5 alone, not on when or by how many ranks they were made. hdf5.h is
 * included in hdf5_atlas.c and in the reader of weights, nowhere else. */
#ifndef FILTERATLAS_HDF5_ATLAS_H
#define FILTERATLAS_HDF5_ATLAS_H

#include "filteratlas/atlas/examples.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

/* How an attribute's text becomes a value. */
enum hdf5_kind {
    HDF5_TEXT,     /* a string */
    HDF5_INTEGER,  /* "15" -> int64 */
    HDF5_UNSIGNED, /* "0" -> uint64 */
    HDF5_REAL,     /* "1.2" -> float64 */
    HDF5_EXTENT    /* "412x309" -> int64 (2), width and height */
};

/* An attribute of the file's root. */
struct hdf5_attribute {
    const char *name, *value;
    enum hdf5_kind kind;
};

/* Writes DIR/atlas.h5 anew, picture by picture: no more than a few pictures are in memory. There is either the whole
 * new file or what was there before, also when it is interrupted, between two rows or pictures. width, height: pixels
 * of every picture; a picture of another size is refused. examples: what is known, maybe of no layer. */
int hdf5_atlas_write(const struct store *store, const struct store_layer *layers, int count, int width, int height,
                     const struct examples *examples, const struct hdf5_attribute *attributes, int attributes_count,
                     const struct interrupt *interrupt, struct error *error);

#endif
