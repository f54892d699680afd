/* A network ready to be drawn: which layers a person can ask for, under which names, and what is kept of its weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/layers.h"
#include "filteratlas/model/model.h"
#include "folder.h"
#include "graph_builder.h"
#include "model_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- Helpers ----------------------------------------------------------------------------------------------------- */

static void rename_node(struct graph *graph, int n, const char *name) {
    snprintf(graph->node[n].name, sizeof graph->node[n].name, "%s", name);
}

static void make_layers(struct graph *graph, struct layers *layers) {
    struct error error;
    build_finish(graph);
    if (layers_make(graph, layers, &error))
        fail_msg("%s", error.message);
}

static void release(struct graph *graph, struct layers *layers) {
    layers_free(layers);
    graph_free(graph);
}

/* A chain of 1x1 convolutions of those names. */
static void build_chain(struct graph *graph, const char *const *names, int count) {
    int x = build_input(graph, 3);
    for (int i = 0; i < count; i++) {
        x = build_convolution(graph, x, 1, 2);
        rename_node(graph, x, names[i]);
    }
}

static int add_pooling(struct graph *graph, int input) {
    const struct graph_node like = {.operation = GRAPH_MAX_POOLING, .kernel = {2, 2}, .stride = {2, 2}};
    return build_after(graph, &like, input);
}

/* A VGG11 of the convolutions' numbers as names. */
static int build_vgg11(struct graph *graph) {
    static const int blocks[] = {1, 1, 2, 2, 2};
    int x = build_input(graph, 3);
    for (int b = 0; b < 5; b++) {
        for (int c = 0; c < blocks[b]; c++)
            x = build_activation(graph, build_convolution(graph, x, 3, 3 + b), GRAPH_RELU);
        x = add_pooling(graph, x);
    }
    return x;
}

/* --- Names ------------------------------------------------------------------------------------------------------- */

static void assert_safe(const char *name) {
    assert_in_range(strlen(name), 1, LAYER_NAME_SIZE - 1);
    assert_true(*name != '-');
    for (const char *c = name; *c; c++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", *c))
            fail_msg("'%s' is no safe name of a file", name);
    assert_int_not_equal(strcasecmp(name, "job"), 0);
    assert_int_not_equal(strcasecmp(name, "atlas"), 0);
}

static void assert_names(const char *const *names, int count) {
    struct graph graph;
    struct layers layers;
    build_chain(&graph, names, count);
    make_layers(&graph, &layers);
    assert_int_equal(layers.count, count);
    for (int l = 0; l < count; l++) {
        assert_safe(layers.layer[l].name);
        assert_string_equal(layers.layer[l].own_name, names[l]);
        assert_int_equal(layers_find(&layers, layers.layer[l].name), l);
        for (int other = 0; other < l; other++)
            assert_int_not_equal(strcasecmp(layers.layer[l].name, layers.layer[other].name), 0);
    }
    release(&graph, &layers);
}

static void names_are_safe_and_unlike_each_other(void **state) {
    (void)state;
    static const char *const odd[] = {"conv one",
                                      "a/b",
                                      "a_b",
                                      "a b",
                                      "A_B",
                                      "a_b_2",
                                      "job",
                                      "Job",
                                      "JOB_2",
                                      "atlas",
                                      "..",
                                      ".",
                                      "-lead",
                                      "--help",
                                      "*",
                                      "%s%n",
                                      "$(x)",
                                      "",
                                      "gr\xc3\xb6\xc3\x9f",
                                      "\xe5\xb1\x82",
                                      "x,y",
                                      "x\ty",
                                      "'\"'",
                                      "losses.csv",
                                      "#2"};
    assert_names(odd, sizeof odd / sizeof *odd);
}

/* Cut to make room for a number, and still apart. */
static void the_longest_names_are_unlike_each_other(void **state) {
    (void)state;
    char names[12][LAYER_NAME_SIZE];
    const char *all[12];
    for (int i = 0; i < 12; i++) {
        memset(names[i], 'x', LAYER_NAME_SIZE - 1);
        names[i][LAYER_NAME_SIZE - 1] = 0;
        names[i][LAYER_NAME_SIZE - 2] = " !\"#$%&'()*+"[i];
        all[i] = names[i];
    }
    assert_names(all, 12);
}

static void names_that_are_safe_stay(void **state) {
    (void)state;
    static const char *const names[] = {"conv2d", "conv2d_1", "block1-conv1", "2", "Conv_7b"};
    struct graph graph;
    struct layers layers;
    build_chain(&graph, names, 5);
    snprintf(graph.name, sizeof graph.name, "my net/2");
    make_layers(&graph, &layers);
    for (int l = 0; l < 5; l++)
        assert_string_equal(layers.layer[l].name, names[l]);
    assert_string_equal(layers.network, "my_net_2");
    assert_false(layers.vgg);
    assert_int_equal(layers_find(&layers, "conv2d_2"), -1);
    release(&graph, &layers);
}

/* A VGG's convolutions have the names of its blocks, whatever the file calls them; nobody else gets these. */
static void the_convolutions_of_a_vgg_have_its_names(void **state) {
    (void)state;
    static const char *const names[] = {"block1_conv1", "block2_conv1", "block3_conv1", "block3_conv2",
                                        "block4_conv1", "block4_conv2", "block5_conv1", "block5_conv2"};
    struct graph graph;
    struct layers layers;
    build_vgg11(&graph);
    rename_node(&graph, 2, "block2_conv1"); /* the first activation */
    make_layers(&graph, &layers);
    assert_true(layers.vgg);
    assert_string_equal(layers.network, "VGG11");
    for (int i = 0; i < 8; i++) {
        int l = layers_find(&layers, names[i]);
        assert_int_not_equal(l, -1);
        assert_true(layers.layer[l].usual);
        assert_int_equal(layers.layer[l].filters, names[i][5] - '1' + 3);
        assert_int_equal(graph.node[layers.layer[l].node].operation, GRAPH_CONVOLUTION);
    }
    assert_string_equal(layers.layer[1].own_name, "block2_conv1");
    assert_string_equal(layers.layer[1].name, "block2_conv1_2");
    assert_int_equal(layers_filters(&layers), 3 + 4 + 2 * (5 + 6 + 7));
    release(&graph, &layers);
}

/* --- Which layers ------------------------------------------------------------------------------------------------ */

static bool is_usual(const struct layers *layers, const char *name) {
    int l = layers_find(layers, name);
    assert_int_not_equal(l, -1);
    return layers->layer[l].usual;
}

static void convolutions_are_the_usual_layers(void **state) {
    (void)state;
    struct graph graph;
    struct layers layers;
    int x = build_input(&graph, 3), conv = build_convolution(&graph, x, 3, 6);
    int depth = build_after(&graph, &(struct graph_node){.operation = GRAPH_DEPTHWISE, .same = true}, conv);
    int sum = build_node(&graph, &(struct graph_node){.operation = GRAPH_ADD}, (int[2]){conv, depth}, 2);
    int relu = build_activation(&graph, sum, GRAPH_RELU);
    int pooled = build_after(&graph, &(struct graph_node){.operation = GRAPH_GLOBAL_AVERAGE}, relu);
    build_after(&graph, &(struct graph_node){.operation = GRAPH_DENSE, .channels = 5}, pooled);
    make_layers(&graph, &layers);
    assert_int_equal(layers.count, 5);
    assert_true(is_usual(&layers, "n1") && is_usual(&layers, "n2"));
    assert_false(is_usual(&layers, "n3") || is_usual(&layers, "n4") || is_usual(&layers, "n6"));
    assert_int_equal(layers_find(&layers, "n5"), -1);
    assert_int_equal(layers.layer[layers_find(&layers, "n6")].filters, 5);
    assert_int_equal(layers_filters(&layers), 12);
    release(&graph, &layers);
}

static void dense_layers_are_usual_where_there_is_no_convolution(void **state) {
    (void)state;
    struct graph graph;
    struct layers layers;
    int x = build_after(&graph, &(struct graph_node){.operation = GRAPH_GLOBAL_MAX}, build_input(&graph, 1));
    x = build_after(&graph, &(struct graph_node){.operation = GRAPH_DENSE, .channels = 4}, x);
    build_activation(&graph, x, GRAPH_RELU);
    make_layers(&graph, &layers);
    assert_int_equal(layers.count, 2);
    assert_true(is_usual(&layers, "n2"));
    assert_false(is_usual(&layers, "n3"));
    assert_int_equal(layers_filters(&layers), 4);
    release(&graph, &layers);
}

/* How many values a flattened map has depends on the picture's size: no filters. */
static void flattened_maps_are_no_layers(void **state) {
    (void)state;
    struct graph graph;
    struct layers layers;
    int x = build_convolution(&graph, build_input(&graph, 3), 3, 2);
    x = build_after(&graph, &(struct graph_node){.operation = GRAPH_FLATTEN}, x);
    graph.node[x].channels = 0;
    build_activation(&graph, x, GRAPH_TANH);
    make_layers(&graph, &layers);
    assert_int_equal(layers.count, 1);
    assert_string_equal(layers.layer[0].name, "n1");
    release(&graph, &layers);
}

/* --- Weights ----------------------------------------------------------------------------------------------------- */

/* Folding leaves values that nobody needs; a layer used twice has its weights once. */
static void packing_keeps_what_nodes_have(void **state) {
    (void)state;
    struct graph graph;
    struct error error;
    int x = build_convolution(&graph, build_input(&graph, 3), 3, 3);
    assert_true(graph_reserve(&graph, 1000, &error) != GRAPH_NOTHING);
    int twin = build_convolution(&graph, x, 3, 3), other = build_convolution(&graph, twin, 1, 2);
    graph.node[twin].weights = graph.node[x].weights;
    graph.node[twin].bias = graph.node[x].bias;
    graph.node[other].bias = GRAPH_NOTHING;
    size_t kernel = graph.node[x].weights, bias = graph.node[x].bias, last = graph.node[other].weights;
    float *before = malloc(graph.value_count * sizeof *before);
    memcpy(before, graph.values, graph.value_count * sizeof *before);
    assert_int_equal(graph_pack(&graph, &error), STATUS_OK);
    assert_int_equal(graph.value_count, 81 + 3 + 6);
    assert_memory_equal(graph.values + graph.node[x].weights, before + kernel, 81 * sizeof(float));
    assert_memory_equal(graph.values + graph.node[x].bias, before + bias, 3 * sizeof(float));
    assert_memory_equal(graph.values + graph.node[other].weights, before + last, 6 * sizeof(float));
    assert_int_equal(graph.node[twin].weights, graph.node[x].weights);
    assert_int_equal(graph.node[twin].bias, graph.node[x].bias);
    assert_true(graph.node[other].bias == GRAPH_NOTHING);
    free(before);
    graph_free(&graph);
}

/* --- Whole models ------------------------------------------------------------------------------------------------ */

static char *vgg_bn; /* its file: 7 convolutions, fc1 of 16 units, predictions of 10 */

static void read_model(const char *path, const char *config, bool with_top, struct model *model) {
    struct error error;
    if (model_read(path, config, with_top, model, &error))
        fail_msg("%s", error.message);
}

/* A VGG in a file of its own, with a dense top of 5 units. */
static void write_vgg(const char *path) {
    const struct model_recipe recipe = {.top = true};
    struct sample *sample = sample_make(&recipe);
    char *config = sample_functional(sample, NULL, NULL);
    model_file_id file = sample_create(path);
    model_put_text(file, "/", "model_config", config);
    model_put_listed(file, "/model_weights", sample, MODEL_FLOAT, 0);
    sample_close(file);
    free(config);
    sample_free(sample);
}

/* Most of a VGG's numbers stand behind a flattened map: they are read when they are asked for. */
static void a_vggs_top_is_read_when_it_is_asked_for(void **state) {
    (void)state;
    static const char path[] = "vgg.h5";
    struct model model, whole;
    write_vgg(path);
    read_model(path, NULL, false, &model);
    read_model(path, NULL, true, &whole);
    assert_string_equal(model.layers.network, "VGG16");
    assert_int_equal(layers_find(&model.layers, "dense"), -1);
    assert_string_equal(model.graph.left_out, "flatten (Flatten)");
    assert_string_equal(whole.graph.left_out, "");
    int dense = layers_find(&whole.layers, "dense");
    assert_int_not_equal(dense, -1);
    assert_int_equal(whole.layers.layer[dense].filters, 5);
    assert_false(whole.layers.layer[dense].usual);
    assert_true(whole.graph.value_count > model.graph.value_count);
    assert_string_equal(whole.sha256, model.sha256);
    for (int l = 0; l < model.layers.count; l++) /* convolutions are counted first: their noise stays the same */
        if (model.layers.layer[l].usual) {
            assert_string_equal(whole.layers.layer[l].name, model.layers.layer[l].name);
            assert_int_equal(whole.graph.node[whole.layers.layer[l].node].number,
                             model.graph.node[model.layers.layer[l].node].number);
        }
    model_free(&whole);
    model_free(&model);
}

/* Their layers, names and numbers do not depend on what is asked for. */
static void other_networks_are_read_whole(void **state) {
    (void)state;
    struct model model;
    read_model(vgg_bn, NULL, false, &model);
    assert_string_equal(model.layers.network, "vgg_bn");
    assert_string_equal(model.graph.left_out, "");
    int fc1 = layers_find(&model.layers, "fc1"), predictions = layers_find(&model.layers, "predictions");
    assert_int_not_equal(fc1, -1);
    assert_int_equal(model.layers.layer[fc1].filters, 16);
    assert_int_equal(model.layers.layer[predictions].filters, 10);
    assert_false(model.layers.layer[predictions].usual);
    model_free(&model);
}

/* A description of a network of that file's dense layers alone. */
static void write_dense(const char *path, int channels) {
    FILE *config = fopen(path, "w");
    assert_non_null(config);
    fprintf(config,
            "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"dense\",\"layers\":["
            "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"i\",\"batch_input_shape\":[null,8,8,%d]}},"
            "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\"}},"
            "{\"class_name\":\"Dense\",\"config\":{\"name\":\"fc1\",\"units\":16,\"activation\":\"relu\"}},"
            "{\"class_name\":\"Dense\",\"config\":{\"name\":\"predictions\",\"units\":10}}]}}",
            channels);
    assert_int_equal(fclose(config), 0);
}

/* Of a network that is nothing but a top, the top is read without being asked for. */
static void networks_of_dense_layers_are_read_whole(void **state) {
    (void)state;
    static const char path[] = "dense.json";
    struct model model;
    struct error error;
    write_dense(path, 1);
    read_model(vgg_bn, path, false, &model);
    assert_string_equal(model.graph.left_out, "");
    assert_int_equal(layers_filters(&model.layers), 26);
    model_free(&model);
    write_dense(path, 4);
    assert_int_equal(model_read(vgg_bn, path, false, &model, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "dense takes pictures of 4 channels; networks of 1 or 3 can be drawn"));
    assert_null(model.graph.node);
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, folder_enter, folder_leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_safe_and_unlike_each_other),
        cmocka_unit_test(the_longest_names_are_unlike_each_other),
        cmocka_unit_test(names_that_are_safe_stay),
        cmocka_unit_test(the_convolutions_of_a_vgg_have_its_names),
        cmocka_unit_test(convolutions_are_the_usual_layers),
        cmocka_unit_test(dense_layers_are_usual_where_there_is_no_convolution),
        cmocka_unit_test(flattened_maps_are_no_layers),
        cmocka_unit_test(packing_keeps_what_nodes_have),
        FOLDER_TEST(a_vggs_top_is_read_when_it_is_asked_for),
        cmocka_unit_test(other_networks_are_read_whole),
        FOLDER_TEST(networks_of_dense_layers_are_read_whole),
    };
    vgg_bn = realpath("tests/data/networks/vgg_bn.h5", NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(vgg_bn);
    return failed;
}
