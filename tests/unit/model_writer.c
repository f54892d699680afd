#include "model_writer.h"

#include "filteratlas/base/text.h"
#include "model/keras_weights.h"

#include <hdf5.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONVOLUTIONS = 13 };
static const int widths[CONVOLUTIONS] = {4, 4, 6, 6, 8, 8, 8, 10, 10, 10, 10, 10, 10};
static const int blocks[] = {2, 2, 3, 3, 3};

static hid_t must(hid_t result) {
    if (result < 0) {
        fprintf(stderr, "model_writer: HDF5 failed\n");
        exit(1);
    }
    return result;
}

/* --- Models ------------------------------------------------------------------------------------------------------ */

void model_add_weight(struct model_layer *layer, const char *name, int rank, const int *extent) {
    struct model_weight *weight = &layer->weight[layer->weights++];
    size_t count = 1, inputs = 1;
    uint32_t state = 1;
    snprintf(weight->name, sizeof weight->name, "%s", name);
    weight->rank = rank;
    for (int i = 0; i < rank; i++) {
        weight->extent[i] = extent[i];
        count *= extent[i];
        inputs *= i < 3 ? extent[i] : 1;
        state = state * 31 + extent[i];
    }
    weight->value = malloc(count * sizeof *weight->value);
    for (const char *c = layer->config; *c; c++)
        state = state * 33 + (unsigned char)*c;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        weight->value[i] =
            (float)((state >> 8) / 16777216.0 - (rank == 4 ? 0.5 : 0)) * (rank == 4 ? 4 / sqrtf(inputs) : 1);
    }
}

struct model_layer *sample_insert(struct sample *model, int place, const char *class_name, const char *name,
                                  const char *config) {
    struct model_layer *layer = &model->layer[place];
    if (model->layers == MODEL_MAX_LAYERS)
        must(-1);
    memmove(layer + 1, layer, (model->layers++ - place) * sizeof *layer);
    *layer = (struct model_layer){0};
    snprintf(layer->class_name, sizeof layer->class_name, "%s", class_name);
    snprintf(layer->name, sizeof layer->name, "%s", name);
    snprintf(layer->config, sizeof layer->config, "%s", config ? config : "");
    return layer;
}

static struct model_layer *append(struct sample *model, const char *class_name, const char *name, const char *config) {
    return sample_insert(model, model->layers, class_name, name, config);
}

/* What stands between, with the weights that its class has. */
static void append_between(struct sample *model, const char *class_name, const char *config, int l, int channels) {
    char name[MODEL_NAME_SIZE], weight[2 * MODEL_NAME_SIZE], snake[MODEL_NAME_SIZE - 12];
    static const char *const ends[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    keras_snake_case(class_name, snake, sizeof snake);
    snprintf(name, sizeof name, "%s_%d", snake, l);
    struct model_layer *layer = append(model, class_name, name, config);
    for (int i = 0; i < 4 && !strcmp(class_name, "BatchNormalization"); i++) {
        snprintf(weight, sizeof weight, "%s/%s:0", name, ends[i]);
        model_add_weight(layer, weight, 1, &channels);
    }
    if (!strcmp(class_name, "PReLU")) {
        snprintf(weight, sizeof weight, "%s/alpha:0", name);
        model_add_weight(layer, weight, 3, (int[]){1, 1, channels});
    }
}

static void append_convolution(struct sample *model, const struct model_recipe *recipe, int l, const char *name,
                               int *channels) {
    char config[900], kernel[2 * MODEL_NAME_SIZE], bias[2 * MODEL_NAME_SIZE];
    int width = recipe->width ? recipe->width : l < CONVOLUTIONS ? widths[l] : 10;
    int k = recipe->kernel && (!recipe->kernel_at || recipe->kernel_at == l + 1) ? recipe->kernel : 3;
    bool changed = recipe->conv_config && l >= recipe->conv_from;
    snprintf(
        config, sizeof config,
        "\"filters\":%d,\"kernel_size\":[%d,%d],\"strides\":[1,1],\"padding\":\"same\",\"activation\":\"relu\","
        "\"dilation_rate\":[1,1],\"groups\":1,\"use_bias\":true,\"data_format\":\"channels_last\",\"place\":%d%s%s",
        width, k, k, l, changed ? "," : "", changed ? recipe->conv_config : "");
    if (recipe->before_conv)
        append_between(model, recipe->before_conv, "\"padding\":[[1,1],[1,1]]", l, *channels);
    struct model_layer *layer = append(model, "Conv2D", name, config);
    /* Numbers are the same for all networks with these extents. */
    snprintf(layer->config, sizeof layer->config, "%d", l);
    snprintf(kernel, sizeof kernel, "%s/kernel:0", name);
    snprintf(bias, sizeof bias, "%s/bias:0", name);
    model_add_weight(layer, kernel, 4, (int[]){k, k, *channels, width});
    model_add_weight(layer, bias, 1, &width);
    snprintf(layer->config, sizeof layer->config, "%s", config);
    *channels = width;
}

static void name_convolution(const struct model_recipe *recipe, int block, int number, int l, char *name) {
    const char *patterns[] = {"block%d_conv%d", "conv%d_%d"};
    if (l >= CONVOLUTIONS)
        snprintf(name, MODEL_NAME_SIZE, recipe->names == MODEL_PLAIN ? "conv2d_%d" : "head_%d", l);
    else if (recipe->names == MODEL_PLAIN)
        snprintf(name, MODEL_NAME_SIZE, l ? "conv2d_%d" : "conv2d", l);
    else
        snprintf(name, MODEL_NAME_SIZE, patterns[recipe->names], block, number);
}

static void append_pooling(struct sample *model, const struct model_recipe *recipe, int block) {
    char name[MODEL_NAME_SIZE], config[256];
    snprintf(name, sizeof name, recipe->pool_name ? recipe->pool_name : "block%d_pool", block);
    snprintf(config, sizeof config, "\"pool_size\":[2,2],\"strides\":[2,2],\"padding\":\"valid\"%s%s",
             recipe->pool_config ? "," : "", recipe->pool_config ? recipe->pool_config : "");
    append(model, recipe->pool_class ? recipe->pool_class : "MaxPooling2D", name, config);
}

struct sample *sample_make(const struct model_recipe *recipe) {
    struct sample *model = calloc(1, sizeof *model);
    int channels = recipe->channels ? recipe->channels : 3, count = recipe->convolutions ? recipe->convolutions : 13;
    char config[128], name[MODEL_NAME_SIZE];
    snprintf(config, sizeof config, "\"batch_input_shape\":[null,64,64,%d],\"dtype\":\"float32\"", channels);
    append(model, "InputLayer", "input_1", config);
    if (recipe->first)
        append_between(model, recipe->first, recipe->first_config, 0, channels);
    int l = 0;
    for (int b = 0; b < 5 && l < count; b++) {
        for (int c = 0; c < blocks[b] && l < count; c++, l++) {
            name_convolution(recipe, b + 1, c + 1, l, name);
            append_convolution(model, recipe, l, name, &channels);
            if (recipe->between)
                append_between(model, recipe->between, recipe->between_config, l, channels);
        }
        if (recipe->skip_pool != b + 1)
            append_pooling(model, recipe, b + 1);
    }
    for (; l < count; l++) {
        name_convolution(recipe, 0, 0, l, name);
        append_convolution(model, recipe, l, name, &channels);
    }
    if (recipe->top) {
        append(model, "Flatten", "flatten", "");
        struct model_layer *dense = append(model, "Dense", "dense", "\"units\":5,\"activation\":\"softmax\"");
        model_add_weight(dense, "dense/kernel:0", 2, (int[]){4 * channels, 5});
        model_add_weight(dense, "dense/bias:0", 1, (int[]){5});
    }
    return model;
}

void sample_free(struct sample *model) {
    for (int l = 0; l < model->layers; l++)
        for (int w = 0; w < model->layer[l].weights; w++)
            free(model->layer[l].weight[w].value);
    free(model);
}

struct model_layer *sample_find(struct sample *model, const char *name) {
    for (int l = 0; l < model->layers; l++)
        if (!strcmp(model->layer[l].name, name))
            return &model->layer[l];
    must(-1);
    return NULL;
}

static size_t count_numbers(const struct model_weight *weight) {
    size_t count = 1;
    for (int i = 0; i < weight->rank; i++)
        count *= weight->extent[i];
    return count;
}

float *sample_numbers(const struct sample *model, int convolutions, size_t *count) {
    float *numbers = NULL;
    *count = 0;
    for (int l = 0; l < model->layers && convolutions > 0; l++) {
        const struct model_layer *layer = &model->layer[l];
        convolutions -= !strcmp(layer->class_name, "Conv2D");
        for (int w = 0; w < layer->weights && !strcmp(layer->class_name, "Conv2D"); w++) {
            size_t more = count_numbers(&layer->weight[w]);
            numbers = realloc(numbers, (*count + more) * sizeof *numbers);
            memcpy(numbers + *count, layer->weight[w].value, more * sizeof *numbers);
            *count += more;
        }
    }
    return numbers;
}

/* --- Descriptions ------------------------------------------------------------------------------------------------ */

static void append_entry(struct text *text, const struct model_layer *layer) {
    text_append(text, "{\"class_name\":\"%s\",\"config\":{\"name\":\"%s\",\"trainable\":true%s%s}", layer->class_name,
                layer->name, layer->config[0] ? "," : "", layer->config);
}

char *sample_functional(const struct sample *model, const char *link, const char *to) {
    struct text text = {0};
    text_append(&text, "{\"class_name\":\"Functional\",\"config\":{\"name\":\"vgg16\",\"layers\":[");
    for (int l = 0; l < model->layers; l++) {
        const struct model_layer *layer = &model->layer[l];
        text_append(&text, "%s", l ? "," : "");
        append_entry(&text, layer);
        text_append(&text, ",\"name\":\"%s\",\"inbound_nodes\":[", layer->name);
        if (l)
            text_append(&text, "[[\"%s\",0,0,{}]", model->layer[l - 1].name);
        if (l && link && !strcmp(link, layer->name))
            text_append(&text, ",[\"%s\",0,0,{}]", to);
        text_append(&text, "%s]}", l ? "]" : "");
    }
    text_append(&text, "],\"input_layers\":[[\"input_1\",0,0]],\"output_layers\":[[\"%s\",0,0]]}}",
                model->layer[model->layers - 1].name);
    return text.bytes;
}

char *sample_sequential(const struct sample *model, bool bare_list) {
    struct text text = {0};
    text_append(&text, "{\"class_name\":\"Sequential\",\"config\":%s",
                bare_list ? "" : "{\"name\":\"seq\",\"layers\":");
    for (int l = 0; l < model->layers; l++) {
        text_append(&text, "%s", l ? "," : "[");
        append_entry(&text, &model->layer[l]);
        text_append(&text, "}");
    }
    text_append(&text, bare_list ? "]}" : "]}}");
    return text.bytes;
}

/* --- Files ------------------------------------------------------------------------------------------------------- */

model_file_id sample_create(const char *path) {
    H5dont_atexit(); /* as the reader does, but it must come first */
    return must(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
}

void sample_close(model_file_id file) { must(H5Fclose(file)); }

/* A group that may be there already: what is below it may have come first. */
void model_put_group(model_file_id file, const char *path) {
    hid_t links = must(H5Pcreate(H5P_LINK_CREATE)), group = -1;
    H5Pset_create_intermediate_group(links, 1);
    H5E_BEGIN_TRY { group = H5Gcreate2(file, path, links, H5P_DEFAULT, H5P_DEFAULT); }
    H5E_END_TRY;
    if (group >= 0)
        H5Gclose(group);
    H5Pclose(links);
}

void model_put_text(model_file_id file, const char *group, const char *attribute, const char *text) {
    hid_t type = must(H5Tcopy(H5T_C_S1)), space = must(H5Screate(H5S_SCALAR));
    must(H5Tset_size(type, H5T_VARIABLE));
    hid_t id = must(H5Acreate_by_name(file, group, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    must(H5Awrite(id, type, &text));
    H5Aclose(id);
    H5Sclose(space);
    H5Tclose(type);
}

void model_put_count(model_file_id file, const char *attribute, int value) {
    hid_t space = must(H5Screate(H5S_SCALAR));
    hid_t id = must(H5Acreate2(file, attribute, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT));
    must(H5Awrite(id, H5T_NATIVE_INT, &value));
    H5Aclose(id);
    H5Sclose(space);
}

static void put_part(model_file_id file, const char *group, const char *attribute, char (*names)[256], int count) {
    hsize_t extent = count;
    hid_t type = must(H5Tcopy(H5T_C_S1)), space = must(H5Screate_simple(1, &extent, NULL));
    must(H5Tset_size(type, 256));
    hid_t id = must(H5Acreate_by_name(file, group, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (count)
        must(H5Awrite(id, type, names));
    H5Aclose(id);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_list(model_file_id file, const char *group, const char *attribute, char (*names)[256], int count,
                     int limit) {
    if (!limit || count <= limit) {
        put_part(file, group, attribute, names, count);
        return;
    }
    for (int i = 0, part = 0; i < count; i += limit, part++) {
        char piece[64];
        snprintf(piece, sizeof piece, "%s%d", attribute, part);
        put_part(file, group, piece, names + i, count - i < limit ? count - i : limit);
    }
}

/* A filter that this process forgets again. */
static size_t do_nothing(unsigned flags, size_t parameters, const unsigned *values, size_t size, size_t *room,
                         void **bytes) {
    (void)flags, (void)parameters, (void)values, (void)room, (void)bytes;
    return size;
}

static const H5Z_class2_t strange_filter = {H5Z_CLASS_T_VERS, 32123, 1, 1, "strange", NULL, NULL, do_nothing};

static hid_t creation(const struct model_weight *weight, enum sample_numbers numbers) {
    hid_t create = must(H5Pcreate(H5P_DATASET_CREATE));
    hsize_t chunk[4];
    for (int i = 0; i < weight->rank; i++)
        chunk[i] = weight->extent[i];
    if (numbers == MODEL_COMPACT)
        must(H5Pset_layout(create, H5D_COMPACT));
    if (numbers == MODEL_FILTERED) {
        must(H5Zregister(&strange_filter));
        must(H5Pset_chunk(create, weight->rank, chunk));
        must(H5Pset_filter(create, 32123, H5Z_FLAG_OPTIONAL, 0, NULL));
    }
    if (numbers == MODEL_LOST) {
        hsize_t extent[4];
        for (int i = 0; i < weight->rank; i++)
            extent[i] = weight->extent[i];
        hid_t space = must(H5Screate_simple(weight->rank, extent, NULL));
        must(H5Pset_virtual(create, space, "gone.h5", "x", space));
        H5Sclose(space);
    }
    return create;
}

static void write_numbers(hid_t dataset, const struct model_weight *weight, enum sample_numbers numbers) {
    size_t count = count_numbers(weight);
    uint16_t *halves = malloc(count * sizeof *halves);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &weight->value[i], sizeof bits);
        halves[i] = (uint16_t)(bits >> 16);
    }
    hid_t type = must(H5Dget_type(dataset));
    if (numbers == MODEL_BFLOAT16)
        must(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves));
    else if (numbers != MODEL_LOST)
        must(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, weight->value));
    H5Tclose(type);
    free(halves);
}

void model_put_weight_as(model_file_id file, const char *path, const struct model_weight *weight,
                         enum sample_numbers numbers) {
    hsize_t extent[4] = {0};
    for (int i = 0; i < weight->rank; i++)
        extent[i] = weight->extent[i];
    hid_t links = must(H5Pcreate(H5P_LINK_CREATE)), create = creation(weight, numbers);
    hid_t type = numbers == MODEL_BFLOAT16 ? must(H5Tcreate(H5T_OPAQUE, 2))
                                           : must(H5Tcopy(numbers == MODEL_INTEGERS ? H5T_STD_I8LE : H5T_IEEE_F32LE));
    hid_t space = must(H5Screate_simple(weight->rank, extent, NULL));
    H5Pset_create_intermediate_group(links, 1);
    hid_t dataset = must(H5Dcreate2(file, path, type, space, links, create, H5P_DEFAULT));
    write_numbers(dataset, weight, numbers);
    H5Dclose(dataset);
    if (numbers == MODEL_FILTERED)
        H5Zunregister(32123);
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(create);
    H5Pclose(links);
}

void model_put_weight(model_file_id file, const char *path, const struct model_weight *weight) {
    model_put_weight_as(file, path, weight, MODEL_FLOAT);
}

/* --- Layouts ----------------------------------------------------------------------------------------------------- */

static void put_layer(model_file_id file, const char *root, const struct model_layer *layer,
                      enum sample_numbers numbers, int limit) {
    char group[256], path[1024], names[MODEL_MAX_WEIGHTS][256];
    snprintf(group, sizeof group, "%s/%s", root, layer->name);
    model_put_group(file, group);
    for (int w = 0; w < layer->weights; w++) {
        snprintf(names[w], sizeof names[w], "%s", layer->weight[w].name);
        snprintf(path, sizeof path, "%s/%s", group, names[w]);
        model_put_weight_as(file, path, &layer->weight[w], numbers);
    }
    put_list(file, group, "weight_names", names, layer->weights, limit);
}

void model_put_listed(model_file_id file, const char *root, const struct sample *model, enum sample_numbers numbers,
                      int limit) {
    static char names[MODEL_MAX_LAYERS][256];
    if (*root)
        model_put_group(file, root);
    for (int l = 0; l < model->layers; l++) {
        put_layer(file, root, &model->layer[l], numbers, limit);
        snprintf(names[l], sizeof names[l], "%s", model->layer[l].name);
    }
    put_list(file, *root ? root : "/", "layer_names", names, model->layers, limit);
}

/* The weights of the convolutions that do, or don't, train. */
static void put_nested_part(model_file_id file, const char *group, const struct sample *model, const char *prefix,
                            int from, int to, bool trains, char (*names)[256], int *count) {
    char path[1024];
    for (int l = 0, conv = 0; l < model->layers; l++) {
        const struct model_layer *layer = &model->layer[l];
        bool convolution = !strcmp(layer->class_name, "Conv2D");
        for (int w = 0; convolution && (conv >= from && conv <= to) == trains && w < layer->weights; w++) {
            snprintf(names[*count], 256, "%s%s", prefix, layer->weight[w].name);
            snprintf(path, sizeof path, "%s/%s", group, names[*count]);
            model_put_weight(file, path, &layer->weight[w]);
            ++*count;
        }
        conv += convolution;
    }
}

void model_put_nested(model_file_id file, const char *root, const struct sample *model, const char *prefix, int from,
                      int to, int limit) {
    static char names[2 * MODEL_MAX_LAYERS][256];
    char layers[3][256] = {"input_2", "vgg16", "flatten"}, group[256];
    int count = 0;
    for (int l = 0; l < 3; l++) {
        snprintf(group, sizeof group, "%s/%s", root, layers[l]);
        model_put_group(file, group);
        if (l != 1)
            put_list(file, group, "weight_names", NULL, 0, 0);
    }
    snprintf(group, sizeof group, "%s/vgg16", root);
    put_nested_part(file, group, model, prefix, from, to, true, names, &count);
    put_nested_part(file, group, model, prefix, from, to, false, names, &count);
    put_list(file, group, "weight_names", names, count, limit);
    put_list(file, *root ? root : "/", "layer_names", layers, 3, limit);
}

void model_put_counted(model_file_id file, const char *root, const char *separator, const struct sample *model,
                       int step, bool named, enum sample_numbers numbers) {
    for (int l = 0; l < model->layers; l++) {
        const struct model_layer *layer = &model->layer[l];
        char snake[MODEL_NAME_SIZE], group[256], path[512], number[16] = "";
        int before = 0;
        for (int other = 0; other < l; other++)
            if (!strcmp(model->layer[other].class_name, layer->class_name))
                before += model->layer[other].weights ? step : 1;
        keras_snake_case(layer->class_name, snake, sizeof snake);
        if (before)
            snprintf(number, sizeof number, "_%d", before);
        snprintf(group, sizeof group, "%s%s%s%s/vars", root, *root ? separator : "", snake, number);
        model_put_group(file, group);
        if (named)
            model_put_text(file, group, "name", layer->name);
        for (int w = 0; w < layer->weights; w++) {
            snprintf(path, sizeof path, "%s/%d", group, w);
            model_put_weight_as(file, path, &layer->weight[w], numbers);
        }
    }
}
