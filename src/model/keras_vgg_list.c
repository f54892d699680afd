#include "keras_vgg.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Names ------------------------------------------------------------------------------------------------------- */

/* "block3_conv2" of Keras or, as Caffe called it, "conv3_2", as a part of a longer name. */
static bool find_block(const char *name, int *block, int *number) {
    static const char *const patterns[] = {"block%1d_conv%1d%n", "conv%1d_%1d%n"};
    for (int p = 0; p < 2; p++)
        for (const char *s = name; (s = strstr(s, p ? "conv" : "block")); s++) {
            int length = 0;
            bool starts = s == name || !isalnum((unsigned char)s[-1]);
            if (starts && sscanf(s, patterns[p], block, number, &length) == 2 && length &&
                !isdigit((unsigned char)s[length]) && *block > 0 && *number > 0)
                return true;
        }
    return false;
}

/* Names a convolution from its layer and its kernel: by block and number if either has them, else by the last group
 * that holds the kernel, which in a nested model is its own layer. */
static void name_convolution(const char *layer, const char *kernel, struct vgg_item *item) {
    const char *end = strrchr(kernel, '/'), *start = end;
    if (find_block(kernel, &item->block, &item->number) || find_block(layer, &item->block, &item->number)) {
        snprintf(item->name, sizeof item->name, "block%d_conv%d", item->block, item->number);
        return;
    }
    item->block = item->number = 0;
    while (start && start > kernel && start[-1] != '/')
        start--;
    if (end && end > start)
        snprintf(item->name, sizeof item->name, "%.*s", (int)(end - start), start);
    else
        snprintf(item->name, sizeof item->name, "%s", layer);
}

/* What a layer without weights is by its name, as Keras calls it by its class or as people call it. */
static enum vgg_item_kind judge_name(const char *name, bool *nothing) {
    static const struct {
        const char *part;
        bool nothing;
        enum vgg_item_kind kind;
    } parts[] = {
        {"average", false, VGG_STRANGE},  {"avg", false, VGG_STRANGE},     {"global", false, VGG_STRANGE},
        {"pool", false, VGG_POOLING},     {"flatten", false, VGG_END},     {"dropout", true, VGG_STRANGE},
        {"input", true, VGG_STRANGE},     {"picture", true, VGG_STRANGE},  {"image", true, VGG_STRANGE},
        {"zero_pad", false, VGG_PADDING}, {"zeropad", false, VGG_PADDING},
    };
    *nothing = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(name, parts[i].part)) {
            *nothing = parts[i].nothing;
            return parts[i].kind;
        }
    *nothing = !strncmp(name, "relu", 4) && (!name[4] || isdigit((unsigned char)name[4])) && strcmp(name, "relu6") != 0;
    return VGG_STRANGE;
}

/* "bn/gamma:0", "bn_1_running_mean" and the like. */
static bool is_normalisation(const char *weight) {
    static const char *const ends[] = {"gamma",           "beta",         "moving_mean",
                                       "moving_variance", "running_mean", "running_std"};
    size_t length = strcspn(weight, ":");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t size = strlen(ends[i]);
        if (length >= size && !strncmp(weight + length - size, ends[i], size))
            return true;
    }
    return false;
}

/* --- The list ---------------------------------------------------------------------------------------------------- */

static struct vgg_item *append(struct vgg_list *list, enum vgg_item_kind kind, const char *name, struct error *error) {
    if (list->count >= VGG_MAX_ITEMS) {
        error_set(error, STATUS_USAGE, "%s: lists more than %d layers; give the weights of a VGG network",
                  hdf5_file_path(list->file), VGG_MAX_ITEMS);
        return NULL;
    }
    if ((list->count & (list->count - 1)) == 0) {
        size_t count = list->count ? 2 * (size_t)list->count : 1;
        struct vgg_item *larger = realloc(list->item, count * sizeof *larger);
        if (!larger) {
            error_memory(error, (double)count * sizeof *larger, "the names of layers");
            return NULL;
        }
        list->item = larger;
    }
    struct vgg_item *item = &list->item[list->count++];
    *item = (struct vgg_item){.kind = kind};
    snprintf(item->name, sizeof item->name, "%s", name);
    return item;
}

void vgg_list_free(struct vgg_list *list) {
    free(list->item);
    *list = (struct vgg_list){0};
}

static int append_kernel(struct vgg_list *list, const char *layer, const char *weight, const char *path,
                         const struct hdf5_array *array, struct error *error) {
    struct vgg_item *item = append(list, VGG_CONVOLUTION, layer, error);
    if (!item)
        return error->status;
    name_convolution(layer, weight, item);
    snprintf(item->kernel, sizeof item->kernel, "%s", path);
    item->kernel_array = *array;
    return keras_check_array(list->file, item->name, path, array, error);
}

/* Gives the last convolution its bias, unless it has one. What bears another name is none: in a nested model the scales
 * of a batch normalisation may follow a kernel. */
static int give_bias(struct vgg_list *list, const char *layer, const char *weight, const char *path,
                     const struct hdf5_array *array, struct error *error) {
    struct vgg_item own = {0}, *item = list->count ? &list->item[list->count - 1] : NULL;
    name_convolution(layer, weight, &own);
    if (!item || item->kind != VGG_CONVOLUTION || item->bias[0] || strcmp(item->name, own.name))
        return STATUS_OK;
    snprintf(item->bias, sizeof item->bias, "%s", path);
    item->bias_array = *array;
    return keras_check_array(list->file, item->name, path, array, error);
}

/* --- Keras 1 and 2: layer_names and weight_names ----------------------------------------------------------------- */

/* One weight of a layer: a kernel of four dimensions, a bias, a dense layer's, or of what isn't known. */
static int add_weight(struct vgg_list *list, const char *group, const char *layer, const char *name,
                      struct error *error) {
    char path[KERAS_PATH_SIZE] = "";
    struct hdf5_array array;
    if (!keras_join(path, group, name) || !hdf5_describe(list->file, path, &array))
        return keras_refuse_missing(list->file, path, name, "weight_names", error);
    if (array.rank == 4)
        return append_kernel(list, layer, name, path, &array, error);
    if (array.rank == 2)
        return append(list, VGG_END, layer, error) ? STATUS_OK : error->status;
    if (array.rank == 1 && is_normalisation(name)) {
        struct vgg_item own = {0};
        name_convolution(layer, name, &own);
        return append(list, VGG_NORMALISATION, own.name, error) ? STATUS_OK : error->status;
    }
    bool behind_kernel = list->count && list->item[list->count - 1].kind <= VGG_CONVOLUTION;
    bool behind_dense = list->count && list->item[list->count - 1].kind == VGG_END;
    if (array.rank == 1 && behind_kernel)
        return give_bias(list, layer, name, path, &array, error);
    return (array.rank == 1 && behind_dense) || append(list, VGG_STRANGE, layer, error) ? STATUS_OK : error->status;
}

static int count_convolutions(const struct vgg_list *list) {
    int count = 0;
    for (int i = 0; i < list->count; i++)
        count += list->item[i].kind == VGG_CONVOLUTION;
    return count;
}

/* A layer without weights says by its name what it is. */
static int add_weightless(struct vgg_list *list, const char *layer, struct error *error) {
    bool nothing;
    enum vgg_item_kind kind = judge_name(layer, &nothing);
    list->poolings |= kind == VGG_POOLING;
    return nothing || append(list, kind, layer, error) ? STATUS_OK : error->status;
}

static int add_layer(struct vgg_list *list, const char *root, const char *layer, struct error *error) {
    char group[KERAS_PATH_SIZE] = "";
    struct hdf5_names weights = {0};
    if (!keras_join(group, root, layer) || !hdf5_has_group(list->file, group))
        return keras_refuse_missing(list->file, group, layer, "layer_names", error);
    if (!keras_has_list(list->file, group, "weight_names"))
        return error_set(error, STATUS_USAGE,
                         "%s: %.200s has no attribute weight_names; copy the file again or save it again with Keras",
                         hdf5_file_path(list->file), layer);
    int before = count_convolutions(list), status = keras_read_list(list->file, group, "weight_names", &weights, error);
    if (!status && weights.count == 0)
        status = add_weightless(list, layer, error);
    for (size_t i = 0; !status && i < weights.count; i++)
        status = add_weight(list, group, layer, weights.name[i], error);
    hdf5_names_free(&weights);
    if (!status && count_convolutions(list) > before + 1) { /* a nested model: trainable layers first */
        list->sorted = false;
        status = append(list, VGG_END, layer, error) ? STATUS_OK : error->status;
    }
    return status;
}

static int list_named_layers(struct vgg_list *list, const char *root, struct error *error) {
    struct hdf5_names layers = {0};
    int status = keras_read_list(list->file, root, "layer_names", &layers, error);
    for (size_t i = 0; !status && i < layers.count; i++)
        status = add_layer(list, root, layers.name[i], error);
    hdf5_names_free(&layers);
    list->placed = list->poolings;
    return status;
}

/* --- Keras 3: a group per layer, counted by class ---------------------------------------------------------------- */

static int add_counted(struct vgg_list *list, const struct keras_counted *layer, struct error *error) {
    struct hdf5_array array;
    char path[KERAS_PATH_SIZE];
    if (layer->weights == 0)
        return add_weightless(list, layer->group, error);
    if (!keras_join(path, layer->path, "0") || !hdf5_describe(list->file, path, &array))
        return keras_refuse_missing(list->file, path, layer->group, "its group", error);
    if (array.rank == 2)
        return append(list, VGG_END, layer->group, error) ? STATUS_OK : error->status;
    if (array.rank != 4) {
        enum vgg_item_kind kind = array.rank == 1 ? VGG_NORMALISATION : VGG_STRANGE;
        return append(list, kind, layer->group, error) ? STATUS_OK : error->status;
    }
    const char *name = layer->name ? layer->name : layer->group;
    if (append_kernel(list, name, "", path, &array, error))
        return error->status;
    if (!keras_join(path, layer->path, "1") || !hdf5_describe(list->file, path, &array) || array.rank != 1)
        return STATUS_OK;
    return give_bias(list, name, "", path, &array, error);
}

/* Where several containers hold weights, the network is the one with most layers: a model that is a layer of another.
 * The layers come by container. */
static const char *find_container(const struct keras_counted *layers, size_t count) {
    const char *container = "";
    for (size_t i = 0, most = 0, held = 0; i < count; i++) {
        held = i && !strcmp(layers[i].container, layers[i - 1].container) ? held : 0;
        held += layers[i].weights > 0;
        if (held > most) {
            most = held;
            container = layers[i].container;
        }
    }
    return container;
}

static int list_counted_layers(struct vgg_list *list, const char *root, struct error *error) {
    struct keras_counted *layers;
    size_t count;
    int status = keras_counted_list(list->file, root, &layers, &count, error);
    if (status)
        return status;
    const char *container = find_container(layers, count);
    for (size_t i = 0; i < count && !status; i++)
        if (!strcmp(layers[i].container, container))
            status = add_counted(list, &layers[i], error);
    if (strcmp(container, root) && !strcmp(root, "layers"))
        list->layout = "Keras 3 weights (nested layers)";
    list->sorted = false;
    keras_counted_free(layers, count);
    return status;
}

/* --- Keras before 1.0: layer_0/param_0 --------------------------------------------------------------------------- */

/* Layers without weights aren't named: where convolutions stand behind one such layer each (padding), a second is a
 * pooling; where they stand behind none, one is. */
static int add_unnamed(struct vgg_list *list, int empty, int usual, struct error *error) {
    if (empty == usual + 1) {
        list->poolings = true;
        return append(list, VGG_POOLING, "pooling", error) ? STATUS_OK : error->status;
    }
    if (empty == usual)
        return STATUS_OK;
    return append(list, VGG_STRANGE, "a layer without a name", error) ? STATUS_OK : error->status;
}

static int add_numbered(struct vgg_list *list, int layer, int *empty, int *usual, struct error *error) {
    char path[KERAS_PATH_SIZE], name[32];
    struct hdf5_array array;
    snprintf(path, sizeof path, "/layer_%d/param_0", layer);
    snprintf(name, sizeof name, "layer_%d", layer);
    if (!hdf5_describe(list->file, path, &array)) {
        ++*empty;
        return STATUS_OK;
    }
    if (*usual < 0)
        *usual = *empty;
    else if (add_unnamed(list, *empty, *usual, error))
        return error->status;
    *empty = 0;
    if (array.rank != 4)
        return append(list, array.rank == 2 ? VGG_END : VGG_STRANGE, name, error) ? STATUS_OK : error->status;
    if (append_kernel(list, name, "", path, &array, error))
        return error->status;
    snprintf(path, sizeof path, "/layer_%d/param_1", layer);
    return hdf5_describe(list->file, path, &array) ? give_bias(list, name, "", path, &array, error) : STATUS_OK;
}

static int list_numbered_layers(struct vgg_list *list, const char *root, struct error *error) {
    int empty = 0, usual = -1;
    (void)root;
    for (int layer = 0; layer < VGG_MAX_ITEMS; layer++) {
        char group[32];
        snprintf(group, sizeof group, "/layer_%d", layer);
        if (!hdf5_has_group(list->file, group))
            break;
        if (add_numbered(list, layer, &empty, &usual, error))
            return error->status;
    }
    list->placed = true;
    list->poolings = true;
    return STATUS_OK;
}

int vgg_list_read(const struct hdf5_file *file, const struct keras_layout *layout, struct vgg_list *list,
                  struct error *error) {
    *list = (struct vgg_list){.file = file, .layout = layout->description, .sorted = true};
    int status = layout->kind == KERAS_LISTED    ? list_named_layers(list, layout->root, error)
                 : layout->kind == KERAS_COUNTED ? list_counted_layers(list, layout->root, error)
                                                 : list_numbered_layers(list, layout->root, error);
    if (status)
        vgg_list_free(list);
    return status;
}
