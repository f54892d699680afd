/* Natural images beside the pictures: for every filter those that excite it most, kept in the folder of an atlas.
 *
 *   DIR/examples.csv               layer,filter,place,image,row,column,activation; row and column in the layer's map
 *   DIR/examples/job.txt           how the images were prepared, as "name = value" lines
 *   DIR/examples/state.txt         all that is known so far: what examples.csv is made of, and what a run goes on from
 *   DIR/examples/answers.csv       layer,filter,images,answered: how many of the images the filter answered to
 *   DIR/examples/skipped.csv       image,why: files that could not be used
 *   DIR/examples/LAYER/0042_HASH.jpg   the part of an image that filter 42 saw; HASH is that of the image's name
 *
 * An image is known by its name, the path below the folder of images, and comes in the order of these names, byte by
 * byte: so the lists depend on the images alone, not on when and by whom they were looked at.
 *
 * state.txt: "filteratlas examples 1", "images N", N lines "SIZE NAME" (control characters and % as %XX), "top T", per
 * filter a line "LAYER FILTER ANSWERED COUNT" with COUNT times " IMAGE:ROW:COLUMN:ACTIVATION" (IMAGE: a number of line,
 * from 0), and "crc CRC", the CRC-32 of all before. It is replaced whole. */
#ifndef FILTERATLAS_EXAMPLES_H
#define FILTERATLAS_EXAMPLES_H

#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/error.h"
#include "filteratlas/model/layers.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXAMPLES_MOST = 100 }; /* of a filter */

struct example {
    int image; /* its number */
    uint16_t row, column;
    float activation; /* above 0 */
};

struct examples_image {
    char *name;
    long long size; /* bytes */
    bool seen;      /* it has been through the network */
};

struct examples_layer {
    char name[LAYER_NAME_SIZE];
    int filters, first; /* the number of its first filter among all */
};

/* All that is known. Starts as {0}; release with examples_free. */
struct examples {
    struct examples_image *image; /* [images], rising by name */
    int images;
    struct examples_layer *layer; /* [layers] */
    int layers, filters, top;
    struct example *list; /* [filters][top], highest first */
    int *count;           /* [filters] of the list */
    int *answered;        /* [filters] images with an activation above 0 */
};

/* Lists for the chosen layers of a network, empty, no images. */
int examples_make(const struct layers *layers, const bool *chosen, int top, struct examples *examples,
                  struct error *error);
void examples_free(struct examples *examples);

/* Adds images, or makes known that they are there: names of `count` files in any order, and their sizes. A name that is
 * there with another size is STATUS_OTHER_JOB. */
int examples_add_images(struct examples *examples, const struct examples_image *image, int count, struct error *error);

/* Enters what a filter (its number among all) answered to an image; of equal activations the image that comes first by
 * name stands first. Nothing may be entered twice. */
void examples_enter(struct examples *examples, int filter, const struct example *example);

/* Reads FOLDER/examples/state.txt; there may be none: then *examples is {0}. A damaged one is STATUS_FAILURE. */
int examples_read(const char *folder, struct examples *examples, struct error *error);

/* Writes it, durably. */
int examples_write_state(const char *folder, const struct examples *examples, struct error *error);

/* Writes examples.csv and answers.csv. */
int examples_write_tables(const char *folder, const struct examples *examples, struct error *error);

/* A file that could not be used, and why. */
struct examples_skipped {
    char *name, *why;
};

/* Writes skipped.csv, in the order given. */
int examples_write_skipped(const char *folder, const struct examples_skipped *skipped, int count, struct error *error);

/* Parts of images ------------------------------------------------------------------------------------------------ */

/* FOLDER/examples/LAYER/FFFF_HASH.jpg, for an image of the list of a filter (its number among all). */
int examples_part_path(const char *folder, const struct examples *examples, int filter, int image,
                       char path[DURABLE_PATH_SIZE], struct error *error);

/* The digits of HASH: the first of the SHA-256 of the image's name. */
enum { EXAMPLES_HASH_SIZE = 17 };
int examples_hash(const char *name, char hash[EXAMPLES_HASH_SIZE], struct error *error);

/* Makes the folders for them. */
int examples_make_folders(const char *folder, const struct examples *examples, struct error *error);

/* Whether it is there. */
bool examples_has_part(const char *path);

/* Writes one; durable once examples_settle_parts was called. */
int examples_write_part(const char *path, const void *bytes, size_t size, struct error *error);

/* Flushes them all, and removes those of no list. */
int examples_settle_parts(const char *folder, const struct examples *examples, struct error *error);

#endif
