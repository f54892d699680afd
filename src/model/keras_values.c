#include "keras_operations.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Config ------------------------------------------------------------------------------------------------------ */

enum { MOST = 1024 }; /* of a kernel's or stride's extent */

bool keras_config_number(const struct keras_layer *layer, const char *key, double otherwise, double *number) {
    const struct document *value = document_get(layer->config, key);
    if (document_is_object(value))
        value = document_get(value, "value");
    *number = otherwise;
    return document_is_null(value) || (document_number(value, number) && isfinite(*number));
}

bool keras_config_pair(const struct keras_layer *layer, const char *key, int least, int otherwise, int pair[2]) {
    const struct document *value = document_get(layer->config, key);
    pair[0] = pair[1] = otherwise;
    if (document_is_null(value))
        return true;
    if (document_integer(value, least, MOST, &pair[0])) {
        pair[1] = pair[0];
        return true;
    }
    return document_size(value) == 2 && document_integer(document_at(value, 0), least, MOST, &pair[0]) &&
           document_integer(document_at(value, 1), least, MOST, &pair[1]);
}

/* --- Nodes ------------------------------------------------------------------------------------------------------- */

int keras_node_append(struct keras_context *context, const struct keras_use *use, struct graph_node *node,
                      const int *inputs, int count, struct error *error) {
    struct error why;
    snprintf(node->name, sizeof node->name, "%s", use->name);
    snprintf(node->class_name, sizeof node->class_name, "%s", use->layer->class_name);
    int n = graph_append(context->graph, node, inputs, count, &why);
    if (n >= 0)
        return n;
    if (why.status != STATUS_USAGE)
        *error = why;
    else
        error_set(error, STATUS_USAGE, "%s: %.400s; give a model whose layers fit", hdf5_file_path(context->file),
                  why.message);
    return KERAS_FAILED;
}

/* --- Weights ----------------------------------------------------------------------------------------------------- */

const struct keras_weight *keras_weight_find(const struct keras_layer *layer, const char *label) {
    for (int w = 0; w < layer->weights; w++)
        if (!strcmp(layer->weight[w].label, label))
            return &layer->weight[w];
    return NULL;
}

static size_t count_numbers(const struct hdf5_array *array) {
    size_t count = 1;
    for (int i = 0; i < array->rank && i < HDF5_MAX_RANK; i++) {
        if (array->extent[i] > (size_t)1 << 40)
            return 0;
        count *= array->extent[i] <= (size_t)-1 / (count ? count : 1) ? array->extent[i] : 0;
    }
    return array->rank > HDF5_MAX_RANK ? 0 : count;
}

size_t keras_reserve(const struct keras_context *context, const struct keras_layer *layer, size_t count,
                     struct error *error) {
    struct error why;
    size_t place = graph_reserve(context->graph, count, &why);
    if (place == GRAPH_NOTHING && why.status == STATUS_USAGE)
        error_set(error, STATUS_USAGE, "%s: with %.100s it %s; give a narrower network", hdf5_file_path(context->file),
                  layer->name, why.message);
    else if (place == GRAPH_NOTHING)
        *error = why;
    return place;
}

int keras_values_read(const struct keras_context *context, const struct keras_layer *layer, const char *label,
                      size_t count, float *values, struct error *error) {
    const struct keras_weight *weight = keras_weight_find(layer, label);
    if (!weight || !weight->path[0])
        return error_set(error, STATUS_USAGE, "%s: %.100s has no %s; save it again with Keras",
                         hdf5_file_path(context->file), layer->name, label);
    if (count_numbers(&weight->array) != count)
        return error_set(error, STATUS_USAGE, "%s: %.100s has a %s of %zu numbers, not %zu; save it again with Keras",
                         hdf5_file_path(context->file), layer->name, label, count_numbers(&weight->array), count);
    return hdf5_read_floats(context->file, weight->path, count, values, error);
}

/* --- Kernels ----------------------------------------------------------------------------------------------------- */

/* stored [out][in][rows][columns] -> kernel [rows][columns][in][out] */
static void turn(const int shape[4], const float *stored, float *kernel) {
    size_t taps = (size_t)shape[0] * shape[1], in = shape[2], out = shape[3];
    for (size_t o = 0; o < out; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t t = 0; t < taps; t++)
                kernel[(t * in + i) * out + o] = stored[(o * in + i) * taps + t];
}

/* By 180 degrees: the taps in reverse. */
static void flip(const int shape[4], float *kernel) {
    size_t taps = (size_t)shape[0] * shape[1], size = (size_t)shape[2] * shape[3];
    for (size_t t = 0; t < taps / 2; t++)
        for (size_t i = 0; i < size; i++) {
            float value = kernel[t * size + i];
            kernel[t * size + i] = kernel[(taps - 1 - t) * size + i];
            kernel[(taps - 1 - t) * size + i] = value;
        }
}

/* A kernel of four dimensions, or a dense layer's of two. */
static bool has_shape(const struct hdf5_array *array, const int *axes, const struct keras_kernel *kernel) {
    if (array->rank != kernel->rank)
        return false;
    for (int i = 0; i < kernel->rank; i++)
        if (array->extent[i] != (size_t)kernel->shape[axes[i]])
            return false;
    return true;
}

static void write_shape(const struct hdf5_array *array, char text[96]) {
    int at = 0;
    for (int i = 0; i < array->rank && i < HDF5_MAX_RANK; i++)
        at += snprintf(text + at, 96 - at, "%s%zu", i ? "x" : "", array->extent[i]);
    snprintf(text + at, 96 - at, "%s", array->rank < 1 ? "a single number" : array->rank > HDF5_MAX_RANK ? "x..." : "");
}

static int refuse_shape(const struct keras_context *context, const struct keras_layer *layer,
                        const struct hdf5_array *array, const struct keras_kernel *kernel, struct error *error) {
    struct hdf5_array due = {.rank = kernel->rank};
    char found_text[96], due_text[96];
    for (int i = 0; i < kernel->rank; i++)
        due.extent[i] = kernel->shape[i];
    write_shape(array, found_text);
    write_shape(&due, due_text);
    return error_set(error, STATUS_USAGE,
                     "%s: %.100s's kernel is of shape %s, but %s by its description; save the model again",
                     hdf5_file_path(context->file), layer->name, found_text, due_text);
}

static int read_turned(const struct keras_context *context, const struct keras_layer *layer,
                       const struct keras_kernel *kernel, size_t count, float *values, struct error *error) {
    float *stored = malloc(count * sizeof *stored);
    if (!stored)
        return error_memory(error, (double)count * sizeof *stored, "a kernel");
    int status = keras_values_read(context, layer, kernel->label, count, stored, error);
    if (!status)
        turn(kernel->shape, stored, values);
    free(stored);
    return status;
}

/* Whether the kernel lies turned; KERAS_FAILED if it has neither shape. */
static int find_axes(const struct keras_context *context, const struct keras_layer *layer,
                     const struct keras_kernel *kernel, const struct hdf5_array *array, struct error *error) {
    static const int tensorflow[] = {0, 1, 2, 3}, theano[] = {3, 2, 0, 1};
    const char *ordering = document_text(document_get(layer->config, "dim_ordering"));
    bool straight = has_shape(array, tensorflow, kernel),
         turned = kernel->rank == 4 && has_shape(array, theano, kernel);
    if (!straight && !turned) {
        refuse_shape(context, layer, array, kernel, error);
        return KERAS_FAILED;
    }
    return turned && (!straight || context->prefers_turned || (ordering && !strcmp(ordering, "th")));
}

static int read_kernel(const struct keras_context *context, const struct keras_layer *layer,
                       const struct keras_kernel *kernel, bool turned, size_t count, float *values,
                       struct error *error) {
    int status = turned ? read_turned(context, layer, kernel, count, values, error)
                        : keras_values_read(context, layer, kernel->label, count, values, error);
    if (!status && kernel->rank == 4 && (context->theano || (turned && !context->tensorflow)))
        flip(kernel->shape, values);
    return status;
}

int keras_kernel_read(struct keras_context *context, const struct keras_layer *layer, const struct keras_kernel *kernel,
                      struct graph_node *node, struct error *error) {
    const struct keras_weight *weight = keras_weight_find(layer, kernel->label);
    size_t count = 1, biases = kernel->biases && keras_weight_find(layer, "bias") ? kernel->biases : 0;
    for (int i = 0; i < kernel->rank; i++)
        count *= kernel->shape[i];
    int turned = weight && weight->path[0] ? find_axes(context, layer, kernel, &weight->array, error) : 0;
    if (turned < 0)
        return error->status;
    node->weights = keras_reserve(context, layer, count + biases, error);
    node->bias = biases ? node->weights + count : GRAPH_NOTHING;
    if (node->weights == GRAPH_NOTHING)
        return error->status;
    float *values = context->graph->values + node->weights;
    if (read_kernel(context, layer, kernel, turned, count, values, error) ||
        (biases && keras_values_read(context, layer, "bias", biases, values + count, error)))
        return error->status;
    if (!context->bits)
        context->bits = (int)weight->array.bits;
    context->bfloat16 |= weight->array.is_bfloat16;
    context->turned |= turned;
    return keras_check_finite(hdf5_file_path(context->file), layer->name, weight->array.bits, values, count + biases,
                              error);
}

int keras_check_finite(const char *file, const char *name, size_t bits, const float *values, size_t count,
                       struct error *error) {
    size_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += !isfinite(values[i]);
    if (bad)
        return error_set(
            error, STATUS_USAGE,
            "%s: %.100s holds NaN or infinity in %zu of its %zu values%s; give weights of a training that did "
            "not diverge",
            file, name, bad, count, bits > 32 ? ", or what single precision can't hold" : "");
    return STATUS_OK;
}

void keras_describe_layout(const struct keras_context *context, const char *layout, char *text, size_t size) {
    const char *axes = context->turned ? "OIHW" : "HWIO";
    bool flipped = context->theano || (context->turned && !context->tensorflow);
    snprintf(text, size, "%s, kernels %s%s, %s%d", layout, axes, flipped ? " (Theano's, flipped)" : "",
             context->bfloat16 ? "bfloat" : "float", context->bits);
}
