#include "keras_graph.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING = -3 }; /* beside KERAS_FAILED and KERAS_UNKNOWN */

/* One model while its nodes are made. */
struct making {
    struct keras_context *context;
    const struct keras_model *model;
    const char *prefix; /* of the layers' names: "vgg16/", of the outermost "" */
    const int *input;   /* nodes that the model reads */
    int inputs;
    int *value;  /* by tensor: a node, KERAS_UNKNOWN or PENDING */
    int *offset; /* [layers] of a layer's first call in value */
};

static int make_nodes(struct keras_context *context, const struct keras_model *model, const char *prefix,
                      const int *input, int inputs, int *output, struct error *error);

/* --- Tensors ----------------------------------------------------------------------------------------------------- */

static int count_outputs(const struct keras_layer *layer) { return layer->model ? layer->model->outputs : 1; }

static int count_calls(const struct keras_layer *layer) { return layer->calls > 0 ? layer->calls : 1; }

static int prepare_values(struct making *making, struct error *error) {
    const struct keras_model *model = making->model;
    size_t total = 0;
    making->offset = calloc(model->layers + 1, sizeof *making->offset);
    for (int l = 0; making->offset && l < model->layers; l++) {
        making->offset[l] = (int)total;
        total += (size_t)count_calls(&model->layer[l]) * count_outputs(&model->layer[l]);
        if (total > 1 << 24)
            return error_set(error, STATUS_USAGE, "%s: its description has too many tensors; give a smaller model",
                             hdf5_file_path(making->context->file));
    }
    making->value = malloc((total + 1) * sizeof *making->value);
    if (!making->offset || !making->value)
        return error_memory(error, (double)total * sizeof *making->value, "the model's description");
    for (size_t i = 0; i < total; i++)
        making->value[i] = PENDING;
    return STATUS_OK;
}

/* Where a tensor's value is; NULL if there is no such output. A layer used once has its one call whatever its number: a
 * model's first counts 1 in Keras 2 and 0 in Keras 3. A model used several times isn't computed, whichever call. */
static int *find_value(const struct making *making, const struct keras_tensor *tensor) {
    const struct keras_layer *layer = &making->model->layer[tensor->layer];
    int call = count_calls(layer) == 1 || layer->model ? 0 : tensor->call;
    if (call >= count_calls(layer) || tensor->output >= count_outputs(layer))
        return NULL;
    return &making->value[making->offset[tensor->layer] + call * count_outputs(layer) + tensor->output];
}

/* --- What is left out -------------------------------------------------------------------------------------------- */

static bool holds_convolution(const struct keras_layer *layer) {
    bool holds = keras_class_is_convolution(layer->class_name);
    for (int l = 0; layer->model && l < layer->model->layers && !holds; l++)
        holds = holds_convolution(&layer->model->layer[l]);
    return holds;
}

/* The layer isn't known, or reads what isn't: so much the worse for a convolution. */
static int leave_out(const struct making *making, const struct keras_use *use, bool known_inputs, struct error *error) {
    struct graph *graph = making->context->graph;
    const char *class_name = use->layer->class_name;
    if (known_inputs && !graph->left_out[0])
        snprintf(graph->left_out, sizeof graph->left_out, "%.120s (%.40s)", use->name, class_name);
    for (int i = 0; i < use->inputs; i++)
        if (use->input[i] >= 0)
            graph->node[use->input[i]].consumers++;
    if (!holds_convolution(use->layer))
        return STATUS_OK;
    if (known_inputs && use->layer->model && use->layer->calls > 1)
        return error_set(error, STATUS_USAGE,
                         "%s: %.120s (%.40s) is a model used %d times as a layer, which is not computed here; give a "
                         "model without it",
                         hdf5_file_path(making->context->file), use->name, class_name, use->layer->calls);
    if (known_inputs)
        return error_set(error, STATUS_USAGE,
                         "%s: %.120s (%.40s) can't be computed here as it is described; give a model without it",
                         hdf5_file_path(making->context->file), use->name, class_name);
    return error_set(error, STATUS_USAGE,
                     "%s: %.170s is not computed here, and %.120s (%.40s) stands behind it; give a model without it",
                     hdf5_file_path(making->context->file), graph->left_out, use->name, class_name);
}

/* --- Layers ------------------------------------------------------------------------------------------------------ */

static int make_name(const struct making *making, const struct keras_layer *layer, int call, char *name, size_t size,
                     struct error *error) {
    char number[16] = "";
    if (call)
        snprintf(number, sizeof number, "#%d", call + 1);
    if ((size_t)snprintf(name, size, "%s%s%s", making->prefix, layer->name, number) < size) {
        for (char *c = name; *c; c++) /* what would steer a terminal stays in the file */
            *c = iscntrl((unsigned char)*c) ? '?' : *c;
        return STATUS_OK;
    }
    return error_set(error, STATUS_USAGE,
                     "%s: the name %.40s... has more than %zu letters; give the layers shorter names",
                     hdf5_file_path(making->context->file), layer->name, size - 1);
}

static int make_inner(const struct making *making, const struct keras_use *use, int *output, struct error *error) {
    char prefix[GRAPH_NAME_SIZE];
    if ((size_t)snprintf(prefix, sizeof prefix, "%s/", use->name) >= sizeof prefix)
        return error_set(error, STATUS_USAGE, "%s: the name %.40s... is too long; give the layers shorter names",
                         hdf5_file_path(making->context->file), use->name);
    return make_nodes(making->context, use->layer->model, prefix, use->input, use->inputs, output, error);
}

/* One use of a layer whose inputs are there. */
static int make_use(const struct making *making, const struct keras_use *use, bool strange, int *output,
                    struct error *error) {
    bool known = true;
    for (int i = 0; i < use->inputs; i++)
        known &= use->input[i] >= 0;
    if (use->layer->model && !strange && use->layer->calls <= 1)
        return make_inner(making, use, output, error);
    *output =
        known && !strange && !use->layer->model ? keras_operation_append(making->context, use, error) : KERAS_UNKNOWN;
    for (int o = 1; o < count_outputs(use->layer); o++)
        output[o] = KERAS_UNKNOWN;
    if (*output == KERAS_FAILED)
        return error->status;
    return *output == KERAS_UNKNOWN ? leave_out(making, use, known, error) : STATUS_OK;
}

/* Collects the nodes that a call reads; 0 if one isn't there yet, KERAS_FAILED if one can't be. */
static int collect_inputs(const struct making *making, const struct keras_call *call, int *input, struct error *error) {
    for (int i = 0; i < call->count; i++) {
        const struct keras_tensor *tensor = &making->model->tensor[call->first + i];
        const int *value = find_value(making, tensor);
        if (!value) {
            error_set(error, STATUS_USAGE,
                      "%s: its description reads an output of %.100s that isn't there; save the model again",
                      hdf5_file_path(making->context->file), making->model->layer[tensor->layer].name);
            return KERAS_FAILED;
        }
        if (*value == PENDING)
            return 0;
        input[i] = *value;
    }
    return 1;
}

/* Makes call c of layer l if its inputs are there; *made says whether. */
static int try_call(const struct making *making, int l, int c, bool *made, struct error *error) {
    const struct keras_layer *layer = &making->model->layer[l];
    const struct keras_call *call = &making->model->call[layer->first_call + c];
    char name[GRAPH_NAME_SIZE];
    struct keras_use use = {.layer = layer, .name = name, .inputs = call->count};
    int *input = malloc((call->count + 1) * sizeof *input);
    if (!input)
        return error_memory(error, call->count * sizeof *input, "the model's description");
    int ready = collect_inputs(making, call, input, error), status = ready < 0 ? error->status : STATUS_OK;
    bool reads_model = making->model->sequential && l == 0;
    use.input = reads_model ? making->input : input;
    use.inputs = reads_model ? making->inputs : call->count;
    *made = ready > 0;
    if (ready > 0 && !(status = make_name(making, layer, c, name, sizeof name, error)))
        status =
            make_use(making, &use, call->strange, making->value + making->offset[l] + c * count_outputs(layer), error);
    free(input);
    return status;
}

/* --- Models ------------------------------------------------------------------------------------------------------ */

/* What the input layers give. */
static void fill_inputs(const struct making *making) {
    const struct keras_model *model = making->model;
    for (int l = 0; l < model->layers; l++)
        if (!strcmp(model->layer[l].class_name, "InputLayer") && !(model->sequential && l > 0))
            making->value[making->offset[l]] =
                model->sequential && making->inputs == 1 ? making->input[0] : KERAS_UNKNOWN;
    for (int i = 0; i < model->inputs && i < making->inputs; i++)
        making->value[making->offset[model->input[i].layer]] = making->input[i];
}

/* All calls whose inputs are there, again and again, until nothing is left. */
static int make_layers(const struct making *making, struct error *error) {
    const struct keras_model *model = making->model;
    bool left = true, progress = true;
    while (left && progress) {
        left = progress = false;
        for (int l = 0; l < model->layers; l++)
            for (int c = 0; c < model->layer[l].calls; c++) {
                bool made = false;
                int *value = making->value + making->offset[l] + c * count_outputs(&model->layer[l]);
                if (count_outputs(&model->layer[l]) == 0 || *value != PENDING)
                    continue;
                if (try_call(making, l, c, &made, error))
                    return error->status;
                progress |= made;
                left |= !made;
            }
    }
    if (left)
        return error_set(error, STATUS_USAGE,
                         "%s: its description has layers that read each other in a circle; save the model again",
                         hdf5_file_path(making->context->file));
    return STATUS_OK;
}

static void collect_outputs(const struct making *making, int *output) {
    for (int o = 0; o < making->model->outputs; o++) {
        const int *value = find_value(making, &making->model->output[o]);
        output[o] = value && *value != PENDING ? *value : KERAS_UNKNOWN;
    }
}

static int make_nodes(struct keras_context *context, const struct keras_model *model, const char *prefix,
                      const int *input, int inputs, int *output, struct error *error) {
    struct making making = {context, model, prefix, input, inputs, NULL, NULL};
    int status = prepare_values(&making, error);
    if (!status) {
        fill_inputs(&making);
        status = make_layers(&making, error);
    }
    if (!status)
        collect_outputs(&making, output);
    free(making.value);
    free(making.offset);
    return status;
}

/* --- The network's input ----------------------------------------------------------------------------------------- */

/* The channels that the first kernel takes; 0 if there is none. */
static int find_kernel_channels(const struct keras_model *model) {
    for (int l = 0; l < model->layers; l++) {
        const struct keras_layer *layer = &model->layer[l];
        int inner = layer->model ? find_kernel_channels(layer->model) : 0;
        if (inner)
            return inner;
        if (layer->weights && layer->weight[0].array.rank == 4)
            return layer->weight[0].array.extent[2] <= GRAPH_MAX_CHANNELS ? (int)layer->weight[0].array.extent[2] : 0;
    }
    return 0;
}

static int append_input(struct keras_context *context, const struct keras_model *model, struct error *error) {
    struct graph *graph = context->graph;
    struct graph_node node = {.name = "input", .class_name = "InputLayer", .operation = GRAPH_INPUT};
    const char *path = hdf5_file_path(context->file);
    if (model->inputs > 1)
        return error_set(error, STATUS_USAGE, "%s: has %d inputs; a network of one can be drawn", path, model->inputs);
    if (!keras_model_input(model, &graph->height, &graph->width, &node.channels))
        node.channels = find_kernel_channels(model);
    if (node.channels != 1 && node.channels != 3 && node.channels != 4)
        return error_set(error, STATUS_USAGE, "%s: its input has %d channels; 1, 3 or 4 can be read", path,
                         node.channels);
    node.weights = node.bias = GRAPH_NOTHING;
    return graph_append(graph, &node, NULL, 0, error) < 0 ? error->status : STATUS_OK;
}

static bool has_layers(const struct graph *graph) {
    for (int n = 0; n < graph->nodes; n++)
        if (graph->node[n].operation == GRAPH_DENSE || keras_class_is_convolution(graph->node[n].class_name))
            return true;
    return false;
}

int keras_graph_make(struct keras_context *context, const struct keras_model *model, struct error *error) {
    static const int first = 0;
    struct graph *graph = context->graph;
    int *output = malloc((model->outputs + 1) * sizeof *output);
    if (!output)
        return error_memory(error, model->outputs * sizeof *output, "the model's description");
    snprintf(graph->name, sizeof graph->name, "%s", model->name ? model->name : "model");
    context->channels_first = keras_model_channels_first(model);
    int status = append_input(context, model, error);
    if (!status)
        status = make_nodes(context, model, "", &first, 1, output, error);
    free(output);
    if (!status && !has_layers(graph))
        status = error_set(error, STATUS_USAGE, "%s: has no convolution; give a convolutional network",
                           hdf5_file_path(context->file));
    return status ? status : graph_mark_stages(graph, error);
}
