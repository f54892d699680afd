/* Networks as Keras saves them: read from every layout, they compute what an independent program computes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/model_file.h"
#include "fixtures.h"
#include "twin_graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char answers[] = "networks/fixtures_dev.h5";

static void read_network(const char *name, struct graph *graph) {
    char path[256];
    struct model_file model;
    struct error error;
    snprintf(path, sizeof path, "tests/data/networks/%s", name);
    if (model_file_read(path, NULL, false, &model, &error))
        fail_msg("%s", error.message);
    *graph = model.graph;
}

static double mean_of(const double *map, const struct graph_shape *shape, int channel) {
    size_t positions = (size_t)shape->height * shape->width;
    double sum = 0;
    for (size_t i = 0; i < positions; i++)
        sum += map[i * shape->channels + channel];
    return sum / positions;
}

/* One answer: the loss, and that the stage is the node that the answer names. */
static void check_case(const char *name, const struct graph *graph) {
    char layer[64], stage[64], path[128];
    int shape[3], channel = (int)fixture_integer(answers, name, "channel");
    struct graph_shape out;
    fixture_string(answers, name, "path", layer);
    fixture_string(answers, name, "stage_path", stage);
    snprintf(path, sizeof path, "%s/x", name);
    double *picture = fixture_doubles(answers, path, shape), loss = fixture_number(answers, name, "loss");
    int n = graph_find(graph, layer);
    if (n < 0)
        fail_msg("%s: no layer %s", name, layer);
    assert_int_equal(shape[2], graph->node[0].channels);
    double *map = twin_graph_forward(graph, graph->node[n].stage, shape[0], shape[1], picture, &out);
    double got = mean_of(map, &out, channel);
    if (!(fabs(got - loss) <= 2e-6 * fmax(1, fabs(loss))))
        fail_msg("%s: loss %.9g, not %.9g", name, got, loss);
    free(map);
    free(picture);
}

static bool has_stage(const char *name, const struct graph *graph) {
    char layer[64], stage[64];
    fixture_string(answers, name, "path", layer);
    fixture_string(answers, name, "stage_path", stage);
    int n = graph_find(graph, layer);
    return n >= 0 && !strcmp(graph->node[graph->node[n].stage].name, stage);
}

/* Calls check for every answer whose network is in tests/data/networks; returns how many there are. */
static int for_each_case(bool folded) {
    struct fixture_names names = fixture_groups(answers);
    char model[64], last[64] = "", path[128];
    struct graph graph = {0};
    struct error error;
    int checked = 0;
    for (int i = 0; i < names.count; i++) {
        fixture_string(answers, names.name[i], "model", model);
        snprintf(path, sizeof path, "tests/data/networks/%s", model);
        if (access(path, R_OK))
            continue;
        if (strcmp(model, last)) {
            graph_free(&graph);
            read_network(model, &graph);
            if (folded)
                assert_int_equal(graph_fold(&graph, &error), STATUS_OK);
            snprintf(last, sizeof last, "%s", model);
        }
        if (!folded && !has_stage(names.name[i], &graph))
            fail_msg("%s: the stage is another", names.name[i]);
        check_case(names.name[i], &graph);
        checked++;
    }
    graph_free(&graph);
    fixture_names_free(&names);
    return checked;
}

static void every_network_computes_what_keras_computes(void **state) {
    (void)state;
    assert_true(for_each_case(false) >= 100);
}

static void folding_changes_no_value(void **state) {
    (void)state;
    assert_true(for_each_case(true) >= 100);
}

static int count_operations(const struct graph *graph, enum graph_operation operation) {
    int count = 0;
    for (int n = 0; n < graph->nodes; n++)
        count += graph->node[n].operation == operation;
    return count;
}

/* Behind a convolution it goes into the kernel; in front of one it stays. */
static void normalisation_is_folded_where_it_can_be(void **state) {
    (void)state;
    struct graph graph;
    struct error error;
    read_network("vgg_bn.h5", &graph);
    int before = count_operations(&graph, GRAPH_AFFINE);
    assert_true(before > 0);
    assert_int_equal(graph_fold(&graph, &error), STATUS_OK);
    assert_int_equal(count_operations(&graph, GRAPH_AFFINE), 0);
    graph_free(&graph);
    read_network("densenet_like.h5", &graph);
    assert_int_equal(graph_fold(&graph, &error), STATUS_OK);
    assert_true(count_operations(&graph, GRAPH_AFFINE) > 0);
    graph_free(&graph);
}

static void a_network_tells_its_name_and_size(void **state) {
    (void)state;
    struct graph graph;
    read_network("small_cnn_k205.h5", &graph);
    assert_int_equal(graph.node[0].channels, 1);
    assert_int_equal(graph.height, 40);
    assert_int_equal(graph.width, 56);
    assert_string_equal(graph.left_out, "");
    graph_free(&graph);
    read_network("nested_k3151.h5", &graph);
    assert_string_equal(graph.name, "nested");
    assert_int_equal(graph.height, 32);
    graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_computes_what_keras_computes),
        cmocka_unit_test(folding_changes_no_value),
        cmocka_unit_test(normalisation_is_folded_where_it_can_be),
        cmocka_unit_test(a_network_tells_its_name_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
