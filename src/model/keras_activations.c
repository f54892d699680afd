#include "keras_operations.h"

#include <math.h>
#include <string.h>

/* Functions without parameters, and the parameters that their names stand for. */
static const struct {
    const char *name;
    enum graph_function function;
    float parameter[3];
} named[] = {
    {"relu", GRAPH_RELU, {INFINITY, 0, 0}},
    {"relu6", GRAPH_RELU, {6, 0, 0}},
    {"leaky_relu", GRAPH_RELU, {INFINITY, 0.2f, 0}},
    {"elu", GRAPH_ELU, {1, 0, 0}},
    {"selu", GRAPH_SELU, {0}},
    {"swish", GRAPH_SWISH, {0}},
    {"silu", GRAPH_SWISH, {0}},
    {"gelu", GRAPH_GELU, {0}},
    {"sigmoid", GRAPH_SIGMOID, {0}},
    {"hard_sigmoid", GRAPH_HARD_SIGMOID, {0.2f, 0, 0}},
    {"tanh", GRAPH_TANH, {0}},
    {"softplus", GRAPH_SOFTPLUS, {0}},
    {"softsign", GRAPH_SOFTSIGN, {0}},
    {"exponential", GRAPH_EXPONENTIAL, {0}},
    {"softmax", GRAPH_SOFTMAX, {0}},
};

static int append(struct keras_context *context, const struct keras_use *use, int input, enum graph_function function,
                  const float parameter[3], struct error *error) {
    struct graph_node node = {.operation = GRAPH_ACTIVATION, .function = function};
    memcpy(node.parameter, parameter, sizeof node.parameter);
    node.weights = node.bias = GRAPH_NOTHING;
    return keras_node_append(context, use, &node, &input, 1, error);
}

static int append_named(struct keras_context *context, const struct keras_use *use, int input, const char *name,
                        struct error *error) {
    if (!strcmp(name, "linear"))
        return input;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        float parameter[3];
        memcpy(parameter, named[i].parameter, sizeof parameter);
        if (strcmp(name, named[i].name))
            continue;
        if (named[i].function == GRAPH_HARD_SIGMOID && context->version3)
            parameter[0] = (float)(1.0 / 6);
        return append(context, use, input, named[i].function, parameter, error);
    }
    return KERAS_UNKNOWN;
}

/* --- Layers ------------------------------------------------------------------------------------------------------ */

static int append_relu(struct keras_context *context, const struct keras_use *use, int input, struct error *error) {
    double most, slope, threshold;
    if (!keras_config_number(use->layer, "max_value", INFINITY, &most) ||
        !keras_config_number(use->layer, "negative_slope", 0, &slope) ||
        !keras_config_number(use->layer, "threshold", 0, &threshold))
        return KERAS_UNKNOWN;
    return append(context, use, input, GRAPH_RELU, (float[]){(float)most, (float)slope, (float)threshold}, error);
}

static int append_leaky(struct keras_context *context, const struct keras_use *use, int input, struct error *error) {
    double slope;
    bool is_new = document_get(use->layer->config, "negative_slope");
    if (!keras_config_number(use->layer, is_new ? "negative_slope" : "alpha", 0.3, &slope))
        return KERAS_UNKNOWN;
    return append(context, use, input, GRAPH_RELU, (float[]){INFINITY, (float)slope, 0}, error);
}

static int append_thresholded(struct keras_context *context, const struct keras_use *use, int input,
                              struct error *error) {
    double theta;
    if (!keras_config_number(use->layer, "theta", 1, &theta))
        return KERAS_UNKNOWN;
    return append(context, use, input, GRAPH_RELU, (float[]){INFINITY, 0, (float)theta}, error);
}

static int append_elu(struct keras_context *context, const struct keras_use *use, int input, struct error *error) {
    double alpha;
    if (!keras_config_number(use->layer, "alpha", 1, &alpha))
        return KERAS_UNKNOWN;
    return append(context, use, input, GRAPH_ELU, (float[]){(float)alpha, 0, 0}, error);
}

static int append_softmax(struct keras_context *context, const struct keras_use *use, int input, struct error *error) {
    const struct document *axis = document_get(use->layer->config, "axis");
    int last = -1;
    if (document_is_array(axis) && document_size(axis) == 1)
        axis = document_at(axis, 0);
    if (axis && (!document_integer(axis, -1, 3, &last) || (last != -1 && last != 3)))
        return KERAS_UNKNOWN;
    return append(context, use, input, GRAPH_SOFTMAX, (float[3]){0}, error);
}

/* Slopes of shape [1][1][channels], or [height][width][channels]. */
static int append_prelu(struct keras_context *context, const struct keras_use *use, int input, struct error *error) {
    const struct keras_weight *alpha = keras_weight_find(use->layer, "alpha");
    struct graph_node node = {.operation = GRAPH_ACTIVATION, .function = GRAPH_PRELU, .bias = GRAPH_NOTHING};
    int channels = context->graph->node[input].channels;
    if (!alpha || !alpha->path[0] || context->channels_first || (alpha->array.rank != 3 && alpha->array.rank != 1))
        return KERAS_UNKNOWN;
    const size_t *extent = alpha->array.extent, last = extent[alpha->array.rank - 1];
    if (last > GRAPH_MAX_CHANNELS || (alpha->array.rank == 3 && (extent[0] > 1024 || extent[1] > 1024)))
        return KERAS_UNKNOWN;
    node.in_channels = (int)last;
    node.kernel[0] = alpha->array.rank == 3 ? (int)extent[0] : 1;
    node.kernel[1] = alpha->array.rank == 3 ? (int)extent[1] : 1;
    node.full = node.kernel[0] > 1 || node.kernel[1] > 1;
    if (channels && (node.in_channels != channels || node.kernel[0] < 1 || node.kernel[1] < 1))
        return KERAS_UNKNOWN;
    size_t count = (size_t)node.kernel[0] * node.kernel[1] * node.in_channels;
    node.weights = keras_reserve(context, use->layer, count, error);
    if (node.weights == GRAPH_NOTHING ||
        keras_values_read(context, use->layer, "alpha", count, context->graph->values + node.weights, error) ||
        keras_check_finite(hdf5_file_path(context->file), use->layer->name, alpha->array.bits,
                           context->graph->values + node.weights, count, error))
        return KERAS_FAILED;
    return keras_node_append(context, use, &node, &input, 1, error);
}

static const struct {
    const char *class_name;
    int (*append)(struct keras_context *context, const struct keras_use *use, int input, struct error *error);
} layers[] = {
    {"ReLU", append_relu}, {"LeakyReLU", append_leaky}, {"ThresholdedReLU", append_thresholded},
    {"ELU", append_elu},   {"Softmax", append_softmax}, {"PReLU", append_prelu},
};

static int append_layer(struct keras_context *context, const struct keras_use *use, const char *class_name, int input,
                        struct error *error) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(class_name, layers[i].class_name))
            return layers[i].append(context, use, input, error);
    return KERAS_UNKNOWN;
}

/* --- The module -------------------------------------------------------------------------------------------------- */

/* A name; a function {"class_name": "function", "config": "relu6"}; or a whole layer, {"class_name": "ReLU", "config":
 * ...}. */
int keras_activation_append(struct keras_context *context, const struct keras_use *use, int input,
                            const struct document *activation, struct error *error) {
    const char *name = document_text(activation), *class_name = document_text(document_get(activation, "class_name"));
    const struct document *config = document_get(activation, "config");
    if (document_is_null(activation))
        return input;
    if (!name && class_name && !strcmp(class_name, "function"))
        name = document_text(config);
    if (name)
        return append_named(context, use, input, name, error);
    if (!class_name || !strcmp(class_name, "PReLU"))
        return KERAS_UNKNOWN;
    struct keras_layer layer = {.name = use->layer->name, .class_name = class_name, .config = config};
    struct keras_use inner = *use;
    inner.layer = &layer;
    return append_layer(context, &inner, class_name, input, error);
}

bool keras_class_is_activation(const char *class_name) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(class_name, layers[i].class_name))
            return true;
    return !strcmp(class_name, "Activation");
}

int keras_activation_layer_append(struct keras_context *context, const struct keras_use *use, struct error *error) {
    if (use->inputs != 1)
        return KERAS_UNKNOWN;
    if (!strcmp(use->layer->class_name, "Activation"))
        return keras_activation_append(context, use, use->input[0], document_get(use->layer->config, "activation"),
                                       error);
    return append_layer(context, use, use->layer->class_name, use->input[0], error);
}
