#include "keras_operations.h"

#include <stdio.h>
#include <string.h>

typedef int append_layer(struct keras_context *context, const struct keras_use *use, struct error *error);

static int own_activation(struct keras_context *context, const struct keras_use *use, int node, struct error *error) {
    return keras_activation_append(context, use, node, document_get(use->layer->config, "activation"), error);
}

/* --- Windows ----------------------------------------------------------------------------------------------------- */

/* "same" or "valid", under the names of Keras 2 and 1. */
static bool read_padding(const struct keras_layer *layer, bool *same) {
    const char *padding = document_text(document_get(layer->config, "padding"));
    if (!padding)
        padding = document_text(document_get(layer->config, "border_mode"));
    *same = padding && !strcmp(padding, "same");
    return !padding || *same || !strcmp(padding, "valid");
}

static bool read_kernel_extents(const struct keras_layer *layer, int kernel[2]) {
    if (document_get(layer->config, "kernel_size"))
        return keras_config_pair(layer, "kernel_size", 1, 0, kernel);
    return document_integer(document_get(layer->config, "nb_row"), 1, 1024, &kernel[0]) &&
           document_integer(document_get(layer->config, "nb_col"), 1, 1024, &kernel[1]);
}

/* Kernel, stride, dilation, padding of a convolution. */
static bool read_window(const struct keras_layer *layer, struct graph_node *node) {
    const struct document *config = layer->config;
    return read_kernel_extents(layer, node->kernel) &&
           keras_config_pair(layer, document_get(config, "strides") ? "strides" : "subsample", 1, 1, node->stride) &&
           keras_config_pair(layer, document_get(config, "dilation_rate") ? "dilation_rate" : "atrous_rate", 1, 1,
                             node->dilation) &&
           read_padding(layer, &node->same);
}

static bool read_count(const struct keras_layer *layer, const char *name, const char *old_name, int *count) {
    const struct document *value = document_get(layer->config, name);
    return document_integer(value ? value : document_get(layer->config, old_name), 1, 10 * GRAPH_MAX_CHANNELS, count);
}

/* --- Convolutions ------------------------------------------------------------------------------------------------ */

static int append_convolution(struct keras_context *context, const struct keras_use *use, struct error *error) {
    struct graph_node node = {
        .operation = GRAPH_CONVOLUTION, .groups = 1, .in_channels = keras_in_channels(context, use)};
    const struct document *groups = document_get(use->layer->config, "groups");
    if (!read_window(use->layer, &node) || !read_count(use->layer, "filters", "nb_filter", &node.channels) ||
        (groups && !document_integer(groups, 1, GRAPH_MAX_CHANNELS, &node.groups)) || node.in_channels < 1 ||
        node.in_channels % node.groups || node.channels % node.groups)
        return KERAS_UNKNOWN;
    struct keras_kernel kernel = {
        "kernel", 4, {node.kernel[0], node.kernel[1], node.in_channels / node.groups, node.channels}, node.channels};
    if (keras_kernel_read(context, use->layer, &kernel, &node, error))
        return KERAS_FAILED;
    int n = keras_node_append(context, use, &node, use->input, 1, error);
    return n < 0 ? n : own_activation(context, use, n, error);
}

static int append_depthwise_part(struct keras_context *context, const struct keras_use *use, int biases_each,
                                 struct error *error) {
    struct graph_node node = {
        .operation = GRAPH_DEPTHWISE, .groups = 1, .in_channels = keras_in_channels(context, use)};
    const struct document *given = document_get(use->layer->config, "depth_multiplier");
    int multiplier = 1;
    if (!read_window(use->layer, &node) || node.in_channels < 1 ||
        (given && !document_integer(given, 1, 1024, &multiplier)))
        return KERAS_UNKNOWN;
    node.channels = node.in_channels * multiplier;
    struct keras_kernel kernel = {"depthwise_kernel",
                                  4,
                                  {node.kernel[0], node.kernel[1], node.in_channels, multiplier},
                                  biases_each * node.channels};
    if (keras_kernel_read(context, use->layer, &kernel, &node, error))
        return KERAS_FAILED;
    return keras_node_append(context, use, &node, use->input, 1, error);
}

static int append_depthwise(struct keras_context *context, const struct keras_use *use, struct error *error) {
    int n = append_depthwise_part(context, use, 1, error);
    return n < 0 ? n : own_activation(context, use, n, error);
}

static int append_separable(struct keras_context *context, const struct keras_use *use, struct error *error) {
    int depthwise = append_depthwise_part(context, use, 0, error);
    if (depthwise < 0)
        return depthwise;
    struct graph_node node = {.operation = GRAPH_CONVOLUTION,
                              .groups = 1,
                              .in_channels = context->graph->node[depthwise].channels,
                              .kernel = {1, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1}};
    if (!read_count(use->layer, "filters", "nb_filter", &node.channels))
        return KERAS_UNKNOWN;
    struct keras_kernel kernel = {"pointwise_kernel", 4, {1, 1, node.in_channels, node.channels}, node.channels};
    if (keras_kernel_read(context, use->layer, &kernel, &node, error))
        return KERAS_FAILED;
    int n = keras_node_append(context, use, &node, &depthwise, 1, error);
    return n < 0 ? n : own_activation(context, use, n, error);
}

static int append_transposed(struct keras_context *context, const struct keras_use *use, struct error *error) {
    struct graph_node node = {
        .operation = GRAPH_TRANSPOSED, .groups = 1, .in_channels = keras_in_channels(context, use)};
    if (!read_window(use->layer, &node) || !read_count(use->layer, "filters", "nb_filter", &node.channels) ||
        !document_is_null(document_get(use->layer->config, "output_padding")) || node.in_channels < 1)
        return KERAS_UNKNOWN;
    struct keras_kernel kernel = {
        "kernel", 4, {node.kernel[0], node.kernel[1], node.channels, node.in_channels}, node.channels};
    if (keras_kernel_read(context, use->layer, &kernel, &node, error))
        return KERAS_FAILED;
    int n = keras_node_append(context, use, &node, use->input, 1, error);
    return n < 0 ? n : own_activation(context, use, n, error);
}

/* Behind a flattened map the kernel alone says how many channels come. */
static int append_dense(struct keras_context *context, const struct keras_use *use, struct error *error) {
    struct graph_node node = {.operation = GRAPH_DENSE, .in_channels = keras_in_channels(context, use)};
    const struct keras_weight *weight = keras_weight_find(use->layer, "kernel");
    if (!read_count(use->layer, "units", "output_dim", &node.channels))
        return KERAS_UNKNOWN;
    if (!node.in_channels && weight && weight->array.rank == 2 && weight->array.extent[0] <= GRAPH_MAX_EXTENT)
        node.in_channels = (int)weight->array.extent[0];
    struct keras_kernel kernel = {"kernel", 2, {node.in_channels, node.channels}, node.channels};
    if (keras_kernel_read(context, use->layer, &kernel, &node, error))
        return KERAS_FAILED;
    int n = keras_node_append(context, use, &node, use->input, 1, error);
    return n < 0 ? n : own_activation(context, use, n, error);
}

/* --- Pooling and sizes ------------------------------------------------------------------------------------------- */

static int append_pooling(struct keras_context *context, const struct keras_use *use, struct error *error) {
    bool most = strstr(use->layer->class_name, "Max");
    struct graph_node node = {.operation = most ? GRAPH_MAX_POOLING : GRAPH_AVERAGE_POOLING,
                              .dilation = {1, 1},
                              .weights = GRAPH_NOTHING,
                              .bias = GRAPH_NOTHING};
    const struct keras_layer *layer = use->layer;
    if (!keras_config_pair(layer, "pool_size", 1, 2, node.kernel) || !read_padding(layer, &node.same))
        return KERAS_UNKNOWN;
    if (document_is_null(document_get(layer->config, "strides")))
        memcpy(node.stride, node.kernel, sizeof node.stride);
    else if (!keras_config_pair(layer, "strides", 1, 2, node.stride))
        return KERAS_UNKNOWN;
    return keras_node_append(context, use, &node, use->input, 1, error);
}

static int append_plain(struct keras_context *context, const struct keras_use *use, enum graph_operation operation,
                        struct error *error) {
    struct graph_node node = {.operation = operation, .weights = GRAPH_NOTHING, .bias = GRAPH_NOTHING};
    return keras_node_append(context, use, &node, use->input, use->inputs, error);
}

static int append_global(struct keras_context *context, const struct keras_use *use, struct error *error) {
    bool most = strstr(use->layer->class_name, "Max");
    if (keras_is_vector(context->graph, use->input[0]))
        return KERAS_UNKNOWN;
    return append_plain(context, use, most ? GRAPH_GLOBAL_MAX : GRAPH_GLOBAL_AVERAGE, error);
}

/* 1, [1, 2] or [[1, 1], [2, 2]]; Keras 1 also [1, 1, 2, 2] */
static bool read_border(const struct document *value, int border[4]) {
    enum { MOST = 1 << 16 };
    if (document_integer(value, 0, MOST, &border[0])) {
        border[1] = border[2] = border[3] = border[0];
        return true;
    }
    if (document_size(value) == 4) {
        for (int i = 0; i < 4; i++)
            if (!document_integer(document_at(value, i), 0, MOST, &border[i]))
                return false;
        return true;
    }
    for (int i = 0; i < 2; i++) {
        const struct document *side = document_at(value, i);
        bool alone = document_integer(side, 0, MOST, &border[2 * i]);
        border[2 * i + 1] = border[2 * i];
        if (!alone && (document_size(side) != 2 || !document_integer(document_at(side, 0), 0, MOST, &border[2 * i]) ||
                       !document_integer(document_at(side, 1), 0, MOST, &border[2 * i + 1])))
            return false;
    }
    return document_size(value) == 2;
}

static int append_border(struct keras_context *context, const struct keras_use *use, struct error *error) {
    bool pads = !strcmp(use->layer->class_name, "ZeroPadding2D");
    struct graph_node node = {
        .operation = pads ? GRAPH_PAD : GRAPH_CROP, .weights = GRAPH_NOTHING, .bias = GRAPH_NOTHING};
    if (!read_border(document_get(use->layer->config, pads ? "padding" : "cropping"), node.border))
        return KERAS_UNKNOWN;
    return keras_node_append(context, use, &node, use->input, 1, error);
}

static int append_upsampling(struct keras_context *context, const struct keras_use *use, struct error *error) {
    struct graph_node node = {.operation = GRAPH_UPSAMPLE, .weights = GRAPH_NOTHING, .bias = GRAPH_NOTHING};
    const char *interpolation = document_text(document_get(use->layer->config, "interpolation"));
    node.bilinear = interpolation && !strcmp(interpolation, "bilinear");
    if (!keras_config_pair(use->layer, "size", 1, 2, node.stride) ||
        (interpolation && !node.bilinear && strcmp(interpolation, "nearest")))
        return KERAS_UNKNOWN;
    return keras_node_append(context, use, &node, use->input, 1, error);
}

/* --- Joins ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *class_name, *mode; /* of Keras 1's Merge */
    enum graph_operation operation;
} joins[] = {
    {"Add", "sum", GRAPH_ADD},           {"Subtract", "none", GRAPH_SUBTRACT},
    {"Multiply", "mul", GRAPH_MULTIPLY}, {"Average", "ave", GRAPH_AVERAGE},
    {"Maximum", "max", GRAPH_MAXIMUM},   {"Concatenate", "concat", GRAPH_CONCATENATE},
};

static int append_join(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct document *config = use->layer->config;
    const char *mode = document_text(document_get(config, "mode"));
    bool old = !strcmp(use->layer->class_name, "Merge");
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        if (old ? !mode || strcmp(mode, joins[i].mode) : strcmp(use->layer->class_name, joins[i].class_name))
            continue;
        enum graph_operation operation = joins[i].operation;
        const struct document *axis = document_get(config, old ? "concat_axis" : "axis");
        if (use->inputs < 2 || (operation == GRAPH_SUBTRACT && use->inputs != 2) ||
            (operation == GRAPH_CONCATENATE && !keras_is_channel_axis(context, axis, use->input[0])))
            return KERAS_UNKNOWN;
        return append_plain(context, use, operation, error);
    }
    return KERAS_UNKNOWN;
}

/* --- Shapes ------------------------------------------------------------------------------------------------------ */

static int append_flatten(struct keras_context *context, const struct keras_use *use, struct error *error) {
    if (keras_is_vector(context->graph, use->input[0]))
        return use->input[0];
    if (context->without_top || context->channels_first)
        return KERAS_UNKNOWN;
    return append_plain(context, use, GRAPH_FLATTEN, error);
}

/* A vector may be called [1, 1, channels] and back: that changes nothing. */
static int append_reshape(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct document *shape = document_get(use->layer->config, "target_shape");
    size_t size = document_size(shape);
    int channels = keras_in_channels(context, use), extent;
    (void)error;
    for (size_t i = 0; i + 1 < size; i++)
        if (!document_integer(document_at(shape, i), 1, 1, &extent))
            return KERAS_UNKNOWN;
    if ((size != 1 && size != 3) || channels < 1 ||
        !document_integer(document_at(shape, size - 1), -1, 1 << 24, &extent))
        return KERAS_UNKNOWN;
    return extent == channels || (extent == -1 && keras_is_vector(context->graph, use->input[0])) ? use->input[0]
                                                                                                  : KERAS_UNKNOWN;
}

static int append_nothing(struct keras_context *context, const struct keras_use *use, struct error *error) {
    (void)context, (void)error;
    return use->input[0];
}

/* --- The classes ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *class_name;
    append_layer *append;
    bool convolution, joins;
} classes[] = {
    {"Conv2D", append_convolution, true, false},
    {"Convolution2D", append_convolution, true, false},
    {"AtrousConvolution2D", append_convolution, true, false},
    {"DepthwiseConv2D", append_depthwise, true, false},
    {"SeparableConv2D", append_separable, true, false},
    {"SeparableConvolution2D", append_separable, true, false},
    {"Conv2DTranspose", append_transposed, true, false},
    {"Dense", append_dense, false, false},
    {"BatchNormalization", keras_batch_normalisation_append, false, false},
    {"Rescaling", keras_rescaling_append, false, false},
    {"Normalization", keras_normalisation_append, false, false},
    {"MaxPooling2D", append_pooling, false, false},
    {"AveragePooling2D", append_pooling, false, false},
    {"GlobalMaxPooling2D", append_global, false, false},
    {"GlobalAveragePooling2D", append_global, false, false},
    {"ZeroPadding2D", append_border, false, false},
    {"Cropping2D", append_border, false, false},
    {"UpSampling2D", append_upsampling, false, false},
    {"Add", append_join, false, true},
    {"Subtract", append_join, false, true},
    {"Multiply", append_join, false, true},
    {"Average", append_join, false, true},
    {"Maximum", append_join, false, true},
    {"Concatenate", append_join, false, true},
    {"Merge", append_join, false, true},
    {"Flatten", append_flatten, false, false},
    {"Reshape", append_reshape, false, false},
    {"Dropout", append_nothing, false, false},
    {"SpatialDropout2D", append_nothing, false, false},
    {"AlphaDropout", append_nothing, false, false},
    {"GaussianDropout", append_nothing, false, false},
    {"GaussianNoise", append_nothing, false, false},
    {"ActivityRegularization", append_nothing, false, false},
    {"RandomFlip", append_nothing, false, false},
    {"RandomRotation", append_nothing, false, false},
    {"RandomZoom", append_nothing, false, false},
    {"RandomTranslation", append_nothing, false, false},
    {"RandomContrast", append_nothing, false, false},
    {"RandomBrightness", append_nothing, false, false},
};
enum { CLASSES = sizeof classes / sizeof *classes };

bool keras_class_is_convolution(const char *class_name) {
    for (int i = 0; i < CLASSES; i++)
        if (!strcmp(class_name, classes[i].class_name))
            return classes[i].convolution;
    return false;
}

int keras_operation_append(struct keras_context *context, const struct keras_use *use, struct error *error) {
    const struct keras_layer *layer = use->layer;
    if (layer->is_operation || use->inputs < 1)
        return KERAS_UNKNOWN;
    if (keras_class_is_activation(layer->class_name))
        return keras_activation_layer_append(context, use, error);
    for (int i = 0; i < CLASSES; i++)
        if (!strcmp(layer->class_name, classes[i].class_name))
            return classes[i].joins || use->inputs == 1 ? classes[i].append(context, use, error) : KERAS_UNKNOWN;
    return KERAS_UNKNOWN;
}
