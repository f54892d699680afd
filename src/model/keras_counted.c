#include "keras_weights.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer's group below "layers": its path as it is in the file and with slashes only, and what it says of itself. */
struct child {
    char *path;                  /* of its group `vars`, as HDF5 has it; belongs to the walk */
    char place[KERAS_PATH_SIZE]; /* "layers/functional/layers/conv2d_3" */
    char *name;                  /* the layer's, since Keras 3.6; NULL if it isn't there; owned */
    int weights;
};

struct tree {
    const struct hdf5_file *file;
    struct hdf5_names groups, datasets;
    struct child *child; /* [count], owned */
    size_t count;
};

/* --- What the file holds ----------------------------------------------------------------------------------------- */

/* Of ".../vars" the place before it, with slashes only; false if the path is another. */
static bool find_place(const char *path, char place[KERAS_PATH_SIZE]) {
    size_t length = strlen(path), end = sizeof "/vars" - 1;
    if (length <= end || length >= KERAS_PATH_SIZE || strcmp(path + length - 4, "vars") ||
        !strchr("/\\", path[length - end]))
        return false;
    snprintf(place, KERAS_PATH_SIZE, "%.*s", (int)(length - end), path);
    for (char *c = place; *c; c++)
        if (*c == '\\')
            *c = '/';
    return true;
}

static int count_weights(const struct hdf5_file *file, const char *vars) {
    enum { MOST = 16 };
    char path[KERAS_PATH_SIZE], number[8];
    struct hdf5_array array;
    int count = 0;
    for (; count < MOST; count++) {
        snprintf(number, sizeof number, "%d", count);
        if (!keras_join(path, vars, number) || !hdf5_describe(file, path, &array))
            break;
    }
    return count;
}

static char *read_name(const struct hdf5_file *file, const char *vars) {
    char *name = NULL;
    struct error ignored;
    if (hdf5_has_attribute(file, vars, "name"))
        hdf5_read_text(file, vars, "name", &name, &ignored);
    return name;
}

static int compare_containers(const char *a, const char *b) {
    const char *slash_a = strrchr(a, '/'), *slash_b = strrchr(b, '/');
    size_t size_a = slash_a ? (size_t)(slash_a - a) : 0, size_b = slash_b ? (size_t)(slash_b - b) : 0;
    int order = strncmp(a, b, size_a < size_b ? size_a : size_b);
    return order ? order : (size_a > size_b) - (size_a < size_b);
}

/* By container, then by the number that the place ends with, if it does. */
static int compare_children(const void *a, const void *b) {
    long number[2];
    const struct child *child[] = {a, b};
    for (int i = 0; i < 2; i++) {
        const char *end = strrchr(child[i]->place, '_');
        number[i] = end && isdigit((unsigned char)end[1]) ? strtol(end + 1, NULL, 10) : 0;
    }
    int order = compare_containers(child[0]->place, child[1]->place);
    if (order)
        return order;
    return number[0] != number[1] ? (number[0] > number[1]) - (number[0] < number[1])
                                  : strcmp(child[0]->place, child[1]->place);
}

static int read_tree(const struct hdf5_file *file, struct tree *tree, struct error *error) {
    tree->file = file;
    if (hdf5_walk(file, &tree->groups, &tree->datasets, error))
        return error->status;
    tree->child = calloc(tree->groups.count + 1, sizeof *tree->child);
    if (!tree->child)
        return error_memory(error, (double)tree->groups.count * sizeof *tree->child, "the names of layers");
    for (size_t i = 0; i < tree->groups.count; i++) {
        struct child *child = &tree->child[tree->count];
        if (!find_place(tree->groups.name[i], child->place))
            continue;
        child->path = tree->groups.name[i];
        child->name = read_name(file, child->path);
        child->weights = count_weights(file, child->path);
        tree->count++;
    }
    qsort(tree->child, tree->count, sizeof *tree->child, compare_children);
    return STATUS_OK;
}

static void free_tree(struct tree *tree) {
    for (size_t i = 0; i < tree->count; i++)
        free(tree->child[i].name);
    free(tree->child);
    hdf5_names_free(&tree->groups);
    hdf5_names_free(&tree->datasets);
}

/* --- Which group is which layer's -------------------------------------------------------------------------------- */

/* The last part of a child's place, if the rest is the container's; else NULL. */
static const char *own_part(const struct child *child, const char *container) {
    size_t size = strlen(container);
    const char *part = child->place + size + 1;
    return !strncmp(child->place, container, size) && child->place[size] == '/' && !strchr(part, '/') ? part : NULL;
}

/* The N of "conv2d_N", 0 of "conv2d"; -1 if the name is of another class. */
static int find_number(const char *part, const char *class_name) {
    size_t size = strlen(class_name);
    char *end;
    if (strncmp(part, class_name, size))
        return -1;
    if (!part[size])
        return 0;
    long number = part[size] == '_' && isdigit((unsigned char)part[size + 1]) ? strtol(part + size + 1, &end, 10) : -1;
    return number < 0 || number > KERAS_MAX_LAYERS * 8 || *end ? -1 : (int)number;
}

/* Whether a child holds layers of its own; *inner is where. */
static bool has_layers(const struct tree *tree, const struct child *child, char inner[KERAS_PATH_SIZE]) {
    static const char *const roots[] = {"layers", "_layer_checkpoint_dependencies"};
    for (int r = 0; r < 2; r++) {
        int length = snprintf(inner, KERAS_PATH_SIZE, "%s/%s", child->place, roots[r]);
        if (length >= KERAS_PATH_SIZE)
            continue;
        for (size_t i = 0; i < tree->count; i++)
            if (own_part(&tree->child[i], inner))
                return true;
    }
    return false;
}

static bool has_weights(const struct keras_layer *layer) {
    bool any = layer->weights > 0;
    for (int l = 0; layer->model && l < layer->model->layers; l++)
        any |= has_weights(&layer->model->layer[l]);
    return any;
}

static bool can_be(const struct tree *tree, const struct child *child, const struct keras_layer *layer) {
    char inner[KERAS_PATH_SIZE];
    return layer->model ? has_layers(tree, child, inner) : child->weights >= layer->weights;
}

static const struct child *find_named(const struct tree *tree, const char *container, const struct keras_layer *layer) {
    for (size_t i = 0; i < tree->count; i++) {
        const struct child *child = &tree->child[i];
        const char *part = own_part(child, container);
        if (part && (child->name ? !strcmp(child->name, layer->name) : false) && can_be(tree, child, layer))
            return child;
    }
    return NULL;
}

/* The group of a class that is the number-th of those with weights (or with layers, of models), as they are counted. */
static const struct child *find_counted(const struct tree *tree, const char *container, const char *class_name,
                                        bool model, int number, int *present) {
    const struct child *found = NULL;
    char inner[KERAS_PATH_SIZE];
    *present = 0;
    for (size_t i = 0; i < tree->count; i++) {
        const struct child *child = &tree->child[i];
        const char *part = own_part(child, container);
        if (!part || find_number(part, class_name) < 0 ||
            !(model ? has_layers(tree, child, inner) : child->weights > 0))
            continue;
        if ((*present)++ == number)
            found = child;
    }
    return found;
}

static void find_class(const struct keras_layer *layer, char name[64]) {
    keras_snake_case(layer->class_name, name, 64);
    if (!strcmp(name, "model"))
        snprintf(name, 64, "functional");
}

/* How many layers of the same class with weights come before this one, and how many there are in all. */
static int count_before(const struct keras_model *model, int layer, int *all) {
    char name[64], other[64];
    int before = 0;
    find_class(&model->layer[layer], name);
    *all = 0;
    for (int l = 0; l < model->layers; l++) {
        find_class(&model->layer[l], other);
        if (strcmp(name, other) || !has_weights(&model->layer[l]))
            continue;
        before += l < layer;
        ++*all;
    }
    return before;
}

static int find_child(const struct tree *tree, const char *container, const struct keras_model *model, int l,
                      const struct child **child, struct error *error) {
    const struct keras_layer *layer = &model->layer[l];
    char class_name[64];
    int all, present, before = count_before(model, l, &all);
    find_class(layer, class_name);
    *child = find_named(tree, container, layer);
    if (*child)
        return STATUS_OK;
    *child = find_counted(tree, container, class_name, layer->model, before, &present);
    if (*child && present == all && can_be(tree, *child, layer))
        return STATUS_OK;
    return error_set(
        error, STATUS_USAGE,
        "%s: %.100s: %d groups %s/%s hold weights for the %d such layers of its description; save the model "
        "again",
        hdf5_file_path(tree->file), layer->name, present, container, class_name, all);
}

/* --- Weights ----------------------------------------------------------------------------------------------------- */

static int give_weights(const struct tree *tree, const struct child *child, struct keras_layer *layer,
                        struct error *error) {
    for (int w = 0; w < layer->weights; w++) {
        struct keras_weight *weight = &layer->weight[w];
        char number[8];
        snprintf(number, sizeof number, "%d", w);
        if (!keras_join(weight->path, child->path, number) || !hdf5_describe(tree->file, weight->path, &weight->array))
            return keras_refuse_missing(tree->file, weight->path, weight->path, "the model's description", error);
        if (strcmp(weight->label, "count") &&
            keras_check_array(tree->file, layer->name, weight->path, &weight->array, error))
            return error->status;
    }
    return STATUS_OK;
}

static int find_in(const struct tree *tree, const char *container, struct keras_model *model, struct error *error) {
    for (int l = 0; l < model->layers; l++) {
        struct keras_layer *layer = &model->layer[l];
        const struct child *child;
        char inner[KERAS_PATH_SIZE];
        if (!has_weights(layer))
            continue;
        if (find_child(tree, container, model, l, &child, error) || give_weights(tree, child, layer, error))
            return error->status;
        if (layer->model && has_layers(tree, child, inner) && find_in(tree, inner, layer->model, error))
            return error->status;
    }
    return STATUS_OK;
}

static int total_layers(const struct keras_model *model) {
    int total = model->layers;
    for (int l = 0; l < model->layers; l++)
        total += model->layer[l].model ? total_layers(model->layer[l].model) : 0;
    return total;
}

int keras_counted_find(const struct hdf5_file *file, const char *root, struct keras_model *model, struct error *error) {
    enum { MOST = 4096 };
    struct tree tree = {0};
    int status = read_tree(file, &tree, error);
    if (!status && (total_layers(model) > MOST || tree.count > 4 * MOST))
        status =
            error_set(error, STATUS_USAGE, "%s: has more than %d layers; save it as .h5", hdf5_file_path(file), MOST);
    if (!status)
        status = find_in(&tree, root, model, error);
    free_tree(&tree);
    return status;
}

/* --- Without a description --------------------------------------------------------------------------------------- */

static void copy_child(const struct child *child, struct keras_counted *layer) {
    const char *slash = strrchr(child->place, '/');
    snprintf(layer->container, sizeof layer->container, "%.*s", slash ? (int)(slash - child->place) : 0, child->place);
    snprintf(layer->group, sizeof layer->group, "%s", slash ? slash + 1 : child->place);
    snprintf(layer->path, sizeof layer->path, "%s", child->path);
    layer->weights = child->weights;
}

int keras_counted_list(const struct hdf5_file *file, const char *root, struct keras_counted **layers, size_t *count,
                       struct error *error) {
    struct tree tree = {0};
    size_t size = strlen(root);
    int status = read_tree(file, &tree, error);
    *count = 0;
    *layers = status ? NULL : calloc(tree.count + 1, sizeof **layers);
    if (!status && !*layers)
        status = error_memory(error, (double)tree.count * sizeof **layers, "the names of layers");
    for (size_t i = 0; !status && i < tree.count; i++) {
        if (strncmp(tree.child[i].place, root, size) || tree.child[i].place[size] != '/')
            continue;
        copy_child(&tree.child[i], &(*layers)[*count]);
        (*layers)[*count].name = tree.child[i].name;
        tree.child[i].name = NULL;
        ++*count;
    }
    free_tree(&tree);
    return status;
}

void keras_counted_free(struct keras_counted *layers, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(layers[i].name);
    free(layers);
}
