#include "keras_model.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TENSOR_DEPTH = 8 };

/* While one model is read. */
struct reading {
    struct keras_model *model;
    int *by_name; /* [layers], sorted for searches */
    int depth;    /* models above this one */
    int *total;   /* layers of all models */
};

static int read_model(const struct document *entry, int depth, int *total, bool trains, struct keras_model **model,
                      struct error *error);

static int refuse(struct error *error, const char *what, const char *name) {
    return error_set(error, STATUS_USAGE, "%s%s%.100s", what, *name ? " " : "", name);
}

/* --- Growing arrays ---------------------------------------------------------------------------------------------- */

static int append_tensor(struct keras_model *model, struct keras_tensor tensor, struct error *error) {
    if ((model->tensors & (model->tensors - 1)) == 0) {
        size_t count = model->tensors ? 2 * (size_t)model->tensors : 1;
        struct keras_tensor *larger = realloc(model->tensor, count * sizeof *larger);
        if (!larger)
            return error_memory(error, (double)count * sizeof *larger, "the model's description");
        model->tensor = larger;
    }
    model->tensor[model->tensors++] = tensor;
    return STATUS_OK;
}

static int append_call(struct keras_model *model, struct error *error) {
    if ((model->calls & (model->calls - 1)) == 0) {
        size_t count = model->calls ? 2 * (size_t)model->calls : 1;
        struct keras_call *larger = realloc(model->call, count * sizeof *larger);
        if (!larger)
            return error_memory(error, (double)count * sizeof *larger, "the model's description");
        model->call = larger;
    }
    model->call[model->calls++] = (struct keras_call){.first = model->tensors};
    return STATUS_OK;
}

/* --- Names ------------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b, void *context) {
    const struct keras_model *model = context;
    return strcmp(model->layer[*(const int *)a].name, model->layer[*(const int *)b].name);
}

static int sort_names(struct reading *reading, struct error *error) {
    struct keras_model *model = reading->model;
    reading->by_name = malloc((model->layers + 1) * sizeof *reading->by_name);
    if (!reading->by_name)
        return error_memory(error, (double)model->layers * sizeof *reading->by_name, "the model's description");
    for (int l = 0; l < model->layers; l++)
        reading->by_name[l] = l;
    qsort_r(reading->by_name, model->layers, sizeof *reading->by_name, compare_names, model);
    for (int l = 1; l < model->layers; l++)
        if (!compare_names(&reading->by_name[l - 1], &reading->by_name[l], model))
            return refuse(error, "its description has two layers of the name", model->layer[reading->by_name[l]].name);
    return STATUS_OK;
}

static int find_layer(const struct reading *reading, const char *name) {
    int low = 0, high = reading->model->layers - 1;
    while (low <= high) {
        int middle = (low + high) / 2, order = strcmp(name, reading->model->layer[reading->by_name[middle]].name);
        if (!order)
            return reading->by_name[middle];
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}

/* --- Tensors ----------------------------------------------------------------------------------------------------- */

/* ["name", call, output, ...] */
static int read_tensor(const struct reading *reading, const struct document *list, struct keras_tensor *tensor,
                       struct error *error) {
    const char *name = document_text(document_at(list, 0));
    *tensor = (struct keras_tensor){-1, 0, 0};
    if (!name || !document_integer(document_at(list, 1), 0, KERAS_MAX_LAYERS, &tensor->call) ||
        !document_integer(document_at(list, 2), 0, KERAS_MAX_LAYERS, &tensor->output))
        return refuse(error, "its description has an input that names no layer", "");
    tensor->layer = find_layer(reading, name);
    if (tensor->layer < 0)
        return refuse(error, "its description has a layer that reads what isn't there:", name);
    return STATUS_OK;
}

static bool names_tensor(const struct document *value) {
    return document_text(document_at(value, 0)) && !document_is_null(document_at(value, 1)) &&
           !document_text(document_at(value, 1));
}

static int add_tensor(const struct reading *reading, const struct document *list, struct error *error) {
    struct keras_tensor tensor;
    struct keras_model *model = reading->model;
    if (read_tensor(reading, list, &tensor, error) || append_tensor(model, tensor, error))
        return error->status;
    model->call[model->calls - 1].count++;
    return STATUS_OK;
}

/* Keras 1 and 2: [["a", 0, 0, {}], ["b", 0, 0, {}]], or one of these alone. */
static int read_listed_tensors(const struct reading *reading, const struct document *node, struct error *error) {
    if (names_tensor(node))
        return add_tensor(reading, node, error);
    for (size_t i = 0; i < document_size(node); i++)
        if (add_tensor(reading, document_at(node, i), error))
            return error->status;
    return STATUS_OK;
}

/* Keras 3: tensors anywhere in the arguments, in their order. */
static int find_tensors(const struct reading *reading, const struct document *value, int depth, struct error *error) {
    const char *class_name = document_text(document_get(value, "class_name"));
    struct keras_call *call = &reading->model->call[reading->model->calls - 1];
    if (depth > MAX_TENSOR_DEPTH)
        return refuse(error, "its description has inputs in too many brackets", "");
    if (class_name && !strcmp(class_name, "__keras_tensor__"))
        return add_tensor(reading, document_get(document_get(value, "config"), "keras_history"), error);
    if (document_is_constant(value))
        call->strange = true;
    if (document_is_array(value))
        for (size_t i = 0; i < document_size(value); i++)
            if (find_tensors(reading, document_at(value, i), depth + 1, error))
                return error->status;
    return STATUS_OK;
}

/* Tensors given by name are nothing that a layer known here takes. */
static void look_at_names(const struct reading *reading, const struct document *names) {
    struct keras_call *call = &reading->model->call[reading->model->calls - 1];
    for (size_t i = 0; i < document_size(names) && i < 64; i++)
        call->strange |= document_is_object(document_value(names, i));
}

static int read_call(const struct reading *reading, const struct document *node, struct error *error) {
    if (append_call(reading->model, error))
        return error->status;
    if (!document_is_object(node))
        return read_listed_tensors(reading, node, error);
    look_at_names(reading, document_get(node, "kwargs"));
    return find_tensors(reading, document_get(node, "args"), 0, error);
}

static int read_calls(const struct reading *reading, const struct document *entry, struct keras_layer *layer,
                      struct error *error) {
    const struct document *nodes = document_get(entry, "inbound_nodes");
    layer->first_call = reading->model->calls;
    layer->calls = (int)document_size(nodes);
    for (size_t i = 0; i < document_size(nodes); i++)
        if (read_call(reading, document_at(nodes, i), error))
            return error->status;
    return STATUS_OK;
}

/* --- Layers ------------------------------------------------------------------------------------------------------ */

static bool is_model(const char *class_name) {
    return !strcmp(class_name, "Sequential") || !strcmp(class_name, "Model") || !strcmp(class_name, "Functional");
}

static int read_layer(const struct reading *reading, const struct document *entry, bool trains,
                      struct keras_layer *layer, struct error *error) {
    const struct document *config = document_get(entry, "config");
    const char *module = document_text(document_get(entry, "module"));
    layer->class_name = document_text(document_get(entry, "class_name"));
    layer->name = document_text(document_get(config, "name"));
    if (!layer->name)
        layer->name = document_text(document_get(entry, "name"));
    if (!layer->class_name || (!layer->name && !is_model(layer->class_name)))
        return refuse(error, "its description has a layer without a class or a name", "");
    if (!layer->name)
        layer->name = "sequential";
    layer->config = config;
    layer->trains = trains && document_bool(document_get(config, "trainable"), true);
    layer->is_operation = module && strstr(module, ".ops.");
    if (!is_model(layer->class_name))
        return STATUS_OK;
    return read_model(entry, reading->depth + 1, reading->total, layer->trains, &layer->model, error);
}

static int read_layers(struct reading *reading, const struct document *layers, bool trains, struct error *error) {
    struct keras_model *model = reading->model;
    size_t count = document_size(layers);
    *reading->total += count > KERAS_MAX_LAYERS ? KERAS_MAX_LAYERS : (int)count;
    if (count == 0 || *reading->total >= KERAS_MAX_LAYERS)
        return refuse(error, count ? "its description has too many layers" : "its description has no layers", "");
    model->layer = calloc(count, sizeof *model->layer);
    if (!model->layer)
        return error_memory(error, (double)count * sizeof *model->layer, "the model's description");
    for (size_t i = 0; i < count; i++) {
        model->layers++;
        if (read_layer(reading, document_at(layers, i), trains, &model->layer[i], error))
            return error->status;
    }
    return STATUS_OK;
}

/* Each layer of a Sequential reads the one before it. */
static int chain_layers(struct keras_model *model, struct error *error) {
    for (int l = 0; l < model->layers; l++) {
        model->layer[l].first_call = model->calls;
        model->layer[l].calls = 1;
        if (append_call(model, error))
            return error->status;
        if (l > 0 && append_tensor(model, (struct keras_tensor){l - 1, 0, 0}, error))
            return error->status;
        model->call[l].count = l > 0;
    }
    return STATUS_OK;
}

/* [["a", 0, 0], ...] or ["a", 0, 0] */
static int read_ends(const struct reading *reading, const struct document *list, struct keras_tensor **ends, int *count,
                     struct error *error) {
    bool alone = names_tensor(list);
    size_t size = alone ? 1 : document_size(list);
    if (size > KERAS_MAX_LAYERS)
        return refuse(error, "its description has too many inputs or outputs", "");
    *ends = calloc(size + 1, sizeof **ends);
    if (!*ends)
        return error_memory(error, (double)size * sizeof **ends, "the model's description");
    for (*count = 0; *count < (int)size; ++*count)
        if (read_tensor(reading, alone ? list : document_at(list, *count), &(*ends)[*count], error))
            return error->status;
    return STATUS_OK;
}

static int read_functional(struct reading *reading, const struct document *config, struct error *error) {
    struct keras_model *model = reading->model;
    const struct document *layers = document_get(config, "layers");
    for (int l = 0; l < model->layers; l++)
        if (read_calls(reading, document_at(layers, l), &model->layer[l], error))
            return error->status;
    if (read_ends(reading, document_get(config, "input_layers"), &model->input, &model->inputs, error))
        return error->status;
    return read_ends(reading, document_get(config, "output_layers"), &model->output, &model->outputs, error);
}

static int read_sequential(struct reading *reading, struct error *error) {
    struct keras_model *model = reading->model;
    model->output = calloc(1, sizeof *model->output);
    if (!model->output)
        return error_memory(error, sizeof *model->output, "the model's description");
    model->outputs = 1;
    model->output[0].layer = model->layers - 1;
    return chain_layers(model, error);
}

static int fill_model(struct reading *reading, const struct document *entry, bool trains, struct error *error) {
    struct keras_model *model = reading->model;
    const struct document *config = document_get(entry, "config");
    const char *class_name = document_text(document_get(entry, "class_name"));
    const struct document *layers = document_is_array(config) ? config : document_get(config, "layers");
    if (!class_name || !is_model(class_name))
        return error_set(error, STATUS_USAGE, "is a %.60s, whose description doesn't tell its layers",
                         class_name ? class_name : "model without a class");
    if (reading->depth > KERAS_MAX_NESTING)
        return refuse(error, "its description has too many models within models", "");
    model->name = document_text(document_get(config, "name"));
    model->sequential = !strcmp(class_name, "Sequential");
    if (read_layers(reading, layers, trains, error) || sort_names(reading, error))
        return error->status;
    return model->sequential ? read_sequential(reading, error) : read_functional(reading, config, error);
}

static int read_model(const struct document *entry, int depth, int *total, bool trains, struct keras_model **model,
                      struct error *error) {
    *model = calloc(1, sizeof **model);
    if (!*model)
        return error_memory(error, sizeof **model, "the model's description");
    struct reading reading = {.model = *model, .depth = depth, .total = total};
    int status = fill_model(&reading, entry, trains, error);
    free(reading.by_name);
    return status;
}

/* --- The module -------------------------------------------------------------------------------------------------- */

int keras_model_read(const struct document *document, struct keras_model **model, struct error *error) {
    int total = 0, status = read_model(document, 0, &total, true, model, error);
    if (status) {
        keras_model_free(*model);
        *model = NULL;
    }
    return status;
}

void keras_model_free(struct keras_model *model) {
    if (!model)
        return;
    for (int l = 0; l < model->layers; l++)
        keras_model_free(model->layer[l].model);
    free(model->layer);
    free(model->call);
    free(model->tensor);
    free(model->input);
    free(model->output);
    free(model);
}

bool keras_model_channels_first(const struct keras_model *model) {
    for (int l = 0; l < model->layers; l++) {
        const struct keras_layer *layer = &model->layer[l];
        const char *format = document_text(document_get(layer->config, "data_format"));
        const char *ordering = document_text(document_get(layer->config, "dim_ordering"));
        if ((format && !strcmp(format, "channels_first")) || (ordering && !strcmp(ordering, "th")) ||
            (layer->model && keras_model_channels_first(layer->model)))
            return true;
    }
    return false;
}

/* [batch, height, width, channels], under the names of Keras 1 and 2 and of Keras 3 */
static const struct document *input_shape(const struct keras_model *model) {
    const struct keras_layer *first = &model->layer[model->inputs ? model->input[0].layer : 0];
    const struct document *shape = document_get(first->config, "batch_input_shape");
    if (!shape)
        shape = document_get(first->config, "batch_shape");
    return !shape && first->model ? input_shape(first->model) : shape;
}

bool keras_model_input(const struct keras_model *model, int *height, int *width, int *channels) {
    enum { MOST = 1 << 16 };
    const struct document *shape = input_shape(model);
    bool first = false;
    if (document_size(shape) != 4)
        return false;
    *height = *width = *channels = 0;
    if (keras_model_channels_first(model))
        first = document_integer(document_at(shape, 1), 1, 4, channels);
    document_integer(document_at(shape, first ? 2 : 1), 1, MOST, height);
    document_integer(document_at(shape, first ? 3 : 2), 1, MOST, width);
    return first || document_integer(document_at(shape, 3), 1, MOST, channels);
}
