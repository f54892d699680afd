#include "keras_operations.h"

#include <math.h>
#include <stdlib.h>

int keras_in_channels(const struct keras_context *context, const struct keras_use *use) {
    return context->graph->node[use->input[0]].channels;
}

/* A vector: what global pooling, flattening or a dense layer behind them gives. */
bool keras_is_vector(const struct graph *graph, int n) {
    while (graph->node[n].operation == GRAPH_DENSE || graph->node[n].operation == GRAPH_AFFINE ||
           graph->node[n].operation == GRAPH_ACTIVATION)
        n = graph_input(graph, n, 0);
    return graph->node[n].operation == GRAPH_GLOBAL_AVERAGE || graph->node[n].operation == GRAPH_GLOBAL_MAX ||
           graph->node[n].operation == GRAPH_FLATTEN;
}

/* Whether an axis, a number or a list of one, is the channels'. */
bool keras_is_channel_axis(const struct keras_context *context, const struct document *axis, int input) {
    int number;
    if (document_is_array(axis) && document_size(axis) == 1)
        axis = document_at(axis, 0);
    if (!document_integer(axis, -1, 3, &number))
        return !axis;
    bool first = context->channels_first || keras_is_vector(context->graph, input);
    return number == -1 || number == (first ? 1 : 3) || (number == 3 && context->channels_first);
}

/* Makes an affine node's place for `channels` weights and as many biases. */
static int reserve_affine(struct keras_context *context, const struct keras_use *use, int channels,
                          struct graph_node *node, struct error *error) {
    *node = (struct graph_node){.operation = GRAPH_AFFINE, .in_channels = channels};
    node->weights = keras_reserve(context, use->layer, 2 * (size_t)channels, error);
    node->bias = node->weights + channels;
    return node->weights == GRAPH_NOTHING ? error->status : STATUS_OK;
}

/* Channels of the input, or of a weight where the input is a flattened map. */
static int affine_channels(const struct keras_context *context, const struct keras_use *use, const char *label) {
    int channels = keras_in_channels(context, use);
    const struct keras_weight *weight = keras_weight_find(use->layer, label);
    if (!channels && weight && weight->path[0] && weight->array.rank == 1 &&
        weight->array.extent[0] <= GRAPH_MAX_EXTENT)
        channels = (int)weight->array.extent[0];
    return channels;
}

static int read_optional(const struct keras_context *context, const struct keras_use *use, const char *label,
                         float otherwise, int channels, float *values, struct error *error) {
    for (int c = 0; c < channels; c++)
        values[c] = otherwise;
    return keras_weight_find(use->layer, label) ? keras_values_read(context, use->layer, label, channels, values, error)
                                                : STATUS_OK;
}

/* gamma * (x - mean) / sqrt(variance + epsilon) + beta */
static int read_batch_normalisation(const struct keras_context *context, const struct keras_use *use, int channels,
                                    double epsilon, float *weights, float *bias, struct error *error) {
    float *statistics = malloc(2 * (size_t)channels * sizeof *statistics), *variance = statistics + channels;
    if (!statistics)
        return error_memory(error, 2.0 * channels * sizeof *statistics, "a normalisation");
    int status = read_optional(context, use, "gamma", 1, channels, weights, error);
    status = status ? status : read_optional(context, use, "beta", 0, channels, bias, error);
    status = status ? status : keras_values_read(context, use->layer, "moving_mean", channels, statistics, error);
    status = status ? status : keras_values_read(context, use->layer, "moving_variance", channels, variance, error);
    for (int c = 0; !status && c < channels; c++) {
        double scale = weights[c] / sqrt(variance[c] + epsilon);
        weights[c] = (float)scale;
        bias[c] = (float)(bias[c] - scale * statistics[c]);
    }
    free(statistics);
    return status;
}

static int finish_affine(struct keras_context *context, const struct keras_use *use, struct graph_node *node,
                         struct error *error) {
    if (keras_check_finite(hdf5_file_path(context->file), use->layer->name, 32, context->graph->values + node->weights,
                           2 * (size_t)node->in_channels, error))
        return KERAS_FAILED;
    return keras_node_append(context, use, node, use->input, 1, error);
}

int keras_batch_normalisation_append(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct document *config = use->layer->config;
    struct graph_node node;
    int mode = 0, channels = affine_channels(context, use, "moving_mean");
    double epsilon;
    document_integer(document_get(config, "mode"), 0, 2, &mode);
    if (!keras_config_number(use->layer, "epsilon", 1e-3, &epsilon) || channels < 1 || mode != 0 ||
        !keras_is_channel_axis(context, document_get(config, "axis"), use->input[0]))
        return KERAS_UNKNOWN;
    if (reserve_affine(context, use, channels, &node, error) ||
        read_batch_normalisation(context, use, channels, epsilon, context->graph->values + node.weights,
                                 context->graph->values + node.bias, error))
        return KERAS_FAILED;
    return finish_affine(context, use, &node, error);
}

/* A number for all channels, or a list of one for each, also in brackets, [[[a, b, c]]]. */
static bool read_numbers(const struct document *value, double otherwise, int channels, float *values) {
    double number = otherwise;
    for (int depth = 0; depth < 4 && document_size(value) == 1; depth++)
        value = document_at(value, 0);
    bool list = document_is_array(value);
    if (list ? document_size(value) != (size_t)channels : !document_is_null(value) && !document_number(value, &number))
        return false;
    for (int c = 0; c < channels; c++) {
        if (list && !document_number(document_at(value, c), &number))
            return false;
        values[c] = (float)number;
    }
    return true;
}

int keras_rescaling_append(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct document *config = use->layer->config;
    struct graph_node node;
    int channels = keras_in_channels(context, use);
    if (channels < 1)
        return KERAS_UNKNOWN;
    if (reserve_affine(context, use, channels, &node, error))
        return KERAS_FAILED;
    if (!read_numbers(document_get(config, "scale"), 1, channels, context->graph->values + node.weights) ||
        !read_numbers(document_get(config, "offset"), 0, channels, context->graph->values + node.bias))
        return KERAS_UNKNOWN;
    return finish_affine(context, use, &node, error);
}

/* One number for all channels, or one for each. */
static int read_statistic(const struct keras_context *context, const struct keras_use *use, const char *label,
                          int channels, float *values, struct error *error) {
    const struct keras_weight *weight = keras_weight_find(use->layer, label);
    size_t count = 1;
    for (int i = 0; weight && i < weight->array.rank && i < HDF5_MAX_RANK; i++)
        count *= weight->array.extent[i];
    if (count != 1)
        return keras_values_read(context, use->layer, label, channels, values, error);
    if (keras_values_read(context, use->layer, label, 1, values, error))
        return error->status;
    for (int c = 1; c < channels; c++)
        values[c] = values[0];
    return STATUS_OK;
}

/* (x - mean) / max(sqrt(variance), 1e-7) */
int keras_normalisation_append(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct document *config = use->layer->config, *mean = document_get(config, "mean");
    struct graph_node node;
    int channels = affine_channels(context, use, "mean");
    if (channels < 1 || document_bool(document_get(config, "invert"), false) ||
        !keras_is_channel_axis(context, document_get(config, "axis"), use->input[0]))
        return KERAS_UNKNOWN;
    if (reserve_affine(context, use, channels, &node, error))
        return KERAS_FAILED;
    float *weights = context->graph->values + node.weights, *bias = context->graph->values + node.bias;
    if (!document_is_null(mean)) {
        if (!read_numbers(mean, 0, channels, bias) ||
            !read_numbers(document_get(config, "variance"), 1, channels, weights))
            return KERAS_UNKNOWN;
    } else if (read_statistic(context, use, "mean", channels, bias, error) ||
               read_statistic(context, use, "variance", channels, weights, error)) {
        return KERAS_FAILED;
    }
    for (int c = 0; c < channels; c++) {
        double scale = 1 / fmax(sqrt(weights[c]), 1e-7);
        weights[c] = (float)scale;
        bias[c] = (float)(-bias[c] * scale);
    }
    return finish_affine(context, use, &node, error);
}
