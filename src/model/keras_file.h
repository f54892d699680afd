/* Where a Keras file keeps its convolutions: the layouts of Keras 1, 2 and 3 made into one list of kernels and biases,
 * in the network's order. Nothing is judged here but that what the file lists is there, and that no normalisation layer
 * stands between convolutions; see weights.c for the rest. */
#ifndef MODEL_KERAS_FILE_H
#define MODEL_KERAS_FILE_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/vgg.h"

#include <stdbool.h>
#include <stddef.h>

enum { KERAS_NAME_SIZE = 64, KERAS_PATH_SIZE = 512 };

struct keras_convolution {
    char name[KERAS_NAME_SIZE];   /* "block3_conv2" if its names say so anywhere, else what the file calls it */
    char kernel[KERAS_PATH_SIZE]; /* path of the dataset */
    char bias[KERAS_PATH_SIZE];   /* "" if there is none */
    size_t shape[4];              /* of the kernel, as stored */
    size_t bias_length;
};

struct keras_file {
    struct hdf5_file *hdf5;
    const char *layout; /* "Keras weights (layer_names)" */
    size_t bits;        /* of a number of the first kernel */
    int convolutions;   /* in the file; only the first VGG_MAX_LAYERS are described */
    struct keras_convolution convolution[VGG_MAX_LAYERS];
    /* While the layers are listed: */
    bool pooled;                         /* a pooling since the last convolution */
    bool in_top;                         /* a dense layer was seen */
    char normalisation[KERAS_NAME_SIZE]; /* one that a convolution must not follow, "" if there is none */
};

/* Opens a file and lists its convolutions. STATUS_USAGE if it can't be opened, holds no weights, lists a layer or a
 * dataset that isn't there, or has a normalisation that isn't folded into the convolutions. On success the caller ends
 * with keras_file_close; on failure there is nothing to close. */
int keras_file_open(const char *path, struct keras_file *file, struct error *error);

void keras_file_close(struct keras_file *file);

/* The block and number in a name such as "vgg16/block3_conv2/kernel:0"; false if it has none. */
bool keras_block_name(const char *name, int *block, int *convolution);

#endif
