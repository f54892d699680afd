/* The graph of a network: its shapes at any size, what depends on what, and which channels are a layer's filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/graph.h"

#include <stdio.h>
#include <string.h>

/* --- Helpers ----------------------------------------------------------------------------------------------------- */

static int append(struct graph *graph, const struct graph_node *node, const int *inputs, int count) {
    struct error error;
    int n = graph_append(graph, node, inputs, count, &error);
    if (n < 0)
        fail_msg("%s: %s", node->name, error.message);
    return n;
}

static int add_input(struct graph *graph, int channels) {
    struct graph_node node = {.name = "input", .class_name = "InputLayer", .channels = channels};
    return append(graph, &node, NULL, 0);
}

static struct graph_node convolution(const char *name, int in, int channels, int kernel, int stride, bool same) {
    struct graph_node node = {.class_name = "Conv2D",
                              .operation = GRAPH_CONVOLUTION,
                              .in_channels = in,
                              .channels = channels,
                              .kernel = {kernel, kernel},
                              .stride = {stride, stride},
                              .dilation = {1, 1},
                              .groups = 1,
                              .same = same,
                              .weights = GRAPH_NOTHING,
                              .bias = GRAPH_NOTHING};
    snprintf(node.name, sizeof node.name, "%s", name);
    return node;
}

static int add_convolution(struct graph *graph, const char *name, int input, int channels, int kernel, int stride,
                           bool same) {
    struct graph_node node = convolution(name, graph->node[input].channels, channels, kernel, stride, same);
    return append(graph, &node, &input, 1);
}

static int add_window(struct graph *graph, const char *name, enum graph_operation operation, int input, int kernel,
                      int stride, bool same) {
    struct graph_node node = convolution(name, 0, 0, kernel, stride, same);
    node.operation = operation;
    return append(graph, &node, &input, 1);
}

static int add_plain(struct graph *graph, const char *name, const char *class_name, enum graph_operation operation,
                     int input) {
    struct graph_node node = {.operation = operation, .function = GRAPH_RELU};
    snprintf(node.name, sizeof node.name, "%s", name);
    snprintf(node.class_name, sizeof node.class_name, "%s", class_name);
    return append(graph, &node, &input, 1);
}

static int add_join(struct graph *graph, const char *name, enum graph_operation operation, int a, int b) {
    struct graph_node node = {.class_name = "Join", .operation = operation};
    int inputs[] = {a, b};
    snprintf(node.name, sizeof node.name, "%s", name);
    return append(graph, &node, inputs, 2);
}

static void assert_shape(const struct graph *graph, int height, int width, int n, int out_height, int out_width,
                         int channels) {
    struct graph_shape shapes[32];
    struct error error;
    assert_true(graph->nodes <= 32);
    if (graph_shapes(graph, height, width, n, shapes, &error))
        fail_msg("%s", error.message);
    assert_int_equal(shapes[n].height, out_height);
    assert_int_equal(shapes[n].width, out_width);
    assert_int_equal(shapes[n].channels, channels);
}

static void assert_no_shape(const struct graph *graph, int height, int width, int n, const char *culprit) {
    struct graph_shape shapes[32];
    struct error error;
    assert_int_equal(graph_shapes(graph, height, width, n, shapes, &error), STATUS_USAGE);
    if (!strstr(error.message, culprit))
        fail_msg("'%s' expected in: %s", culprit, error.message);
}

static void assert_refused(struct graph *graph, const struct graph_node *node, const int *inputs, int count,
                           const char *culprit) {
    struct error error = {.status = STATUS_OK};
    int nodes = graph->nodes;
    assert_int_equal(graph_append(graph, node, inputs, count, &error), -1);
    assert_int_equal(error.status, STATUS_USAGE);
    assert_int_equal(graph->nodes, nodes);
    if (!strstr(error.message, culprit))
        fail_msg("'%s' expected in: %s", culprit, error.message);
}

/* --- Windows ----------------------------------------------------------------------------------------------------- */

/* Extents and paddings as TensorFlow's documentation of padding gives them. */
static void windows_are_laid_as_keras_lays_them(void **state) {
    (void)state;
    static const struct {
        int n, kernel, stride, dilation;
        bool same;
        int extent, before;
    } cases[] = {
        {7, 3, 1, 1, false, 5, 0}, {7, 3, 1, 1, true, 7, 1},  {7, 3, 2, 1, true, 4, 1},     {8, 3, 2, 1, true, 4, 0},
        {8, 2, 2, 1, true, 4, 0},  {7, 2, 2, 1, true, 4, 0},  {7, 2, 2, 1, false, 3, 0},    {9, 4, 1, 1, true, 9, 1},
        {9, 3, 1, 2, true, 9, 2},  {9, 3, 1, 2, false, 5, 0}, {51, 11, 4, 1, false, 11, 0}, {2, 3, 1, 1, false, 0, 0},
        {5, 1, 3, 1, true, 2, 0},  {3, 3, 1, 1, false, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = -1;
        assert_int_equal(
            graph_window(cases[i].n, cases[i].kernel, cases[i].stride, cases[i].dilation, cases[i].same, &before),
            cases[i].extent);
        assert_int_equal(before, cases[i].before);
    }
}

/* --- Shapes ------------------------------------------------------------------------------------------------------ */

static void maps_have_their_shapes_at_any_size(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    struct graph_node pad = {.name = "pad", .operation = GRAPH_PAD, .border = {0, 1, 2, 3}};
    int padded = append(&graph, &pad, &input, 1);
    int wide = add_convolution(&graph, "conv", padded, 8, 3, 2, false);
    int pooled = add_window(&graph, "pool", GRAPH_MAX_POOLING, wide, 2, 2, true);
    struct graph_node crop = {.name = "crop", .operation = GRAPH_CROP, .border = {1, 0, 0, 1}};
    int cropped = append(&graph, &crop, &pooled, 1);
    struct graph_node up = {.name = "up", .operation = GRAPH_UPSAMPLE, .stride = {2, 3}};
    int larger = append(&graph, &up, &cropped, 1);
    int mean = add_plain(&graph, "mean", "GlobalAveragePooling2D", GRAPH_GLOBAL_AVERAGE, larger);
    assert_shape(&graph, 10, 12, padded, 11, 17, 3);
    assert_shape(&graph, 10, 12, wide, 5, 8, 8);
    assert_shape(&graph, 10, 12, pooled, 3, 4, 8);
    assert_shape(&graph, 10, 12, cropped, 2, 3, 8);
    assert_shape(&graph, 10, 12, larger, 4, 9, 8);
    assert_shape(&graph, 10, 12, mean, 1, 1, 8);
    assert_shape(&graph, 101, 102, wide, 50, 53, 8);
    assert_no_shape(&graph, 1, 12, wide, "conv");
    assert_no_shape(&graph, 2, 12, larger, "crop");
    graph_free(&graph);
}

static void transposed_convolutions_grow(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    struct graph_node node = convolution("up", 3, 5, 3, 2, true);
    node.operation = GRAPH_TRANSPOSED;
    int same = append(&graph, &node, &input, 1);
    node.same = false;
    int valid = append(&graph, &node, &input, 1);
    node.kernel[0] = node.kernel[1] = 1;
    int sparse = append(&graph, &node, &input, 1);
    assert_shape(&graph, 4, 5, same, 8, 10, 5);
    assert_shape(&graph, 4, 5, valid, 9, 11, 5);
    assert_shape(&graph, 4, 5, sparse, 8, 10, 5);
    graph_free(&graph);
}

static void joins_spread_vectors_and_single_channels(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    int map = add_convolution(&graph, "map", input, 8, 3, 1, true);
    int vector = add_plain(&graph, "vector", "GlobalAveragePooling2D", GRAPH_GLOBAL_AVERAGE, map);
    int grey = add_convolution(&graph, "grey", input, 1, 3, 1, true);
    int small = add_convolution(&graph, "small", map, 8, 3, 2, true);
    int gated = add_join(&graph, "gated", GRAPH_MULTIPLY, vector, map);
    int masked = add_join(&graph, "masked", GRAPH_MULTIPLY, map, grey);
    int both = add_join(&graph, "both", GRAPH_CONCATENATE, map, grey);
    int wrong = add_join(&graph, "wrong", GRAPH_ADD, map, small);
    int unlike = add_join(&graph, "unlike", GRAPH_CONCATENATE, map, vector);
    assert_shape(&graph, 6, 7, gated, 6, 7, 8);
    assert_shape(&graph, 6, 7, masked, 6, 7, 8);
    assert_shape(&graph, 6, 7, both, 6, 7, 9);
    assert_no_shape(&graph, 6, 7, wrong, "wrong");
    assert_no_shape(&graph, 6, 7, unlike, "unlike");
    assert_shape(&graph, 1, 1, wrong, 1, 1, 8);
    struct graph_node add = {.name = "sum", .operation = GRAPH_ADD};
    assert_refused(&graph, &add, (int[]){map, input}, 2, "sum");
    graph_free(&graph);
}

static void a_dense_layer_behind_a_flattened_map_takes_one_size(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    int flat = add_plain(&graph, "flat", "Flatten", GRAPH_FLATTEN, input);
    struct graph_node dense = {
        .name = "fc", .class_name = "Dense", .operation = GRAPH_DENSE, .in_channels = 60, .channels = 10};
    int units = append(&graph, &dense, &flat, 1);
    assert_int_equal(graph.node[flat].channels, 0);
    assert_shape(&graph, 4, 5, flat, 1, 1, 60);
    assert_shape(&graph, 4, 5, units, 1, 1, 10);
    assert_no_shape(&graph, 5, 5, units, "fc (Dense)");
    assert_int_equal(graph_least_extent(&graph, units), 0);
    assert_int_equal(graph_least_extent(&graph, flat), 1);
    graph_free(&graph);
}

static void a_slope_for_each_place_takes_one_size(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    struct graph_node slopes = {.name = "slopes",
                                .operation = GRAPH_ACTIVATION,
                                .function = GRAPH_PRELU,
                                .in_channels = 3,
                                .full = true,
                                .kernel = {6, 7}};
    int n = append(&graph, &slopes, &input, 1);
    assert_shape(&graph, 6, 7, n, 6, 7, 3);
    assert_no_shape(&graph, 7, 7, n, "slopes");
    graph_free(&graph);
}

static void the_least_extent_leaves_every_map_something(void **state) {
    (void)state;
    struct graph graph = {0};
    int a = add_convolution(&graph, "a", add_input(&graph, 3), 4, 7, 2, false);
    int b = add_window(&graph, "b", GRAPH_MAX_POOLING, a, 3, 2, false);
    int c = add_window(&graph, "c", GRAPH_MAX_POOLING, b, 2, 2, true);
    assert_int_equal(graph_least_extent(&graph, a), 7);
    assert_int_equal(graph_least_extent(&graph, b), 11);
    assert_int_equal(graph_least_extent(&graph, c), 11);
    graph_free(&graph);
}

/* Only what the target depends on must have a shape. */
static void others_than_ancestors_are_not_looked_at(void **state) {
    (void)state;
    struct graph graph = {0};
    struct graph_shape shapes[4];
    struct error error;
    int input = add_input(&graph, 3);
    add_convolution(&graph, "large", input, 4, 9, 1, false);
    int small = add_convolution(&graph, "small", input, 4, 3, 1, false);
    int last = add_convolution(&graph, "last", small, 4, 3, 1, false);
    assert_int_equal(graph_shapes(&graph, 5, 5, small, shapes, &error), STATUS_OK);
    assert_int_equal(shapes[1].height, 0);
    assert_int_equal(shapes[last].channels, 0);
    assert_int_equal(shapes[small].height, 3);
    assert_no_shape(&graph, 5, 5, -1, "large");
    bool needed[4];
    graph_ancestors(&graph, last, needed);
    assert_true(needed[0] && !needed[1] && needed[2] && needed[3]);
    graph_free(&graph);
}

/* --- Building ---------------------------------------------------------------------------------------------------- */

static void channels_that_do_not_chain_are_refused(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    struct graph_node node = convolution("conv", 4, 8, 3, 1, true);
    assert_refused(&graph, &node, &input, 1, "conv (Conv2D) takes 4 channels but gets 3");
    node = convolution("conv", 3, GRAPH_MAX_CHANNELS + 1, 3, 1, true);
    assert_refused(&graph, &node, &input, 1, "65537 channels");
    node = convolution("conv", 3, 0, 3, 1, true);
    assert_refused(&graph, &node, &input, 1, "0 channels");
    graph_free(&graph);
}

static void nodes_beyond_reason_are_refused(void **state) {
    (void)state;
    struct graph graph = {0};
    int n = add_input(&graph, 3);
    while (graph.nodes < GRAPH_MAX_NODES)
        n = add_plain(&graph, "relu", "ReLU", GRAPH_ACTIVATION, n);
    struct graph_node more = {.name = "more", .operation = GRAPH_ACTIVATION};
    assert_refused(&graph, &more, &n, 1, "65536 layers");
    assert_shape(&(struct graph){.nodes = 1, .node = graph.node}, 3, 3, 0, 3, 3, 3);
    graph_free(&graph);
    assert_null(graph.node);
    assert_int_equal(graph.nodes, 0);
}

static void values_keep_their_places(void **state) {
    (void)state;
    struct graph graph = {0};
    struct error error;
    assert_int_equal(graph_reserve(&graph, 5, &error), 0);
    memcpy(graph.values, (float[]){1, 2, 3, 4, 5}, 5 * sizeof(float));
    assert_int_equal(graph_reserve(&graph, 1000, &error), 5);
    assert_int_equal(graph.value_count, 1005);
    assert_true(graph.values[4] == 5);
    assert_true(graph_reserve(&graph, (size_t)1 << 40, &error) == GRAPH_NOTHING);
    assert_int_equal(error.status, STATUS_USAGE);
    assert_true(graph_reserve(&graph, (size_t)-1, &error) == GRAPH_NOTHING);
    graph_free(&graph);
}

/* --- Stages ------------------------------------------------------------------------------------------------------ */

static void mark(struct graph *graph) {
    struct error error;
    assert_int_equal(graph_mark_stages(graph, &error), STATUS_OK);
}

static void filters_are_seen_behind_normalisation_and_activation(void **state) {
    (void)state;
    struct graph graph = {0};
    int conv = add_convolution(&graph, "conv", add_input(&graph, 3), 8, 3, 1, true);
    int bn = add_plain(&graph, "bn", "BatchNormalization", GRAPH_AFFINE, conv);
    int relu = add_plain(&graph, "relu", "Activation", GRAPH_ACTIVATION, bn);
    int own = add_convolution(&graph, "own", relu, 8, 3, 1, true);
    int activation = add_plain(&graph, "own", "Conv2D", GRAPH_ACTIVATION, own);
    int behind = add_plain(&graph, "bn2", "BatchNormalization", GRAPH_AFFINE, activation);
    int last = add_convolution(&graph, "last", behind, 8, 3, 1, true);
    int scaled = add_plain(&graph, "scale", "Rescaling", GRAPH_AFFINE, last);
    mark(&graph);
    assert_int_equal(graph.node[conv].stage, relu);
    assert_int_equal(graph.node[own].stage, activation);
    assert_int_equal(graph.node[last].stage, last);
    assert_int_equal(graph.node[activation].stage, -1);
    assert_int_equal(graph.node[bn].stage, -1);
    assert_int_equal(graph.node[scaled].stage, -1);
    assert_int_equal(graph.node[relu].stage, relu);
    assert_int_equal(graph_find(&graph, "own"), own);
    assert_int_equal(graph_find(&graph, "relu"), relu);
    assert_int_equal(graph_find(&graph, "bn"), -1);
    assert_int_equal(graph_find(&graph, "none"), -1);
    graph_free(&graph);
}

/* What two layers read is where both see it; a layer that was left out reads too. */
static void a_stage_ends_where_others_read(void **state) {
    (void)state;
    struct graph graph = {0};
    int conv = add_convolution(&graph, "conv", add_input(&graph, 3), 8, 3, 1, true);
    int bn = add_plain(&graph, "bn", "BatchNormalization", GRAPH_AFFINE, conv);
    int relu = add_plain(&graph, "relu", "Activation", GRAPH_ACTIVATION, bn);
    int sum = add_join(&graph, "sum", GRAPH_ADD, bn, relu);
    int out = add_plain(&graph, "out", "Activation", GRAPH_ACTIVATION, sum);
    int twice = add_convolution(&graph, "twice", out, 8, 3, 1, true);
    int same = add_join(&graph, "same", GRAPH_MULTIPLY, twice, twice);
    int left = add_convolution(&graph, "left", same, 8, 3, 1, true);
    int left_relu = add_plain(&graph, "left_relu", "ReLU", GRAPH_ACTIVATION, left);
    graph.node[left].consumers++;
    mark(&graph);
    assert_int_equal(graph.node[conv].stage, bn);
    assert_int_equal(graph.node[sum].stage, out);
    assert_int_equal(graph.node[twice].stage, twice);
    assert_int_equal(graph.node[left].stage, left);
    assert_int_equal(graph.node[left_relu].stage, left_relu);
    graph_free(&graph);
}

static void a_separable_convolution_is_one_layer(void **state) {
    (void)state;
    struct graph graph = {0};
    int input = add_input(&graph, 3);
    struct graph_node node = convolution("sep", 3, 3, 3, 1, true);
    node.operation = GRAPH_DEPTHWISE;
    int depthwise = append(&graph, &node, &input, 1);
    int pointwise = add_convolution(&graph, "sep", depthwise, 8, 1, 1, true);
    int relu = add_plain(&graph, "sep", "SeparableConv2D", GRAPH_ACTIVATION, pointwise);
    snprintf(node.name, sizeof node.name, "depthwise");
    node.in_channels = node.channels = 8;
    int alone = append(&graph, &node, &relu, 1);
    int dense = add_convolution(&graph, "next", alone, 4, 1, 1, true);
    mark(&graph);
    assert_int_equal(graph.node[depthwise].stage, -1);
    assert_int_equal(graph.node[pointwise].stage, relu);
    assert_int_equal(graph_find(&graph, "sep"), pointwise);
    assert_int_equal(graph.node[alone].stage, alone);
    assert_int_equal(graph.node[pointwise].number, 0);
    assert_int_equal(graph.node[alone].number, 1);
    assert_int_equal(graph.node[dense].number, 2);
    graph_free(&graph);
}

/* A network's convolutions have the same numbers with and without what else can be asked for. */
static void convolutions_are_counted_first(void **state) {
    (void)state;
    struct graph graph = {0};
    int a = add_convolution(&graph, "a", add_input(&graph, 3), 8, 3, 1, true);
    int relu = add_plain(&graph, "relu", "ReLU", GRAPH_ACTIVATION, a);
    int b = add_convolution(&graph, "b", relu, 8, 3, 1, true);
    int sum = add_join(&graph, "sum", GRAPH_ADD, relu, b);
    mark(&graph);
    assert_int_equal(graph.node[a].number, 0);
    assert_int_equal(graph.node[b].number, 1);
    assert_int_equal(graph.node[relu].number, 2);
    assert_int_equal(graph.node[sum].number, 3);
    assert_int_equal(graph.node[0].number, -1);
    graph_free(&graph);
}

/* --- Costs ------------------------------------------------------------------------------------------------------- */

static void costs_are_multiplications_and_additions(void **state) {
    (void)state;
    struct graph graph = {0};
    struct graph_shape shapes[3];
    struct error error;
    int a = add_convolution(&graph, "a", add_input(&graph, 4), 8, 3, 1, true);
    struct graph_node node = convolution("b", 8, 16, 5, 2, true);
    node.groups = 2;
    int b = append(&graph, &node, &a, 1);
    assert_int_equal(graph_shapes(&graph, 10, 12, -1, shapes, &error), STATUS_OK);
    assert_true(graph_node_flops(&graph, 0, shapes) == 0);
    assert_true(graph_node_flops(&graph, a, shapes) == 2.0 * 10 * 12 * 9 * 4 * 8);
    assert_true(graph_node_flops(&graph, b, shapes) == 2.0 * 5 * 6 * 25 * 4 * 16);
    graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_laid_as_keras_lays_them),
        cmocka_unit_test(maps_have_their_shapes_at_any_size),
        cmocka_unit_test(transposed_convolutions_grow),
        cmocka_unit_test(joins_spread_vectors_and_single_channels),
        cmocka_unit_test(a_dense_layer_behind_a_flattened_map_takes_one_size),
        cmocka_unit_test(a_slope_for_each_place_takes_one_size),
        cmocka_unit_test(the_least_extent_leaves_every_map_something),
        cmocka_unit_test(others_than_ancestors_are_not_looked_at),
        cmocka_unit_test(channels_that_do_not_chain_are_refused),
        cmocka_unit_test(nodes_beyond_reason_are_refused),
        cmocka_unit_test(values_keep_their_places),
        cmocka_unit_test(filters_are_seen_behind_normalisation_and_activation),
        cmocka_unit_test(a_stage_ends_where_others_read),
        cmocka_unit_test(a_separable_convolution_is_one_layer),
        cmocka_unit_test(convolutions_are_counted_first),
        cmocka_unit_test(costs_are_multiplications_and_additions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
