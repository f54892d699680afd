/* Files that people have: each is read as the network that it is, or refused in one line that tells the truth. The
 * networks are VGG16s of a few channels, and others that are almost one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/model_file.h"
#include "filteratlas/model/weights.h"
#include "folder.h"
#include "model_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char file[] = "model.h5"; /* that each test writes, in a temporary folder */

/* --- Helpers ----------------------------------------------------------------------------------------------------- */

/* The file is read as the VGG16 of these numbers. */
static void assert_plain(const char *path, const char *config, const struct sample *model, const char *what) {
    struct weights weights;
    struct error error = {.status = STATUS_OK};
    size_t count;
    if (weights_read(path, config, &weights, &error))
        fail_msg("%s: %s", what, error.message);
    float *numbers = sample_numbers(model, 13, &count);
    assert_string_equal(weights.net.variant, "VGG16");
    assert_int_equal(weights.count, count);
    if (memcmp(weights.values, numbers, count * sizeof *numbers))
        fail_msg("%s: read with other numbers", what);
    free(numbers);
    weights_free(&weights);
}

static void assert_message(const struct error *error, const char *path, const char *culprit, const char *what) {
    if (error->status != STATUS_USAGE || strncmp(error->message, path, strlen(path)) ||
        !strstr(error->message, culprit) || !strstr(error->message, "; ") || strchr(error->message, '\n'))
        fail_msg("%s: '%s' expected, got status %d: %s", what, culprit, error->status, error->message);
}

/* No network is found in the file. */
static void assert_refused(const char *path, const char *config, const char *culprit, const char *what) {
    struct model_file model;
    struct error error = {.status = STATUS_OK, .message = ""};
    if (!model_file_read(path, config, false, &model, &error))
        graph_free(&model.graph);
    assert_message(&error, path, culprit, what);
}

/* A network is found, which is no VGG. */
static void assert_other(const char *path, const char *culprit, bool (*is)(const struct graph_node *node),
                         const char *what) {
    struct model_file model;
    struct weights weights;
    struct error error = {.status = STATUS_OK, .message = ""};
    if (!weights_read(path, NULL, &weights, &error))
        weights_free(&weights);
    assert_message(&error, path, culprit, what);
    if (model_file_read(path, NULL, false, &model, &error))
        fail_msg("%s: %s", what, error.message);
    int found = 0;
    for (int n = 0; n < model.graph.nodes; n++)
        found += is(&model.graph.node[n]);
    if (!found)
        fail_msg("%s: the graph doesn't show it", what);
    graph_free(&model.graph);
}

/* A whole model: description and weights. */
static void write_model(const char *path, const struct sample *model, char *config) {
    model_file_id id = sample_create(path);
    model_put_text(id, "/", "model_config", config);
    model_put_listed(id, "/model_weights", model, MODEL_FLOAT, 0);
    sample_close(id);
    free(config);
}

static void write_listed(const struct sample *model) {
    model_file_id id = sample_create(file);
    model_put_listed(id, "", model, MODEL_FLOAT, 0);
    sample_close(id);
}

static void write_counted(const struct sample *model, const char *root, int step, bool named) {
    model_file_id id = sample_create(file);
    model_put_counted(id, root, "/", model, step, named, MODEL_FLOAT);
    sample_close(id);
}

/* --- Whole models ------------------------------------------------------------------------------------------------ */

static void models_that_are_a_vgg_are_read(void **state) {
    (void)state;
    static const struct {
        const char *what;
        struct model_recipe recipe;
    } cases[] = {
        {"plain", {.top = true}},
        {"without top", {.top = false}},
        {"dropout", {.between = "Dropout", .between_config = "\"rate\":0.3", .top = true}},
        {"ReLU as a layer",
         {.conv_config = "\"activation\":\"linear\"",
          .between = "Activation",
          .between_config = "\"activation\":\"relu\"",
          .top = true}},
        {"zeros around valid convolutions",
         {.conv_config = "\"padding\":\"valid\"", .before_conv = "ZeroPadding2D", .top = true}},
        {"channels first", {.conv_config = "\"data_format\":\"channels_first\""}},
        {"plain names", {.names = MODEL_PLAIN, .pool_name = "max_pooling2d_%d", .top = true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *model = sample_make(&cases[i].recipe);
        write_model(file, model, sample_functional(model, NULL, NULL));
        assert_plain(file, NULL, model, cases[i].what);
        write_model(file, model, sample_sequential(model, false));
        assert_plain(file, NULL, model, cases[i].what);
        write_model(file, model, sample_sequential(model, true));
        assert_plain(file, NULL, model, cases[i].what);
        sample_free(model);
    }
}

static bool is_average(const struct graph_node *n) { return n->operation == GRAPH_AVERAGE_POOLING; }
static bool is_leaky(const struct graph_node *n) {
    return n->function == GRAPH_RELU && n->operation == GRAPH_ACTIVATION && n->parameter[1] == 0.25f;
}
static bool is_elu(const struct graph_node *n) { return n->function == GRAPH_ELU; }
static bool is_strided(const struct graph_node *n) { return n->operation == GRAPH_CONVOLUTION && n->stride[0] == 2; }
static bool is_valid(const struct graph_node *n) { return n->operation == GRAPH_CONVOLUTION && !n->same; }
static bool is_wide(const struct graph_node *n) { return n->operation == GRAPH_CONVOLUTION && n->kernel[1] != 3; }
static bool is_dilated(const struct graph_node *n) { return n->dilation[0] == 2; }
static bool is_affine(const struct graph_node *n) { return n->operation == GRAPH_AFFINE; }
static bool is_wide_pooling(const struct graph_node *n) {
    return n->operation == GRAPH_MAX_POOLING && n->kernel[0] == 3 && n->same;
}
static bool is_prelu(const struct graph_node *n) { return n->function == GRAPH_PRELU; }
static bool is_relu6(const struct graph_node *n) { return n->function == GRAPH_RELU && n->parameter[0] == 6; }
static bool is_sum(const struct graph_node *n) { return n->operation == GRAPH_ADD; }
static bool is_anything(const struct graph_node *n) { return n->operation == GRAPH_CONVOLUTION; }

static void models_that_are_no_vgg_are_never_taken_for_one(void **state) {
    (void)state;
    static const struct {
        const char *what, *culprit;
        bool (*is)(const struct graph_node *node);
        struct model_recipe recipe;
    } cases[] = {
        {"average pooling", "block1_pool (AveragePooling2D)", is_average, {.pool_class = "AveragePooling2D"}},
        {"leaky ReLU",
         "block1_conv1",
         is_leaky,
         {.conv_config = "\"activation\":\"linear\"", .between = "LeakyReLU", .between_config = "\"alpha\":0.25"}},
        {"ELU", "block1_conv1", is_elu, {.conv_config = "\"activation\":\"elu\""}},
        {"strides", "block2_conv1", is_strided, {.conv_config = "\"strides\":[2,2]", .conv_from = 2}},
        {"valid", "block1_conv1", is_valid, {.conv_config = "\"padding\":\"valid\""}},
        {"5x5", "block1_conv1", is_wide, {.kernel = 5}},
        {"1x1", "block3_conv3", is_wide, {.kernel = 1, .kernel_at = 7}},
        {"7x7", "block1_conv1", is_wide, {.kernel = 7, .kernel_at = 1}},
        {"dilation", "block5_conv1", is_dilated, {.conv_config = "\"dilation_rate\":[2,2]", .conv_from = 10}},
        {"rescaling", "rescaling_0", is_affine, {.first = "Rescaling", .first_config = "\"scale\":0.5,\"offset\":0"}},
        {"pooling of 3x3", "block1_pool", is_wide_pooling, {.pool_config = "\"pool_size\":[3,3],\"padding\":\"same\""}},
        {"no pooling", "no pooling stands behind block1_conv2", is_anything, {.skip_pool = 1}},
        {"PReLU", "block1_conv1", is_prelu, {.conv_config = "\"activation\":\"linear\"", .between = "PReLU"}},
        {"ReLU6",
         "block1_conv1",
         is_relu6,
         {.conv_config = "\"activation\":\"linear\"", .between = "ReLU", .between_config = "\"max_value\":6.0"}},
        {"linear", "block1_conv1", is_anything, {.conv_config = "\"activation\":\"linear\""}},
        {"a cut", "no pooling stands behind", is_anything, {.convolutions = 10}},
        {"grey", "takes 1 channels", is_anything, {.channels = 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *model = sample_make(&cases[i].recipe);
        write_model(file, model, sample_functional(model, NULL, NULL));
        assert_other(file, cases[i].culprit, cases[i].is, cases[i].what);
        write_model(file, model, sample_sequential(model, i % 2));
        assert_other(file, cases[i].culprit, cases[i].is, cases[i].what);
        sample_free(model);
    }
}

static void shortcuts_are_seen(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    int place = (int)(sample_find(model, "block1_conv2") - model->layer) + 1;
    sample_insert(model, place, "Add", "add", "");
    write_model(file, model, sample_functional(model, "add", "block1_conv1"));
    assert_other(file, "add (Add)", is_sum, "shortcut");
    sample_free(model);
}

/* Normalisation goes into the convolution in front of it, where only ReLU follows. */
static void normalised_vggs_are_folded(void **state) {
    (void)state;
    struct weights weights;
    struct error error;
    struct model_recipe recipe = {.between = "BatchNormalization", .between_config = "\"axis\":[3],\"epsilon\":0.25"};
    recipe.conv_config = "\"activation\":\"linear\"";
    struct sample *model = sample_make(&recipe);
    for (int l = model->layers - 1; l > 0; l--)
        if (!strcmp(model->layer[l].class_name, "BatchNormalization")) {
            char name[32];
            snprintf(name, sizeof name, "relu_%d", l);
            sample_insert(model, l + 1, "Activation", name, "\"activation\":\"relu\"");
        }
    write_model(file, model, sample_functional(model, NULL, NULL));
    if (weights_read(file, NULL, &weights, &error))
        fail_msg("%s", error.message);
    const struct model_layer *conv = sample_find(model, "block1_conv1");
    const struct model_layer *bn = sample_find(model, "batch_normalization_0");
    double scale = bn->weight[0].value[1] / 0.25; /* of channel 1, were the variance 0 */
    scale = bn->weight[0].value[1] / __builtin_sqrt(bn->weight[3].value[1] + 0.25);
    assert_true(__builtin_fabs(weights_kernel(&weights, 0)[5] - conv->weight[0].value[5] * scale) < 1e-6);
    double bias = (conv->weight[1].value[1] - bn->weight[2].value[1]) * scale + bn->weight[1].value[1];
    assert_true(__builtin_fabs(weights_bias(&weights, 0)[1] - bias) < 1e-6);
    weights_free(&weights);
    sample_free(model);
}

static void what_is_not_known_is_named(void **state) {
    (void)state;
    struct model_recipe recipe = {.first = "Lambda", .first_config = "\"function\":[\"4wEAAA==\",null,null]"};
    struct sample *model = sample_make(&recipe);
    write_model(file, model, sample_functional(model, NULL, NULL));
    assert_refused(file, NULL, "lambda_0 (Lambda) is not computed here, and block1_conv1 (Conv2D)", "Lambda in front");
    sample_free(model);
    recipe = (struct model_recipe){.top = true};
    model = sample_make(&recipe);
    sample_insert(model, model->layers - 1, "MyAttention", "attention", "");
    write_model(file, model, sample_functional(model, NULL, NULL));
    assert_plain(file, NULL, model, "an unknown top");
    struct model_file read;
    struct error error;
    assert_int_equal(model_file_read(file, NULL, false, &read, &error), STATUS_OK);
    assert_string_equal(read.graph.left_out, "attention (MyAttention)");
    graph_free(&read.graph);
    sample_free(model);
}

/* --- Descriptions that are wrong --------------------------------------------------------------------------------- */

static void descriptions_that_make_no_sense_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *culprit;
    } cases[] = {
        {"{", "JSON"},
        {"[]", "without a class"},
        {"{\"class_name\":\"Sequential\",\"config\":[]}", "no layers"},
        {"{\"class_name\":\"MyModel\",\"config\":{}}", "is a MyModel"},
        {"{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"Conv2D\",\"config\":{}}]}}", "a name"},
        {"{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"a\"},"
         "\"inbound_nodes\":[]},{\"class_name\":\"Add\",\"config\":{\"name\":\"b\"},\"inbound_nodes\":[[[\"b\",0,0]]]}]"
         ","
         "\"input_layers\":[[\"a\",0,0]],\"output_layers\":[[\"b\",0,0]]}}",
         "channels"},
        {"{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"a\","
         "\"batch_input_shape\":[null,8,8,3]},\"inbound_nodes\":[]},{\"class_name\":\"Add\",\"config\":{\"name\":\"b\"}"
         ","
         "\"inbound_nodes\":[[[\"b\",0,0]]]}],\"input_layers\":[[\"a\",0,0]],\"output_layers\":[[\"b\",0,0]]}}",
         "circle"},
        {"{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"a\"},"
         "\"inbound_nodes\":[[[\"z\",0,0]]]}],\"input_layers\":[[\"a\",0,0]],\"output_layers\":[]}}",
         "isn't there: z"},
        {"{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"ReLU\",\"config\":{\"name\":\"a\"}},"
         "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"a\"}}]}",
         "two layers of the name a"},
    };
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_model(file, model, strdup(cases[i].text));
        assert_refused(file, NULL, cases[i].culprit, cases[i].text);
    }
    sample_free(model);
}

static void depth_without_end_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 1000 };
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    char *brackets = malloc(2 * DEPTH + 1), *models = malloc(DEPTH * 80);
    memset(brackets, '[', DEPTH);
    memset(brackets + DEPTH, ']', DEPTH);
    brackets[2 * DEPTH] = 0;
    write_model(file, model, brackets);
    assert_refused(file, NULL, "without a class", "brackets");
    size_t size = 0;
    for (int i = 0; i < DEPTH; i++)
        size += (size_t)sprintf(models + size, "{\"class_name\":\"Sequential\",\"config\":[");
    for (int i = 0; i < DEPTH; i++)
        size += (size_t)sprintf(models + size, "]}");
    write_model(file, model, models);
    assert_refused(file, NULL, "too many models within models", "models");
    sample_free(model);
}

static void absurd_numbers_are_refused(void **state) {
    (void)state;
    static const char *const odd[] = {"\"filters\":1099511627776",
                                      "\"filters\":-1",
                                      "\"kernel_size\":[0,3]",
                                      "\"kernel_size\":1099511627776",
                                      "\"strides\":[0,0]",
                                      "\"dilation_rate\":1e300",
                                      "\"groups\":7",
                                      "\"padding\":\"causal\"",
                                      "\"activation\":\"mish\""};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct model_recipe recipe = {.conv_config = odd[i], .conv_from = 4};
        struct sample *model = sample_make(&recipe);
        write_model(file, model, sample_functional(model, NULL, NULL));
        assert_refused(file, NULL, "block3_conv1 (Conv2D) can't be computed here", odd[i]);
        sample_free(model);
    }
}

static void weights_that_do_not_fit_the_description_are_refused(void **state) {
    (void)state;
    struct model_recipe recipe = {.conv_config = "\"filters\":7", .conv_from = 4};
    struct sample *model = sample_make(&recipe);
    write_model(file, model, sample_functional(model, NULL, NULL));
    assert_refused(file, NULL, "block3_conv1's kernel is of shape 3x3x6x8, but 3x3x6x7", "other filters");
    sample_free(model);
}

/* --- Weights alone: nested, trainable layers first ---------------------------------------------------------------- */

static void frozen_layers_keep_their_places(void **state) {
    (void)state;
    static const struct {
        const char *what, *prefix;
        enum model_names names;
        int from, to, limit;
    } cases[] = {
        {"block 5 trains", "", MODEL_BLOCKS, 10, 12, 0}, {"block 3 trains", "", MODEL_BLOCKS, 4, 6, 0},
        {"plain names", "", MODEL_PLAIN, 10, 12, 0},     {"Caffe's names", "", MODEL_CAFFE, 10, 12, 0},
        {"all frozen", "", MODEL_BLOCKS, 99, 99, 0},     {"widths that fit", "", MODEL_CAFFE, 9, 12, 0},
        {"prefixed", "vgg16/", MODEL_BLOCKS, 0, 99, 0},  {"prefixed, frozen", "vgg16/", MODEL_BLOCKS, 10, 12, 0},
        {"names in pieces", "", MODEL_BLOCKS, 0, 99, 5}, {"pieces, frozen", "", MODEL_BLOCKS, 10, 12, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_recipe recipe = {.names = cases[i].names};
        struct sample *model = sample_make(&recipe);
        model_file_id id = sample_create(file);
        model_put_nested(id, "", model, cases[i].prefix, cases[i].from, cases[i].to, cases[i].limit);
        sample_close(id);
        assert_plain(file, NULL, model, cases[i].what);
        sample_free(model);
    }
}

/* As model.save writes it: a VGG as a layer of a Sequential, in whose description all layers are trainable. */
static void a_model_as_a_layer_is_read_by_names(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    char *inner = sample_functional(model, NULL, NULL), *outer = malloc(strlen(inner) + 100);
    sprintf(outer, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[%s]}}", inner);
    model_file_id id = sample_create(file);
    model_put_text(id, "/", "model_config", outer);
    model_put_nested(id, "/model_weights", model, "", 10, 12, 0);
    sample_close(id);
    assert_plain(file, NULL, model, "nested and frozen, saved whole");
    free(inner);
    free(outer);
    sample_free(model);
}

static void orders_that_nothing_tells_are_refused(void **state) {
    (void)state;
    struct model_recipe recipe = {.names = MODEL_PLAIN, .width = 8};
    struct sample *model = sample_make(&recipe);
    model_file_id id = sample_create(file);
    model_put_nested(id, "", model, "", 10, 12, 0);
    sample_close(id);
    assert_refused(file, NULL, "doesn't tell where its poolings are", "equal widths");
    sample_free(model);
}

/* --- Weights alone: what else is listed --------------------------------------------------------------------------- */

static void weights_alone_that_may_be_another_network_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *what, *culprit;
        struct model_recipe recipe;
    } listed[] = {
        {"average pooling",
         "average_pooling2d_1 stands between",
         {.pool_class = "AveragePooling2D", .pool_name = "average_pooling2d_%d"}},
        {"leaky ReLU", "leaky_re_lu_0 stands between", {.between = "LeakyReLU"}},
        {"PReLU", "p_re_lu_0 stands between", {.between = "PReLU"}},
        {"activations", "activation_0 stands between", {.between = "Activation"}},
        {"no pooling", "no pooling stands behind block1_conv2", {.skip_pool = 1}},
        {"normalised", "batch_normalization_0 normalises between", {.between = "BatchNormalization"}},
        {"the input is normalised",
         "batch_normalization_0 normalises the network's input",
         {.first = "BatchNormalization"}},
        {"Lambda", "lambda_0 stands before", {.first = "Lambda"}},
        {"Normalization", "normalization_0 stands before", {.first = "Normalization"}},
        {"a cut", "block5_conv1 is missing", {.convolutions = 10}},
        {"a cut, Caffe's names", "block5_conv1 is missing", {.convolutions = 10, .names = MODEL_CAFFE}},
        {"a cut, plain names", "no pooling stands behind conv2d_5", {.convolutions = 10, .names = MODEL_PLAIN}},
        {"grey", "block1_conv1 takes 1 channels but gets 3", {.channels = 1}},
        {"four channels", "block1_conv1 takes 4 channels but gets 3", {.channels = 4}},
        {"grey, three wide", "takes 1 channels but gets 3", {.channels = 1, .width = 3}},
        {"5x5", "block1_conv1's kernel is of shape 5x5x3x4, not 3x3", {.kernel = 5}},
        {"zeros before one", "zeros are put around", {.first = "ZeroPadding2D"}},
    };
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        struct sample *model = sample_make(&listed[i].recipe);
        write_listed(model);
        assert_refused(file, NULL, listed[i].culprit, listed[i].what);
        sample_free(model);
    }
}

static void counted_weights_that_may_be_another_network_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *what, *culprit;
        bool named;
        struct model_recipe recipe;
    } counted[] = {
        {"average pooling", "average_pooling2d stands", true, {.pool_class = "AveragePooling2D"}},
        {"PReLU", "p_re_lu stands", true, {.between = "PReLU"}},
        {"leaky ReLU", "leaky_re_lu stands", true, {.between = "LeakyReLU"}},
        {"normalised", "batch_normalization normalises", true, {.between = "BatchNormalization"}},
        {"a cut", "block5_conv1 is missing", true, {.convolutions = 10, .names = MODEL_CAFFE}},
        {"a cut without names", "doesn't tell where its poolings are", false, {.convolutions = 10}},
        {"half of it", "block4_conv1 is missing", true, {.convolutions = 7}},
    };
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        struct sample *model = sample_make(&counted[i].recipe);
        write_counted(model, "layers", 1, counted[i].named);
        assert_refused(file, NULL, counted[i].culprit, counted[i].what);
        sample_free(model);
    }
}

/* What stands behind the fifth block is a head, a decoder, a convolutional top: passed over. */
static void heads_are_passed_over(void **state) {
    (void)state;
    static const enum model_names names[] = {MODEL_BLOCKS, MODEL_CAFFE, MODEL_PLAIN};
    for (int i = 0; i < 3; i++)
        for (int more = 1; more <= 13; more += 2) {
            struct model_recipe recipe = {.names = names[i], .convolutions = 13 + more, .top = false};
            struct sample *model = sample_make(&recipe);
            write_listed(model);
            assert_plain(file, NULL, model, "a head");
            sample_free(model);
        }
}

static void plain_weights_are_read(void **state) {
    (void)state;
    static const struct {
        const char *what;
        struct model_recipe recipe;
    } cases[] = {
        {"Keras's names", {.top = true}},
        {"Caffe's names", {.names = MODEL_CAFFE, .pool_name = "pool%d", .top = true}},
        {"plain names", {.names = MODEL_PLAIN, .pool_name = "max_pooling2d_%d"}},
        {"every width 3", {.width = 3}},
        {"dropout", {.between = "Dropout"}},
        {"zeros", {.before_conv = "ZeroPadding2D"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *model = sample_make(&cases[i].recipe);
        for (int limit = 0; limit < 10; limit += 7) {
            model_file_id id = sample_create(file);
            model_put_listed(id, "", model, MODEL_FLOAT, limit);
            sample_close(id);
            assert_plain(file, NULL, model, cases[i].what);
        }
        sample_free(model);
    }
}

/* Keras 3's .h5 calls weights "kernel", later "vgg16/block1_conv1/kernel". */
static void names_of_weights_are_free(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct model_recipe recipe = {.top = false};
        struct sample *model = sample_make(&recipe);
        for (int l = 0; l < model->layers; l++)
            for (int w = 0; w < model->layer[l].weights; w++)
                snprintf(model->layer[l].weight[w].name, sizeof model->layer[l].weight[w].name, "%s%s%s",
                         kind ? "vgg16/" : "", kind ? model->layer[l].name : "",
                         kind ? w ? "/bias" : "/kernel"
                         : w  ? "bias"
                              : "kernel");
        write_listed(model);
        assert_plain(file, NULL, model, "short names");
        write_model(file, model, sample_functional(model, NULL, NULL));
        assert_plain(file, NULL, model, "short names, with a description");
        sample_free(model);
    }
}

static void names_too_long_are_said_to_be(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    model_file_id id = sample_create(file);
    model_put_listed(id, "/x", model, MODEL_FLOAT, 0);
    char *name = malloc(3001);
    memset(name, 'x', 3000);
    name[3000] = 0;
    model_put_text(id, "/", "layer_names", name);
    sample_close(id);
    assert_refused(file, NULL, "has 3000 letters", "long names");
    free(name);
    sample_free(model);
}

/* --- Weights alone: counted groups -------------------------------------------------------------------------------- */

static void every_counted_layout_is_read(void **state) {
    (void)state;
    static const struct {
        const char *what, *root, *separator;
        int step;
        bool named;
    } cases[] = {
        {"Keras 3", "layers", "/", 1, true},
        {"Keras 3.0", "layers", "/", 1, false},
        {"tf.keras", "_layer_checkpoint_dependencies", "/", 2, false},
        {"tf.keras without gaps", "_layer_checkpoint_dependencies", "/", 1, false},
        {"gaps", "layers", "/", 2, false},
        {"nested Functional", "layers/functional/layers", "/", 1, true},
        {"nested Sequential", "layers/sequential/layers", "/", 1, false},
        {"nested tf.keras", "_layer_checkpoint_dependencies/functional/_layer_checkpoint_dependencies", "/", 2, false},
        {"Windows", "layers", "\\", 1, false},
        {"Windows, tf.keras", "_layer_checkpoint_dependencies", "\\", 2, false},
    };
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    char *config = sample_functional(model, NULL, NULL);
    FILE *stream = fopen("config.json", "w");
    fputs(config, stream);
    fclose(stream);
    free(config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model_file_id id = sample_create(file);
        model_put_counted(id, cases[i].root, cases[i].separator, model, cases[i].step, cases[i].named, MODEL_FLOAT);
        sample_close(id);
        assert_plain(file, NULL, model, cases[i].what);
        if (!strstr(cases[i].root, "/"))
            assert_plain(file, "config.json", model, cases[i].what);
    }
    sample_free(model);
}

/* Classes of the user's own: the attribute `name` tells the order, or nothing does. */
static void own_classes_are_told_by_their_names(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    for (int l = 0, other = 0; l < model->layers; l++)
        if (!strcmp(model->layer[l].class_name, "Conv2D"))
            snprintf(model->layer[l].class_name, sizeof model->layer[l].class_name, "MyConv%c",
                     other++ % 2 ? 'A' : 'B');
    write_counted(model, "layers", 1, false);
    assert_refused(file, NULL, "doesn't tell the order of its convolutions", "own classes without names");
    write_counted(model, "layers", 1, true);
    for (int l = 0; l < model->layers; l++)
        if (!strncmp(model->layer[l].class_name, "MyConv", 6))
            snprintf(model->layer[l].class_name, sizeof model->layer[l].class_name, "Conv2D");
    assert_plain(file, NULL, model, "own classes");
    write_counted(model, "", 1, false);
    assert_refused(file, NULL, "holds no Keras weights", "attributes of a class of one's own");
    sample_free(model);
}

/* A convolution before the sub-model, in a container of its own. */
static void the_largest_container_is_the_network(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false}, stem = {.convolutions = 1, .kernel = 1};
    struct sample *model = sample_make(&recipe), *before = sample_make(&stem);
    model_file_id id = sample_create(file);
    model_put_counted(id, "layers/functional/layers", "/", model, 1, true, MODEL_FLOAT);
    model_put_counted(id, "layers", "/", before, 1, true, MODEL_FLOAT);
    sample_close(id);
    assert_plain(file, NULL, model, "a stem");
    sample_free(model);
    sample_free(before);
}

/* --- Old and odd -------------------------------------------------------------------------------------------------- */

/* Kernels turned to [out][in][rows][columns], and flipped if so wanted. */
static struct model_weight turned(const struct model_weight *weight, bool flipped) {
    struct model_weight twin = *weight;
    const int *e = weight->extent;
    if (weight->rank != 4)
        return twin;
    twin.value = malloc((size_t)e[0] * e[1] * e[2] * e[3] * sizeof *twin.value);
    for (int y = 0; y < e[0]; y++)
        for (int x = 0; x < e[1]; x++)
            for (int i = 0; i < e[2]; i++)
                for (int o = 0; o < e[3]; o++) {
                    int row = flipped ? e[0] - 1 - y : y, column = flipped ? e[1] - 1 - x : x;
                    twin.value[((o * e[2] + i) * e[0] + row) * e[1] + column] =
                        weight->value[((y * e[1] + x) * e[2] + i) * e[3] + o];
                }
    twin.extent[0] = e[3];
    twin.extent[1] = e[2];
    twin.extent[2] = e[0];
    twin.extent[3] = e[1];
    return twin;
}

/* Of Keras before 1.0: layer_k/param_p, padding and pooling without any. */
static void files_of_the_first_keras_are_read(void **state) {
    (void)state;
    for (int top = 0; top < 2; top++) {
        struct model_recipe recipe = {.before_conv = "ZeroPadding2D", .top = top};
        struct sample *model = sample_make(&recipe);
        model_file_id id = sample_create(file);
        model_put_count(id, "nb_layers", model->layers - 1);
        for (int l = 1; l < model->layers; l++) {
            char path[64];
            snprintf(path, sizeof path, "layer_%d", l - 1);
            model_put_group(id, path);
            for (int w = 0; w < model->layer[l].weights; w++) {
                struct model_weight weight = turned(&model->layer[l].weight[w], true);
                snprintf(path, sizeof path, "layer_%d/param_%d", l - 1, w);
                model_put_weight(id, path, &weight);
                if (weight.value != model->layer[l].weight[w].value)
                    free(weight.value);
            }
        }
        sample_close(id);
        assert_plain(file, NULL, model, "nb_layers");
        sample_free(model);
    }
}

/* A kernel is turned where its shape says so, and flipped unless the file says that TensorFlow wrote it. */
static void kernels_are_turned_as_the_backend_says(void **state) {
    (void)state;
    static const struct {
        bool turned, flipped;
        const char *backend;
    } cases[] = {{true, true, NULL}, {true, false, "tensorflow"}, {true, true, "theano"}};
    struct model_recipe recipe = {.top = false};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *model = sample_make(&recipe), *stored = sample_make(&recipe);
        for (int l = 0; l < stored->layers; l++)
            if (stored->layer[l].weights) {
                struct model_weight weight = turned(&stored->layer[l].weight[0], cases[i].flipped);
                free(stored->layer[l].weight[0].value);
                stored->layer[l].weight[0] = weight;
            }
        model_file_id id = sample_create(file);
        model_put_listed(id, "", stored, MODEL_FLOAT, 0);
        if (cases[i].backend)
            model_put_text(id, "/", "backend", cases[i].backend);
        sample_close(id);
        assert_plain(file, NULL, model, "turned");
        sample_free(stored);
        sample_free(model);
    }
}

/* Keras 2 on Theano keeps kernels in TensorFlow's order, but convolves with them: by 180 degrees. */
static void kernels_of_theano_are_flipped(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe), *stored = sample_make(&recipe);
    for (int l = 0; l < stored->layers; l++)
        if (stored->layer[l].weights) {
            struct model_weight *kernel = &stored->layer[l].weight[0];
            size_t tap = (size_t)kernel->extent[2] * kernel->extent[3];
            for (int t = 0; t < 9; t++)
                memcpy(kernel->value + t * tap, model->layer[l].weight[0].value + (8 - t) * tap, tap * sizeof(float));
        }
    model_file_id id = sample_create(file);
    model_put_listed(id, "", stored, MODEL_FLOAT, 0);
    model_put_text(id, "/", "backend", "theano");
    sample_close(id);
    assert_plain(file, NULL, model, "Theano");
    sample_free(stored);
    sample_free(model);
}

static void numbers_of_every_kind_are_read_or_named(void **state) {
    (void)state;
    struct model_recipe recipe = {.top = false};
    struct sample *model = sample_make(&recipe);
    for (int l = 0; l < model->layers; l++) /* what bfloat16 can hold */
        for (int w = 0; w < model->layer[l].weights; w++) {
            struct model_weight *weight = &model->layer[l].weight[w];
            size_t count = 1;
            for (int i = 0; i < weight->rank; i++)
                count *= weight->extent[i];
            for (size_t i = 0; i < count; i++) {
                uint32_t bits;
                memcpy(&bits, &weight->value[i], sizeof bits);
                bits &= 0xffff0000u;
                memcpy(&weight->value[i], &bits, sizeof bits);
            }
        }
    static const struct {
        enum sample_numbers numbers;
        const char *culprit;
    } cases[] = {{MODEL_FLOAT, NULL},
                 {MODEL_BFLOAT16, NULL},
                 {MODEL_COMPACT, NULL},
                 {MODEL_INTEGERS, "does not hold floating-point numbers"},
                 {MODEL_FILTERED, "compressed by the filter"},
                 {MODEL_LOST, "holds no data"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int counted = 0; counted < 2; counted++) {
            model_file_id id = sample_create(file);
            if (counted)
                model_put_counted(id, "layers", "/", model, 1, true, cases[i].numbers);
            else
                model_put_listed(id, "", model, cases[i].numbers, 0);
            sample_close(id);
            if (cases[i].culprit)
                assert_refused(file, NULL, cases[i].culprit, cases[i].culprit);
            else
                assert_plain(file, NULL, model, "numbers");
        }
    sample_free(model);
}

/* --- A description beside the weights ----------------------------------------------------------------------------- */

static void a_description_beside_the_weights_tells_the_network(void **state) {
    (void)state;
    struct model_recipe recipe = {.names = MODEL_PLAIN, .pool_class = "AveragePooling2D"};
    struct sample *model = sample_make(&recipe);
    struct model_file read;
    struct error error;
    char *config = sample_functional(model, NULL, NULL);
    FILE *stream = fopen("config.json", "w");
    fputs(config, stream);
    fclose(stream);
    free(config);
    for (int l = 0; l < model->layers; l++) /* as another session would have called them */
        if (model->layer[l].weights)
            snprintf(model->layer[l].name, sizeof model->layer[l].name, "conv2d_%d", 40 + l);
    write_listed(model);
    if (model_file_read(file, "config.json", false, &read, &error))
        fail_msg("%s", error.message);
    int averages = 0;
    for (int n = 0; n < read.graph.nodes; n++)
        averages += read.graph.node[n].operation == GRAPH_AVERAGE_POOLING;
    assert_int_equal(averages, 5);
    graph_free(&read.graph);
    assert_int_equal(model_file_read(file, "none.json", false, &read, &error), STATUS_USAGE);
    assert_message(&error, "none.json", "No such file", "no such description");
    sample_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_that_are_a_vgg_are_read),
        cmocka_unit_test(models_that_are_no_vgg_are_never_taken_for_one),
        cmocka_unit_test(shortcuts_are_seen),
        cmocka_unit_test(normalised_vggs_are_folded),
        cmocka_unit_test(what_is_not_known_is_named),
        cmocka_unit_test(descriptions_that_make_no_sense_are_refused),
        cmocka_unit_test(depth_without_end_is_refused),
        cmocka_unit_test(absurd_numbers_are_refused),
        cmocka_unit_test(weights_that_do_not_fit_the_description_are_refused),
        cmocka_unit_test(frozen_layers_keep_their_places),
        cmocka_unit_test(a_model_as_a_layer_is_read_by_names),
        cmocka_unit_test(orders_that_nothing_tells_are_refused),
        cmocka_unit_test(weights_alone_that_may_be_another_network_are_refused),
        cmocka_unit_test(counted_weights_that_may_be_another_network_are_refused),
        cmocka_unit_test(heads_are_passed_over),
        cmocka_unit_test(plain_weights_are_read),
        cmocka_unit_test(names_of_weights_are_free),
        cmocka_unit_test(names_too_long_are_said_to_be),
        cmocka_unit_test(every_counted_layout_is_read),
        cmocka_unit_test(own_classes_are_told_by_their_names),
        cmocka_unit_test(the_largest_container_is_the_network),
        cmocka_unit_test(files_of_the_first_keras_are_read),
        cmocka_unit_test(kernels_are_turned_as_the_backend_says),
        cmocka_unit_test(kernels_of_theano_are_flipped),
        cmocka_unit_test(numbers_of_every_kind_are_read_or_named),
        cmocka_unit_test(a_description_beside_the_weights_tells_the_network),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
