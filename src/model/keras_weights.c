#include "keras_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Comparisons of names with names: more is no network. */
enum { MAX_COMPARISONS = 1 << 26 };

/* --- What a layer has by its class ------------------------------------------------------------------------------- */

static void need(struct keras_layer *layer, const char *label, bool trains) {
    layer->weight[layer->weights++] = (struct keras_weight){.label = label, .trains = layer->trains && trains};
}

static bool flag(const struct keras_layer *layer, const char *name, const char *old_name) {
    return document_bool(document_get(layer->config, name), document_bool(document_get(layer->config, old_name), true));
}

static void need_kernel(struct keras_layer *layer) {
    need(layer, "kernel", true);
    if (flag(layer, "use_bias", "bias"))
        need(layer, "bias", true);
}

static void need_depthwise(struct keras_layer *layer) {
    need(layer, "depthwise_kernel", true);
    if (flag(layer, "use_bias", "bias"))
        need(layer, "bias", true);
}

static void need_separable(struct keras_layer *layer) {
    need(layer, "depthwise_kernel", true);
    need(layer, "pointwise_kernel", true);
    if (flag(layer, "use_bias", "bias"))
        need(layer, "bias", true);
}

static void need_normalisation(struct keras_layer *layer) {
    if (flag(layer, "scale", "scale"))
        need(layer, "gamma", true);
    if (flag(layer, "center", "center"))
        need(layer, "beta", true);
    need(layer, "moving_mean", false);
    need(layer, "moving_variance", false);
}

static void need_slopes(struct keras_layer *layer) { need(layer, "alpha", true); }

static void need_statistics(struct keras_layer *layer) {
    if (!document_is_null(document_get(layer->config, "mean")))
        return;
    need(layer, "mean", false);
    need(layer, "variance", false);
    need(layer, "count", false);
}

static const struct {
    const char *class_name;
    void (*need)(struct keras_layer *layer);
} classes[] = {
    {"Conv2D", need_kernel},
    {"Convolution2D", need_kernel},
    {"AtrousConvolution2D", need_kernel},
    {"Conv2DTranspose", need_kernel},
    {"Dense", need_kernel},
    {"DepthwiseConv2D", need_depthwise},
    {"SeparableConv2D", need_separable},
    {"SeparableConvolution2D", need_separable},
    {"BatchNormalization", need_normalisation},
    {"PReLU", need_slopes},
    {"Normalization", need_statistics},
};

static void need_all(struct keras_model *model) {
    for (int l = 0; l < model->layers; l++) {
        if (model->layer[l].model)
            need_all(model->layer[l].model);
        for (size_t c = 0; c < sizeof classes / sizeof *classes; c++)
            if (!strcmp(model->layer[l].class_name, classes[c].class_name))
                classes[c].need(&model->layer[l]);
    }
}

/* --- Labels ------------------------------------------------------------------------------------------------------ */

/* What weights of a label are called, by Keras 3, 2 and 1. */
enum { SPELLINGS = 4 };
static const char *const labels[][SPELLINGS] = {
    {"kernel", "W"},
    {"bias", "b"},
    {"depthwise_kernel", "kernel"},
    {"pointwise_kernel"},
    {"gamma"},
    {"beta"},
    {"moving_mean", "running_mean"},
    {"moving_variance", "running_std", "running_variance"},
    {"alpha", "alphas"},
    {"mean"},
    {"variance"},
    {"count"},
};
enum { LABELS = sizeof labels / sizeof *labels };

/* The last part of "block1_conv1/kernel:0", without ":0". */
static const char *last_part(const char *name, int *length) {
    const char *slash = strrchr(name, '/'), *start = slash ? slash + 1 : name;
    *length = (int)strcspn(start, ":");
    return start;
}

/* The longest of the spellings above that the name's last part is or, as Keras 1 wrote "conv_kernel", ends with; NULL
 * if there is none. */
static const char *find_spelling(const char *name) {
    int length, longest = 0;
    const char *part = last_part(name, &length), *found = NULL;
    for (int i = 0; i < LABELS; i++)
        for (int j = 0; j < SPELLINGS && labels[i][j]; j++) {
            int size = (int)strlen(labels[i][j]);
            if (size > longest && length >= size && !strncmp(part + length - size, labels[i][j], size) &&
                (length == size || part[length - size - 1] == '_')) {
                found = labels[i][j];
                longest = size;
            }
        }
    return found;
}

static bool has_label(const char *name, const char *label) {
    const char *spelling = find_spelling(name);
    for (int i = 0; spelling && i < LABELS; i++)
        for (int j = 0; j < SPELLINGS && labels[i][j] && !strcmp(labels[i][0], label); j++)
            if (!strcmp(spelling, labels[i][j]))
                return true;
    return false;
}

/* Whether a layer's name is a whole part of a weight's: "vgg16/conv1/kernel:0" or, of Keras 1, "conv1_W". */
static bool names_layer(const char *name, const char *layer) {
    int length;
    size_t size = strlen(layer);
    const char *part = last_part(name, &length), *spelling = find_spelling(name);
    for (const char *s = name; size && (s = strstr(s, layer)); s++)
        if ((s == name || s[-1] == '/') && s[size] == '/')
            return true;
    return spelling && !strncmp(part, layer, size) && part[size] == '_' &&
           size + 1 + strlen(spelling) == (size_t)length;
}

/* --- A layer's group --------------------------------------------------------------------------------------------- */

/* A weight that a group must hold, and whose it is. */
struct slot {
    const struct keras_layer *layer;
    struct keras_weight *weight;
};

struct group {
    const struct hdf5_file *file;
    char path[KERAS_PATH_SIZE];
    const char *name; /* of the layer */
    struct hdf5_names names;
    struct slot *slot; /* [slots]: trainable ones first */
    int slots;
    bool unknown; /* has layers whose weights aren't known here */
};

static int count_weights(const struct keras_layer *layer) {
    int count = layer->weights;
    for (int l = 0; layer->model && l < layer->model->layers; l++)
        count += count_weights(&layer->model->layer[l]);
    return count;
}

/* Appends the weights that do or don't train, in the order of the layers. */
static void list_slots(struct group *group, struct keras_layer *layer, bool trains) {
    for (int w = 0; w < layer->weights; w++)
        if (layer->weight[w].trains == trains)
            group->slot[group->slots++] = (struct slot){layer, &layer->weight[w]};
    for (int l = 0; layer->model && l < layer->model->layers; l++)
        list_slots(group, &layer->model->layer[l], trains);
}

static int give(const struct group *group, const struct slot *slot, const char *name, struct error *error) {
    struct keras_weight *weight = slot->weight;
    if (!keras_join(weight->path, group->path, name) || !hdf5_describe(group->file, weight->path, &weight->array))
        return keras_refuse_missing(group->file, weight->path, name, "weight_names", error);
    if (!strcmp(weight->label, "count"))
        return STATUS_OK;
    return keras_check_array(group->file, slot->layer->name, weight->path, &weight->array, error);
}

/* The one name that says it is the slot's; NULL if there is none, or several. */
static const char *find_name(const struct group *group, const struct slot *slot) {
    const char *found = NULL;
    for (size_t i = 0; i < group->names.count; i++) {
        const char *name = group->names.name[i];
        if (!has_label(name, slot->weight->label) || !names_layer(name, slot->layer->name))
            continue;
        if (found)
            return NULL;
        found = name;
    }
    return found;
}

/* found[slots]: the names of all. False if these don't tell every weight: layers of the same name may stand in models
 * within each other, and old Keras told them apart by numbers. */
static bool find_names(const struct group *group, const char **found) {
    for (int s = 0; s < group->slots; s++) {
        found[s] = find_name(group, &group->slot[s]);
        if (!found[s])
            return false;
        for (int before = 0; before < s; before++)
            if (found[before] == found[s])
                return false;
    }
    return true;
}

/* By names, if these tell every weight; *done says whether. */
static int match_names(const struct group *group, bool *done, struct error *error) {
    const char **found = malloc((group->slots + 1) * sizeof *found);
    int status = STATUS_OK;
    if (!found)
        return error_memory(error, (double)group->slots * sizeof *found, "the names of weights");
    *done = find_names(group, found);
    for (int s = 0; s < group->slots && *done && !status; s++)
        status = give(group, &group->slot[s], found[s], error);
    free(found);
    return status;
}

/* Whether the name says that it is another layer's. */
static bool contradicts(const struct group *group, const struct slot *slot, const char *name) {
    if (names_layer(name, slot->layer->name))
        return false;
    for (int s = 0; s < group->slots; s++)
        if (group->slot[s].layer != slot->layer && names_layer(name, group->slot[s].layer->name))
            return true;
    return false;
}

/* In the order in which Keras lists them; what the names say must not be against it. */
static int match_order(const struct group *group, struct error *error) {
    const char *file = hdf5_file_path(group->file);
    if (group->names.count != (size_t)group->slots || group->unknown)
        return error_set(error, STATUS_USAGE, "%s: %.100s has %zu weights, but %d by its description; save it again",
                         file, group->name, group->names.count, group->slots);
    for (int s = 0; s < group->slots; s++) {
        const char *name = group->names.name[s];
        const struct slot *slot = &group->slot[s];
        if ((find_spelling(name) && !has_label(name, slot->weight->label)) || contradicts(group, slot, name))
            return error_set(
                error, STATUS_USAGE,
                "%s: %.100s stands where the %s of %.100s is due; save the model again with the same layers "
                "frozen as in its description",
                file, name, slot->weight->label, slot->layer->name);
        if (give(group, slot, name, error))
            return error->status;
    }
    return STATUS_OK;
}

static int fill_group(struct group *group, struct keras_layer *layer, struct error *error) {
    bool done = false;
    if (keras_read_list(group->file, group->path, "weight_names", &group->names, error))
        return error->status;
    group->slot = malloc((count_weights(layer) + 1) * sizeof *group->slot);
    if (!group->slot)
        return error_memory(error, (double)count_weights(layer) * sizeof *group->slot, "the names of weights");
    list_slots(group, layer, true);
    list_slots(group, layer, false);
    if (group->names.count * (size_t)group->slots > MAX_COMPARISONS)
        return error_set(error, STATUS_USAGE, "%s: %.100s has too many weights; save its layers one by one",
                         hdf5_file_path(group->file), layer->name);
    if (match_names(group, &done, error) || done)
        return error->status;
    return match_order(group, error);
}

/* The weights of a layer, or of a model that is a layer, from its group. */
static int find_in_group(const struct hdf5_file *file, const char *root, const char *name, struct keras_layer *layer,
                         struct error *error) {
    struct group group = {.file = file, .name = name};
    *error = (struct error){.status = STATUS_OK};
    if (!keras_join(group.path, root, name) || !hdf5_has_group(file, group.path))
        return keras_refuse_missing(file, group.path, name, "the model's description", error);
    int status = fill_group(&group, layer, error);
    hdf5_names_free(&group.names);
    free(group.slot);
    return status;
}

/* --- Keras 1 and 2: a group per layer ---------------------------------------------------------------------------- */

static bool has_all_groups(const struct hdf5_file *file, const char *root, const struct keras_model *model) {
    for (int l = 0; l < model->layers; l++) {
        char path[KERAS_PATH_SIZE];
        if (count_weights(&model->layer[l]) &&
            (!keras_join(path, root, model->layer[l].name) || !hdf5_has_group(file, path)))
            return false;
    }
    return true;
}

/* Leaves of a list of layers those that have weights. */
static int keep_weighted(const struct hdf5_file *file, const char *root, struct hdf5_names *layers,
                         struct error *error) {
    size_t kept = 0;
    for (size_t i = 0; i < layers->count; i++) {
        char path[KERAS_PATH_SIZE];
        struct hdf5_names weights = {0};
        if (keras_join(path, root, layers->name[i]) && keras_read_list(file, path, "weight_names", &weights, error))
            return error->status;
        if (weights.count) {
            char *name = layers->name[kept];
            layers->name[kept++] = layers->name[i];
            layers->name[i] = name;
        }
        hdf5_names_free(&weights);
    }
    for (size_t i = kept; i < layers->count; i++)
        free(layers->name[i]);
    layers->count = kept;
    return STATUS_OK;
}

static int refuse_absent(const struct hdf5_file *file, const char *root, const struct keras_model *model, size_t held,
                         size_t described, struct error *error) {
    for (int l = 0; l < model->layers; l++) {
        char path[KERAS_PATH_SIZE];
        if (count_weights(&model->layer[l]) &&
            (!keras_join(path, root, model->layer[l].name) || !hdf5_has_group(file, path)))
            return error_set(
                error, STATUS_USAGE,
                "%s: %.200s is missing or damaged, but the model's description lists it (%zu layers with "
                "weights are there, %zu described); copy the file again, or give the description of this model",
                hdf5_file_path(file), model->layer[l].name, held, described);
    }
    return STATUS_OK;
}

/* A description made anew has other names, as Keras counts on: then the layers with weights are the same in number and
 * order. */
static int find_by_order(const struct hdf5_file *file, const char *root, struct keras_model *model,
                         const struct hdf5_names *names, struct error *error) {
    size_t described = 0;
    for (int l = 0; l < model->layers; l++)
        described += count_weights(&model->layer[l]) > 0;
    if (described != names->count)
        return refuse_absent(file, root, model, names->count, described, error);
    size_t next = 0;
    for (int l = 0; l < model->layers; l++)
        if (count_weights(&model->layer[l]) && find_in_group(file, root, names->name[next++], &model->layer[l], error))
            return error->status;
    return STATUS_OK;
}

static int find_listed(const struct hdf5_file *file, const char *root, struct keras_model *model, struct error *error) {
    if (has_all_groups(file, root, model)) {
        for (int l = 0; l < model->layers; l++)
            if (count_weights(&model->layer[l]) &&
                find_in_group(file, root, model->layer[l].name, &model->layer[l], error))
                return error->status;
        return STATUS_OK;
    }
    struct hdf5_names names = {0};
    int status = keras_read_list(file, root, "layer_names", &names, error);
    if (!status)
        status = keep_weighted(file, root, &names, error);
    if (!status)
        status = find_by_order(file, root, model, &names, error);
    hdf5_names_free(&names);
    return status;
}

/* --- Keras before 1.0: layer_0/param_0 --------------------------------------------------------------------------- */

static int find_numbered(const struct hdf5_file *file, struct keras_model *model, struct error *error) {
    int place = 0;
    for (int l = 0; l < model->layers; l++) {
        struct keras_layer *layer = &model->layer[l];
        if (!strcmp(layer->class_name, "InputLayer"))
            continue;
        for (int w = 0; w < layer->weights; w++) {
            struct keras_weight *weight = &layer->weight[w];
            snprintf(weight->path, sizeof weight->path, "/layer_%d/param_%d", place, w);
            if (!hdf5_describe(file, weight->path, &weight->array))
                return keras_refuse_missing(file, weight->path, weight->path, "the model's description", error);
            if (keras_check_array(file, layer->name, weight->path, &weight->array, error))
                return error->status;
        }
        place++;
    }
    return STATUS_OK;
}

/* --- Layouts ----------------------------------------------------------------------------------------------------- */

static const struct keras_layout layouts[] = {
    {"Keras weights (layer_names)", "/", KERAS_LISTED},
    {"Keras model (model_weights)", "/model_weights", KERAS_LISTED},
    {"Keras 3 weights (layers)", "layers", KERAS_COUNTED},
    {"tf.keras weights (_layer_checkpoint_dependencies)", "_layer_checkpoint_dependencies", KERAS_COUNTED},
    {"Keras weights (nb_layers)", "/", KERAS_NUMBERED},
};

/* Whether a root holds counted layers; Windows left "layers\conv2d" beside it instead. */
static bool has_counted(const struct hdf5_file *file, const char *root) {
    if (hdf5_has_group(file, root))
        return true;
    struct hdf5_names groups = {0}, datasets = {0};
    struct error ignored;
    bool found = false;
    size_t size = strlen(root);
    hdf5_walk(file, &groups, &datasets, &ignored);
    for (size_t i = 0; i < groups.count; i++)
        found |= !strncmp(groups.name[i], root, size) && groups.name[i][size] == '\\';
    hdf5_names_free(&groups);
    hdf5_names_free(&datasets);
    return found;
}

const struct keras_layout *keras_layout_find(const struct hdf5_file *file) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct keras_layout *l = &layouts[i];
        if (l->kind == KERAS_LISTED    ? keras_has_list(file, l->root, "layer_names")
            : l->kind == KERAS_COUNTED ? has_counted(file, l->root)
                                       : hdf5_has_attribute(file, "/", "nb_layers") && hdf5_has_group(file, "/layer_0"))
            return l;
    }
    return NULL;
}

int keras_weights_find(const struct hdf5_file *file, const struct keras_layout *layout, struct keras_model *model,
                       struct error *error) {
    need_all(model);
    if (layout->kind == KERAS_LISTED)
        return find_listed(file, layout->root, model, error);
    if (layout->kind == KERAS_COUNTED)
        return keras_counted_find(file, layout->root, model, error);
    return find_numbered(file, model, error);
}
