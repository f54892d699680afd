#include "keras_file.h"

#include "hdf5_file.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SAVE_AGAIN "copy the file again or save it again with Keras"

/* Joins a group and a name; false if the path would be too long for any network. */
static bool join(char path[KERAS_PATH_SIZE], const char *group, const char *name) {
    int length = snprintf(path, KERAS_PATH_SIZE, "%s/%s", strcmp(group, "/") ? group : "", name);
    return length >= 0 && length < KERAS_PATH_SIZE;
}

static int missing(const struct keras_file *file, const char *name, const char *lister, struct error *error) {
    return error_set(error, STATUS_USAGE, "%s: %.200s is missing or damaged, but %s lists it; " SAVE_AGAIN,
                     hdf5_file_path(file->hdf5), name, lister);
}

/* --- Names ------------------------------------------------------------------------------------------------------- */

bool keras_block_name(const char *name, int *block, int *convolution) {
    for (const char *s = name; (s = strstr(s, "block")); s++) {
        int length = 0;
        if (sscanf(s, "block%1d_conv%1d%n", block, convolution, &length) == 2 && !isdigit((unsigned char)s[length]))
            return true;
    }
    return false;
}

/* Names a convolution from its layer and its kernel: by block and number if either has them, else by the last group
 * that holds the kernel, which in a nested model is its own layer. */
static void name_convolution(const char *layer, const char *kernel, char name[KERAS_NAME_SIZE]) {
    int block, number;
    if (keras_block_name(kernel, &block, &number) || keras_block_name(layer, &block, &number)) {
        snprintf(name, KERAS_NAME_SIZE, "block%d_conv%d", block, number);
        return;
    }
    const char *end = strrchr(kernel, '/'), *start = end;
    while (start && start > kernel && start[-1] != '/')
        start--;
    if (end && end > start)
        snprintf(name, KERAS_NAME_SIZE, "%.*s", (int)(end - start), start);
    else
        snprintf(name, KERAS_NAME_SIZE, "%s", layer);
}

/* --- Normalisation ----------------------------------------------------------------------------------------------- */

/* Folding needs the layer's epsilon and whether ReLU stands before or behind it, neither of which a weights file holds.
 */
static int refuse_normalisation(const struct keras_file *file, const char *name, struct error *error) {
    return error_set(error, STATUS_USAGE,
                     "%s: %s normalises between the convolutions, which is not computed here; fold it into kernels and "
                     "biases or, if it belongs to the top, save the weights without the top",
                     hdf5_file_path(file->hdf5), name);
}

/* "bn/gamma:0", "bn_1_running_mean" and the like. */
static bool is_normalisation(const char *weight) {
    static const char *const ends[] = {"gamma",           "beta",         "moving_mean",
                                       "moving_variance", "running_mean", "running_std"};
    size_t length = strcspn(weight, ":");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t size = strlen(ends[i]);
        if (length > size && !strncmp(weight + length - size, ends[i], size))
            return true;
    }
    return false;
}

/* One before the pooling that ends the convolutions changes what they compute; behind it, it does so only if a
 * convolution follows; behind a dense layer it is part of the top. */
static int meet_normalisation(struct keras_file *file, const char *name, struct error *error) {
    if (file->in_top)
        return STATUS_OK;
    if (!file->pooled)
        return refuse_normalisation(file, name, error);
    snprintf(file->normalisation, sizeof file->normalisation, "%s", name);
    return STATUS_OK;
}

/* --- Convolutions ------------------------------------------------------------------------------------------------ */

/* A dataset that was never written reads as zeros, and integers are a quantised network's: neither is drawn. */
static int check_array(const struct keras_file *file, const char *layer, const char *dataset,
                       const struct hdf5_array *array, struct error *error) {
    const char *path = hdf5_file_path(file->hdf5);
    if (!array->is_float)
        return error_set(error, STATUS_USAGE,
                         "%s: %s (%.200s) does not hold floating-point numbers; save the weights as float32", path,
                         layer, dataset);
    if (!array->has_data)
        return error_set(error, STATUS_USAGE, "%s: %s (%.200s) holds no data; " SAVE_AGAIN, path, layer, dataset);
    return STATUS_OK;
}

static int add_kernel(struct keras_file *file, const char *name, const char *path, const struct hdf5_array *array,
                      struct error *error) {
    if (file->normalisation[0])
        return refuse_normalisation(file, file->normalisation, error);
    if (check_array(file, name, path, array, error))
        return error->status;
    file->pooled = false;
    if (file->convolutions == 0)
        file->bits = array->bits;
    if (file->convolutions < VGG_MAX_LAYERS) {
        struct keras_convolution *c = &file->convolution[file->convolutions];
        snprintf(c->name, sizeof c->name, "%s", name);
        snprintf(c->kernel, sizeof c->kernel, "%s", path);
        memcpy(c->shape, array->extent, sizeof c->shape);
    }
    file->convolutions++;
    return STATUS_OK;
}

/* Gives the last convolution its bias, unless it has one. What bears another name is none: in a nested model the scales
 * of a batch normalisation may follow a kernel. */
static int add_bias(struct keras_file *file, const char *name, const char *path, const struct hdf5_array *array,
                    struct error *error) {
    if (file->convolutions > VGG_MAX_LAYERS)
        return STATUS_OK;
    struct keras_convolution *c = &file->convolution[file->convolutions - 1];
    if (c->bias[0] || strcmp(c->name, name))
        return STATUS_OK;
    if (check_array(file, name, path, array, error))
        return error->status;
    snprintf(c->bias, sizeof c->bias, "%s", path);
    c->bias_length = array->extent[0];
    return STATUS_OK;
}

/* --- Keras 1 and 2: layer_names and weight_names ----------------------------------------------------------------- */

/* Keras 2 splits a list too long for one attribute into NAME0, NAME1 ... */
static bool has_list(const struct keras_file *file, const char *group, const char *attribute) {
    char first[32];
    snprintf(first, sizeof first, "%s0", attribute);
    return hdf5_has_attribute(file->hdf5, group, attribute) || hdf5_has_attribute(file->hdf5, group, first);
}

static int read_list(const struct keras_file *file, const char *group, const char *attribute, struct hdf5_names *names,
                     struct error *error) {
    if (hdf5_has_attribute(file->hdf5, group, attribute))
        return hdf5_read_names(file->hdf5, group, attribute, names, error);
    for (int i = 0;; i++) {
        char part[32];
        snprintf(part, sizeof part, "%s%d", attribute, i);
        if (!hdf5_has_attribute(file->hdf5, group, part))
            return STATUS_OK;
        if (hdf5_read_names(file->hdf5, group, part, names, error))
            return error->status;
    }
}

/* Each dataset of four dimensions is a kernel, the next of one dimension its bias; a dense layer has neither. */
static int add_weights(struct keras_file *file, const char *group, const char *layer, const struct hdf5_names *weights,
                       struct error *error) {
    int before = file->convolutions;
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->name[i];
        char path[KERAS_PATH_SIZE], own_name[KERAS_NAME_SIZE];
        struct hdf5_array array;
        if (!join(path, group, name) || !hdf5_describe(file->hdf5, path, &array))
            return missing(file, name, "weight_names", error);
        name_convolution(layer, name, own_name);
        if (array.rank == 4 && add_kernel(file, own_name, path, &array, error))
            return error->status;
        file->in_top |= array.rank == 2;
        if (array.rank == 1 && is_normalisation(name) && meet_normalisation(file, own_name, error))
            return error->status;
        if (array.rank == 1 && file->convolutions > before && add_bias(file, own_name, path, &array, error))
            return error->status;
    }
    return STATUS_OK;
}

static int add_layer(struct keras_file *file, const char *root, const char *layer, struct error *error) {
    char group[KERAS_PATH_SIZE];
    if (!join(group, root, layer) || !hdf5_has_group(file->hdf5, group))
        return missing(file, layer, "layer_names", error);
    if (!has_list(file, group, "weight_names"))
        return error_set(error, STATUS_USAGE, "%s: %.200s has no attribute weight_names; " SAVE_AGAIN,
                         hdf5_file_path(file->hdf5), layer);
    struct hdf5_names weights = {0};
    int before = file->convolutions, status = read_list(file, group, "weight_names", &weights, error);
    file->pooled |= strstr(layer, "pool") != NULL;
    if (!status)
        status = add_weights(file, group, layer, &weights, error);
    file->pooled |= file->convolutions > before + 1; /* a nested model, to its end */
    hdf5_names_free(&weights);
    return status;
}

static int list_named_layers(struct keras_file *file, const char *root, struct error *error) {
    struct hdf5_names layers = {0};
    int status = read_list(file, root, "layer_names", &layers, error);
    for (size_t i = 0; !status && i < layers.count; i++)
        status = add_layer(file, root, layers.name[i], error);
    hdf5_names_free(&layers);
    return status;
}

/* --- Keras 3: layers/conv2d[_N]/vars/{0,1} ----------------------------------------------------------------------- */

static void count_name(int n, char name[KERAS_NAME_SIZE]) {
    snprintf(name, KERAS_NAME_SIZE, "conv2d");
    if (n > 0)
        snprintf(name, KERAS_NAME_SIZE, "conv2d_%d", n);
}

/* The layer's own name, which newer files hold as an attribute, else the group's. */
static int read_counted_name(const struct keras_file *file, const char *group, int n, char name[KERAS_NAME_SIZE],
                             struct error *error) {
    struct hdf5_names own = {0};
    int status = STATUS_OK;
    if (hdf5_has_attribute(file->hdf5, group, "name"))
        status = hdf5_read_names(file->hdf5, group, "name", &own, error);
    if (own.count == 1)
        name_convolution(own.name[0], "", name);
    else
        count_name(n, name);
    hdf5_names_free(&own);
    return status;
}

static int add_counted_layer(struct keras_file *file, const char *group, int n, struct error *error) {
    char name[KERAS_NAME_SIZE], path[KERAS_PATH_SIZE];
    struct hdf5_array array;
    if (read_counted_name(file, group, n, name, error))
        return error->status;
    if (!join(path, group, "0") || !hdf5_describe(file->hdf5, path, &array) || array.rank != 4)
        return error_set(error, STATUS_USAGE, "%s: %s has no kernel of four dimensions in %.200s/0; " SAVE_AGAIN,
                         hdf5_file_path(file->hdf5), name, group);
    if (add_kernel(file, name, path, &array, error))
        return error->status;
    if (join(path, group, "1") && hdf5_describe(file->hdf5, path, &array) && array.rank == 1)
        return add_bias(file, name, path, &array, error);
    return STATUS_OK;
}

/* Where a normalisation stands this layout doesn't tell: one that isn't in the top can't be ruled out. */
static int check_counted_normalisation(const struct keras_file *file, const char *root, struct error *error) {
    static const char *const names[] = {"batch_normalization", "layer_normalization", "group_normalization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char group[KERAS_PATH_SIZE];
        if (join(group, root, names[i]) && hdf5_has_group(file->hdf5, group))
            return refuse_normalisation(file, names[i], error);
    }
    return STATUS_OK;
}

/* Keras counts the layers of a class without gaps: a number left out is a layer lost. */
static int list_counted_layers(struct keras_file *file, const char *root, struct error *error) {
    enum { MOST = 256 };
    char name[KERAS_NAME_SIZE], layer[KERAS_PATH_SIZE], group[KERAS_PATH_SIZE];
    int present = 0;
    for (int n = 0; n < MOST; n++) {
        count_name(n, name);
        if (!join(layer, root, name) || !join(group, layer, "vars") || !hdf5_has_group(file->hdf5, group))
            continue;
        if (n > present) {
            count_name(present, name);
            return error_set(error, STATUS_USAGE, "%s: %s/%s is missing although conv2d_%d is there; " SAVE_AGAIN,
                             hdf5_file_path(file->hdf5), root, name, n);
        }
        if (add_counted_layer(file, group, n, error))
            return error->status;
        present++;
    }
    return present ? check_counted_normalisation(file, root, error) : STATUS_OK;
}

/* --- The file ---------------------------------------------------------------------------------------------------- */

static const struct layout {
    const char *root;
    const char *attribute; /* of the root, that tells this layout; NULL if the root itself does */
    const char *description;
    int (*list)(struct keras_file *file, const char *root, struct error *error);
} layouts[] = {
    {"/", "layer_names", "Keras weights (layer_names)", list_named_layers},
    {"/model_weights", "layer_names", "Keras model (model_weights)", list_named_layers},
    {"/layers/functional/layers", NULL, "Keras 3 weights (nested layers)", list_counted_layers},
    {"/layers", NULL, "Keras 3 weights (layers)", list_counted_layers},
};

static const struct layout *find_layout(const struct keras_file *file) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct layout *l = &layouts[i];
        if (l->attribute ? has_list(file, l->root, l->attribute) : hdf5_has_group(file->hdf5, l->root))
            return l;
    }
    return NULL;
}

static int list_convolutions(struct keras_file *file, struct error *error) {
    const char *path = hdf5_file_path(file->hdf5);
    const struct layout *layout = find_layout(file);
    if (!layout)
        return error_set(error, STATUS_USAGE,
                         "%s: is HDF5 but holds no Keras weights (no layer_names, no model_weights, no layers); give "
                         "the .h5 file that Keras saved",
                         path);
    file->layout = layout->description;
    if (layout->list(file, layout->root, error))
        return error->status;
    if (file->convolutions == 0)
        return error_set(error, STATUS_USAGE, "%s: holds no convolution's kernel; give the weights of a VGG network",
                         path);
    return STATUS_OK;
}

int keras_file_open(const char *path, struct keras_file *file, struct error *error) {
    memset(file, 0, sizeof *file);
    if (hdf5_file_open(path, &file->hdf5, error))
        return error->status;
    int status = list_convolutions(file, error);
    if (status)
        keras_file_close(file);
    return status;
}

void keras_file_close(struct keras_file *file) {
    hdf5_file_close(file->hdf5);
    file->hdf5 = NULL;
}
