#include "weights_writer.h"

#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const weights_layout_names[LAYOUTS] = {
    [LAYOUT_LEGACY] = "legacy",
    [LAYOUT_THEANO] = "theano",
    [LAYOUT_MODEL] = "model",
    [LAYOUT_NESTED] = "nested",
    [LAYOUT_CHUNKED] = "chunked",
    [LAYOUT_KERAS3] = "keras3",
    [LAYOUT_KERAS3_NESTED] = "keras3-nested",
};

const char *const weights_strings_names[STRINGS_KINDS] = {
    [STRINGS_FIXED] = "fixed",
    [STRINGS_BLANKS] = "blanks",
    [STRINGS_FIXED_UTF8] = "fixed-utf8",
    [STRINGS_VARIABLE] = "variable",
    [STRINGS_VARIABLE_UTF8] = "variable-utf8",
};

const char *const weights_defect_names[DEFECTS] = {
    [DEFECT_NONE] = "none",
    [DEFECT_LAYER] = "layer",
    [DEFECT_GROUP] = "group",
    [DEFECT_DATASET] = "dataset",
    [DEFECT_NO_BIAS] = "no-bias",
    [DEFECT_KERNEL] = "kernel",
    [DEFECT_CHAIN] = "chain",
    [DEFECT_BIAS] = "bias",
    [DEFECT_NAN] = "nan",
    [DEFECT_INFINITY] = "infinity",
    [DEFECT_INTEGERS] = "integers",
    [DEFECT_UNWRITTEN] = "unwritten",
    [DEFECT_ORDER] = "order",
    [DEFECT_NO_NAMES] = "no-names",
    [DEFECT_NUMBERS] = "numbers",
    [DEFECT_NORMALISED] = "normalised",
    [DEFECT_WEIGHTLESS] = "weightless",
};

enum { NAME_SIZE = 64, LIST_SIZE = 80, PIECE = 3 };

struct list {
    int count;
    char name[LIST_SIZE][NAME_SIZE];
};

static hid_t must(hid_t result) {
    if (result < 0) {
        fprintf(stderr, "weights_writer: HDF5 failed\n");
        exit(1);
    }
    return result;
}

static void add_name(struct list *list, const char *name) {
    if (list->count == LIST_SIZE)
        must(-1);
    snprintf(list->name[list->count++], NAME_SIZE, "%s", name);
}

static bool spoiled(const struct weights_recipe *recipe, int layer, enum weights_defect defect) {
    return recipe->defect == defect && recipe->culprit == layer;
}

static struct vgg make_net(const struct weights_recipe *recipe) {
    struct vgg net;
    struct error error;
    must(vgg_make(recipe->layers, recipe->widths, &net, &error) ? -1 : 0);
    return net;
}

struct weights_recipe weights_recipe(int layers, int divide) {
    static const int widths[] = {64, 128, 256, 512, 512};
    struct weights_recipe recipe = {.layers = layers, .bits = 32, .culprit = 5};
    struct vgg net = make_net(&recipe);
    for (int l = 0, block = 0; l < layers; block += net.layer[l++].pooled)
        recipe.widths[l] = widths[block] / divide;
    return recipe;
}

/* --- Values ------------------------------------------------------------------------------------------------------ */

/* splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) */
static uint64_t next_word(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static double next_uniform(uint64_t *state) { return ((next_word(state) >> 11) + 0.5) * 0x1p-53; }

/* Normally distributed (Box and Muller). */
static double next_normal(uint64_t *state) {
    double radius = sqrt(-2 * log(next_uniform(state)));
    return radius * cos(2 * acos(-1) * next_uniform(state));
}

/* To the eleven significant bits, and the least step, of half precision. */
static float round_to_half(double value) {
    int exponent;
    frexp(value, &exponent);
    double step = ldexp(1, exponent - 11 > -24 ? exponent - 11 : -24);
    return (float)(round(value / step) * step);
}

static void fill(float *values, size_t count, double deviation, uint64_t *state) {
    for (size_t i = 0; i < count; i++)
        values[i] = round_to_half(deviation * next_normal(state));
}

float *weights_recipe_values(const struct weights_recipe *recipe) {
    struct vgg net = make_net(recipe);
    size_t count = 0, done = 0;
    for (int l = 0; l < net.layers; l++)
        count += vgg_parameters(&net.layer[l]);
    float *values = malloc(count * sizeof *values);
    must(values ? 0 : -1);
    for (int l = 0; l < net.layers; l++) {
        const struct vgg_layer *layer = &net.layer[l];
        size_t kernel = vgg_parameters(layer) - layer->out_channels;
        uint64_t state = recipe->seed << 8 | (uint64_t)l;
        fill(values + done, kernel, sqrt(2.0 / (9 * layer->in_channels)), &state);
        fill(values + done + kernel, layer->out_channels, 0.05, &state);
        done += vgg_parameters(layer);
    }
    return values;
}

/* --- HDF5 -------------------------------------------------------------------------------------------------------- */

static hid_t create_group(hid_t parent, const char *path) {
    hid_t links = must(H5Pcreate(H5P_LINK_CREATE));
    H5Pset_create_intermediate_group(links, 1);
    hid_t group = must(H5Gcreate2(parent, path, links, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(links);
    return group;
}

static hid_t string_type(const struct weights_recipe *recipe, size_t size) {
    enum weights_strings kind = recipe->strings;
    bool variable = kind == STRINGS_VARIABLE || kind == STRINGS_VARIABLE_UTF8;
    hid_t type = must(H5Tcopy(H5T_C_S1));
    must(H5Tset_size(type, variable ? H5T_VARIABLE : size));
    if (!variable)
        must(H5Tset_strpad(type, kind == STRINGS_BLANKS ? H5T_STR_SPACEPAD : H5T_STR_NULLPAD));
    if (kind == STRINGS_FIXED_UTF8 || kind == STRINGS_VARIABLE_UTF8)
        must(H5Tset_cset(type, H5T_CSET_UTF8));
    return type;
}

/* Packs names for a type of `size` bytes each, padded as the kind of strings wants. */
static void pack(const struct weights_recipe *recipe, char (*names)[NAME_SIZE], int count, size_t size,
                 char packed[LIST_SIZE * NAME_SIZE]) {
    memset(packed, recipe->strings == STRINGS_BLANKS ? ' ' : '\0', LIST_SIZE * NAME_SIZE);
    for (int i = 0; i < count; i++)
        memcpy(packed + i * size, names[i], strlen(names[i]));
}

static void write_strings(hid_t group, const char *attribute, char (*names)[NAME_SIZE], int count,
                          const struct weights_recipe *recipe) {
    size_t size = 1;
    const char *pointers[LIST_SIZE];
    char packed[LIST_SIZE * NAME_SIZE];
    for (int i = 0; i < count; i++) {
        size = strlen(names[i]) > size ? strlen(names[i]) : size;
        pointers[i] = names[i];
    }
    pack(recipe, names, count, size, packed);
    hsize_t extent = count;
    hid_t type = string_type(recipe, size), space = must(H5Screate_simple(1, &extent, NULL));
    hid_t id = must(H5Acreate2(group, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT));
    must(H5Awrite(id, type, H5Tis_variable_str(type) > 0 ? (const void *)pointers : packed));
    H5Aclose(id);
    H5Sclose(space);
    H5Tclose(type);
}

/* What numpy makes of a list without names, and of one of numbers. */
static void write_numbers(hid_t group, const char *attribute, hsize_t count) {
    double numbers[LIST_SIZE] = {0};
    hid_t space = must(H5Screate_simple(1, &count, NULL));
    hid_t id = must(H5Acreate2(group, attribute, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT));
    if (count > 0)
        must(H5Awrite(id, H5T_NATIVE_DOUBLE, numbers));
    H5Aclose(id);
    H5Sclose(space);
}

static void write_list(hid_t group, const char *attribute, struct list *list, const struct weights_recipe *recipe) {
    if (recipe->defect == DEFECT_NUMBERS && !strcmp(attribute, "layer_names")) {
        write_numbers(group, attribute, list->count);
    } else if (list->count == 0) {
        write_numbers(group, attribute, 0);
    } else if (recipe->layout != LAYOUT_CHUNKED) {
        write_strings(group, attribute, list->name, list->count, recipe);
    } else {
        for (int i = 0; i < list->count; i += PIECE) {
            char part[NAME_SIZE];
            int rest = list->count - i;
            snprintf(part, sizeof part, "%s%d", attribute, i / PIECE);
            write_strings(group, part, list->name + i, rest < PIECE ? rest : PIECE, recipe);
        }
    }
}

static hid_t number_type(const struct weights_recipe *recipe, bool integers) {
    hid_t type = must(H5Tcopy(integers ? H5T_STD_I32LE : recipe->bits == 64 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE));
    if (!integers && recipe->bits == 16) {
        must(H5Tset_fields(type, 15, 10, 5, 0, 10));
        must(H5Tset_size(type, 2));
        must(H5Tset_ebias(type, 15));
    }
    if (recipe->big_endian)
        must(H5Tset_order(type, H5T_ORDER_BE));
    return type;
}

/* values NULL: the dataset is created and never written. */
static void write_array(hid_t group, const char *path, int rank, const hsize_t *extent, const float *values,
                        const struct weights_recipe *recipe, bool integers) {
    hsize_t chunk[4];
    for (int i = 0; i < rank; i++)
        chunk[i] = (extent[i] + 1) / 2;
    hid_t links = must(H5Pcreate(H5P_LINK_CREATE)), creation = must(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_create_intermediate_group(links, 1);
    if (recipe->compressed) {
        must(H5Pset_chunk(creation, rank, chunk));
        must(H5Pset_shuffle(creation));
        must(H5Pset_deflate(creation, 4));
    }
    hid_t type = number_type(recipe, integers), space = must(H5Screate_simple(rank, extent, NULL));
    hid_t id = must(H5Dcreate2(group, path, type, space, links, creation, H5P_DEFAULT));
    if (values)
        must(H5Dwrite(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    H5Dclose(id);
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(creation);
    H5Pclose(links);
}

/* --- One convolution --------------------------------------------------------------------------------------------- */

/* kernel [3][3][in][out] -> stored [out][in][3][3], flipped in both directions */
static void flip(const struct vgg_layer *layer, const float *kernel, float *stored) {
    int in = layer->in_channels, out = layer->out_channels;
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 3; column++)
            for (int i = 0; i < in; i++)
                for (int o = 0; o < out; o++)
                    stored[((o * in + i) * 3 + 2 - row) * 3 + 2 - column] =
                        kernel[((row * 3 + column) * in + i) * out + o];
}

static void write_kernel(hid_t group, const char *path, const struct weights_recipe *recipe, int l,
                         const struct vgg_layer *layer, const float *kernel) {
    hsize_t size = spoiled(recipe, l, DEFECT_KERNEL) ? 5 : 3;
    hsize_t in = layer->in_channels + spoiled(recipe, l, DEFECT_CHAIN), out = layer->out_channels;
    hsize_t count = size * size * in * out, sound = vgg_parameters(layer) - out;
    hsize_t hwio[4] = {size, size, in, out}, oihw[4] = {out, in, size, size};
    bool theano = recipe->layout == LAYOUT_THEANO;
    float *stored = calloc(count, sizeof *stored);
    must(stored ? 0 : -1);
    if (theano)
        flip(layer, kernel, stored);
    else
        memcpy(stored, kernel, sound * sizeof *stored);
    for (hsize_t i = 0; i < 3 && spoiled(recipe, l, DEFECT_NAN); i++)
        stored[i * sound / 3] = NAN;
    if (spoiled(recipe, l, DEFECT_INFINITY))
        stored[sound - 1] = INFINITY;
    write_array(group, path, 4, theano ? oihw : hwio, spoiled(recipe, l, DEFECT_UNWRITTEN) ? NULL : stored, recipe,
                spoiled(recipe, l, DEFECT_INTEGERS));
    free(stored);
}

static void write_bias(hid_t group, const char *path, const struct weights_recipe *recipe, int l,
                       const struct vgg_layer *layer, const float *bias) {
    hsize_t count = layer->out_channels + spoiled(recipe, l, DEFECT_BIAS);
    float *stored = calloc(count, sizeof *stored);
    must(stored ? 0 : -1);
    memcpy(stored, bias, layer->out_channels * sizeof *stored);
    write_array(group, path, 1, &count, stored, recipe, false);
    free(stored);
}

/* values: kernel and bias of the layer. */
static void write_convolution(hid_t group, const char *kernel, const char *bias, const struct weights_recipe *recipe,
                              int l, const struct vgg_layer *layer, const float *values) {
    if (!spoiled(recipe, l, DEFECT_DATASET))
        write_kernel(group, kernel, recipe, l, layer, values);
    if (!spoiled(recipe, l, DEFECT_NO_BIAS))
        write_bias(group, bias, recipe, l, layer, values + vgg_parameters(layer) - layer->out_channels);
}

static void write_dense(hid_t group, const char *kernel, const char *bias, const struct weights_recipe *recipe) {
    static const hsize_t extent[2] = {4, 2};
    static const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    write_array(group, kernel, 2, extent, values, recipe, false);
    write_array(group, bias, 1, extent + 1, values, recipe, false);
}

/* A batch normalisation that does nothing, in a group; its names are those that Keras gives, or 0 to 3. */
static void write_normalisation(hid_t group, const char *layer, hsize_t channels, const struct weights_recipe *recipe,
                                struct list *weights) {
    static const char *const names[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    float *values = calloc(channels, sizeof *values);
    must(values ? 0 : -1);
    for (int i = 0; i < 4; i++) {
        char name[NAME_SIZE];
        if (weights)
            snprintf(name, sizeof name, recipe->layout == LAYOUT_THEANO ? "%.30s_%s:0" : "%.30s/%s:0", layer, names[i]);
        else
            snprintf(name, sizeof name, "%d", i);
        for (hsize_t c = 0; c < channels; c++)
            values[c] = i == 0 || i == 3;
        write_array(group, name, 1, &channels, values, recipe, false);
        if (weights)
            add_name(weights, name);
    }
    free(values);
}

/* --- Layouts ----------------------------------------------------------------------------------------------------- */

static void name_layer(const struct weights_recipe *recipe, const struct vgg *net, int l, char name[NAME_SIZE]) {
    if (!recipe->plain_names)
        snprintf(name, NAME_SIZE, "%s", net->layer[l].name);
    else
        snprintf(name, NAME_SIZE, l ? "conv2d_%d" : "conv2d", l);
}

static void name_weight(const struct weights_recipe *recipe, const char *layer, bool kernel, char name[NAME_SIZE]) {
    if (recipe->layout == LAYOUT_LEGACY || recipe->layout == LAYOUT_THEANO)
        snprintf(name, NAME_SIZE, "%.40s_%s_1:0", layer, kernel ? "W" : "b");
    else
        snprintf(name, NAME_SIZE, "%.40s/%s:0", layer, kernel ? "kernel" : "bias");
}

/* Writes a layer's datasets into a group and adds their names to its list. */
static void write_named_convolution(hid_t group, const struct weights_recipe *recipe, const struct vgg *net, int l,
                                    const float *values, struct list *weights) {
    char layer[NAME_SIZE], kernel[NAME_SIZE], bias[NAME_SIZE];
    name_layer(recipe, net, l, layer);
    name_weight(recipe, layer, true, kernel);
    name_weight(recipe, layer, false, bias);
    write_convolution(group, kernel, bias, recipe, l, &net->layer[l], values);
    add_name(weights, kernel);
    if (!spoiled(recipe, l, DEFECT_NO_BIAS))
        add_name(weights, bias);
}

/* A layer's group with its list of weights; l < 0: a layer without any. */
static void write_layer(hid_t root, const char *name, const struct weights_recipe *recipe, const struct vgg *net, int l,
                        const float *values) {
    struct list weights = {0};
    if (spoiled(recipe, l, DEFECT_GROUP))
        return;
    hid_t group = create_group(root, name);
    if (l >= 0)
        write_named_convolution(group, recipe, net, l, values, &weights);
    if (!spoiled(recipe, l, DEFECT_NO_NAMES))
        write_list(group, "weight_names", &weights, recipe);
    H5Gclose(group);
}

static void write_normalisation_layer(hid_t root, const char *name, hsize_t channels,
                                      const struct weights_recipe *recipe, struct list *layers) {
    struct list weights = {0};
    hid_t group = create_group(root, name);
    write_normalisation(group, name, channels, recipe, &weights);
    write_list(group, "weight_names", &weights, recipe);
    add_name(layers, name);
    H5Gclose(group);
}

static void write_top(hid_t root, const struct weights_recipe *recipe, struct list *layers) {
    struct list weights = {0};
    add_name(layers, "predictions");
    add_name(&weights, "predictions/kernel:0");
    add_name(&weights, "predictions/bias:0");
    hid_t group = create_group(root, "predictions");
    write_dense(group, weights.name[0], weights.name[1], recipe);
    write_list(group, "weight_names", &weights, recipe);
    H5Gclose(group);
    if (recipe->normalised_top)
        write_normalisation_layer(root, "after_dense", 2, recipe, layers);
}

/* The layer that stands at a position: its own, unless the order is to be wrong. */
static int layer_at(const struct weights_recipe *recipe, int position) {
    if (recipe->defect == DEFECT_ORDER && position == recipe->culprit)
        return position + 1;
    return recipe->defect == DEFECT_ORDER && position == recipe->culprit + 1 ? position - 1 : position;
}

static size_t offset_of(const struct vgg *net, int layer) {
    size_t offset = 0;
    for (int l = 0; l < layer; l++)
        offset += vgg_parameters(&net->layer[l]);
    return offset;
}

static void write_flat(hid_t root, const struct weights_recipe *recipe, const struct vgg *net, const float *values,
                       struct list *layers) {
    for (int position = 0, block = 1; position < net->layers; block += net->layer[position++].pooled) {
        int l = layer_at(recipe, position);
        char name[NAME_SIZE];
        if (!spoiled(recipe, l, DEFECT_LAYER)) {
            name_layer(recipe, net, l, name);
            add_name(layers, name);
            write_layer(root, name, recipe, net, l, values + offset_of(net, l));
        }
        if (spoiled(recipe, l, DEFECT_NORMALISED))
            write_normalisation_layer(root, "some_bn", net->layer[l].out_channels, recipe, layers);
        if (net->layer[position].pooled) {
            snprintf(name, sizeof name, "block%d_pool", block);
            add_name(layers, name);
            write_layer(root, name, recipe, net, -1, NULL);
        }
    }
}

static void write_nested(hid_t root, const struct weights_recipe *recipe, const struct vgg *net, const float *values,
                         struct list *layers) {
    struct list weights = {0};
    hid_t group = create_group(root, "vgg16");
    for (int position = 0; position < net->layers; position++) {
        int l = layer_at(recipe, position);
        if (!spoiled(recipe, l, DEFECT_LAYER))
            write_named_convolution(group, recipe, net, l, values + offset_of(net, l), &weights);
        if (spoiled(recipe, l, DEFECT_NORMALISED))
            write_normalisation(group, "some_bn", net->layer[l].out_channels, recipe, &weights);
    }
    add_name(layers, "vgg16");
    write_list(group, "weight_names", &weights, recipe);
    H5Gclose(group);
    add_name(layers, "flatten");
    write_layer(root, "flatten", recipe, net, -1, NULL);
}

static void write_named(hid_t root, const struct weights_recipe *recipe, const struct vgg *net, const float *values) {
    struct list layers = {0};
    add_name(&layers, "input_1");
    write_layer(root, "input_1", recipe, net, -1, NULL);
    if (recipe->layout == LAYOUT_NESTED || recipe->layout == LAYOUT_CHUNKED)
        write_nested(root, recipe, net, values, &layers);
    else
        write_flat(root, recipe, net, values, &layers);
    if (recipe->normalised_top)
        write_normalisation_layer(root, "before_dense", net->layer[net->layers - 1].out_channels, recipe, &layers);
    if (recipe->with_top)
        write_top(root, recipe, &layers);
    write_list(root, "layer_names", &layers, recipe);
}

static void write_counted(hid_t root, const struct weights_recipe *recipe, const struct vgg *net, const float *values) {
    for (int position = 0, n = 0; position < net->layers; position++) {
        int l = layer_at(recipe, position);
        char path[NAME_SIZE], name[1][NAME_SIZE];
        if (spoiled(recipe, l, DEFECT_LAYER))
            continue;
        snprintf(path, sizeof path, n ? "conv2d_%d/vars" : "conv2d/vars", n);
        n++;
        if (spoiled(recipe, l, DEFECT_GROUP))
            continue;
        hid_t group = create_group(root, path);
        write_convolution(group, "0", "1", recipe, l, &net->layer[l], values + offset_of(net, l));
        name_layer(recipe, net, l, name[0]);
        if (!recipe->plain_names)
            write_strings(group, "name", name, 1, recipe);
        H5Gclose(group);
    }
    if (recipe->defect == DEFECT_NORMALISED) {
        hid_t group = create_group(root, "batch_normalization/vars");
        write_normalisation(group, NULL, net->layer[recipe->culprit].out_channels, recipe, NULL);
        H5Gclose(group);
    }
    if (recipe->with_top)
        write_dense(root, "dense/vars/0", "dense/vars/1", recipe);
}

static void write_root(hid_t file, const struct weights_recipe *recipe, const struct vgg *net, const float *values) {
    bool counted = recipe->layout == LAYOUT_KERAS3 || recipe->layout == LAYOUT_KERAS3_NESTED;
    const char *path = recipe->layout == LAYOUT_KERAS3_NESTED ? "layers/functional/layers"
                       : counted                              ? "layers"
                       : recipe->layout == LAYOUT_MODEL       ? "model_weights"
                                                              : NULL;
    hid_t root = path ? create_group(file, path) : must(H5Gopen2(file, "/", H5P_DEFAULT));
    if (counted)
        write_counted(root, recipe, net, values);
    else
        write_named(root, recipe, net, values);
    H5Gclose(root);
}

void weights_write(const char *path, const struct weights_recipe *recipe) {
    struct vgg net = make_net(recipe);
    H5dont_atexit(); /* as the reader does, but it must come first */
    hid_t file = must(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    if (recipe->defect == DEFECT_WEIGHTLESS) {
        write_dense(file, "data/x", "data/y", recipe);
    } else {
        float *values = weights_recipe_values(recipe);
        write_root(file, recipe, &net, values);
        free(values);
    }
    must(H5Fclose(file));
}
