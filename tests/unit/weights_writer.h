/* Writes weights files as Keras would, for tests: random values that are the same whatever the layout, and files that
 * are wrong in one chosen way. A failure to write ends the process with a message: only tests call this. */
#ifndef TESTS_WEIGHTS_WRITER_H
#define TESTS_WEIGHTS_WRITER_H

#include "filteratlas/model/vgg.h"

#include <stdbool.h>
#include <stdint.h>

enum weights_layout {
    LAYOUT_LEGACY,  /* root attribute layer_names, a group per layer: the published VGG16 */
    LAYOUT_THEANO,  /* the same, kernels (out, in, 3, 3) flipped in both directions */
    LAYOUT_MODEL,   /* the same under /model_weights */
    LAYOUT_NESTED,  /* one layer "vgg16" holds all convolutions */
    LAYOUT_CHUNKED, /* the same, with the lists of names split over several attributes */
    LAYOUT_KERAS3,  /* layers/conv2d_N/vars/{0,1} */
    LAYOUT_KERAS3_NESTED,
    LAYOUTS
};

enum weights_strings {
    STRINGS_FIXED, /* padded with zeros, ASCII */
    STRINGS_BLANKS,
    STRINGS_FIXED_UTF8,
    STRINGS_VARIABLE,
    STRINGS_VARIABLE_UTF8,
    STRINGS_KINDS
};

enum weights_defect {
    DEFECT_NONE,
    DEFECT_LAYER,      /* a layer is not in the file at all */
    DEFECT_GROUP,      /* ... is listed, but its group is missing (Keras 3: its number is left out) */
    DEFECT_DATASET,    /* ... is listed, but its kernel is missing */
    DEFECT_NO_BIAS,    /* ... has no bias */
    DEFECT_KERNEL,     /* ... has a 5x5 kernel */
    DEFECT_CHAIN,      /* ... takes one channel more than it gets */
    DEFECT_BIAS,       /* ... has one bias more than output channels */
    DEFECT_NAN,        /* ... holds three NaNs */
    DEFECT_INFINITY,   /* ... holds one infinity */
    DEFECT_INTEGERS,   /* ... holds integers */
    DEFECT_UNWRITTEN,  /* ... has a kernel that was created but never written */
    DEFECT_ORDER,      /* ... is listed after the next one */
    DEFECT_NO_NAMES,   /* ... has no list weight_names (not in Keras 3) */
    DEFECT_NUMBERS,    /* layer_names holds numbers (not in Keras 3) */
    DEFECT_NORMALISED, /* ... is followed by a batch normalisation */
    DEFECT_WEIGHTLESS, /* an HDF5 file with something else in it */
    DEFECTS
};

/* What the enumerations are called on a command line. */
extern const char *const weights_layout_names[LAYOUTS];
extern const char *const weights_strings_names[STRINGS_KINDS];
extern const char *const weights_defect_names[DEFECTS];

struct weights_recipe {
    int layers;
    int widths[VGG_MAX_LAYERS]; /* output channels [layers] */
    enum weights_layout layout;
    enum weights_strings strings;
    int bits; /* 16, 32 or 64 per number */
    bool big_endian;
    bool compressed; /* chunked, shuffled, gzip */
    bool with_top;
    bool normalised_top; /* ... with a batch normalisation behind its dense layer (not in Keras 3) */
    bool plain_names;    /* conv2d, conv2d_1 ... instead of block1_conv1 ... */
    enum weights_defect defect;
    int culprit; /* 0-based layer that the defect is in */
    uint64_t seed;
};

/* A sound recipe in the published layout: `layers` convolutions of VGG's widths, each divided by `divide`. */
struct weights_recipe weights_recipe(int layers, int divide);

/* The values without any defect, in the order of struct weights; the caller frees them. Every value is exact in half
 * precision. Standard deviation sqrt(2 / (9 in)), so that activations neither fade nor grow; small biases. */
float *weights_recipe_values(const struct weights_recipe *recipe);

void weights_write(const char *path, const struct weights_recipe *recipe);

#endif
