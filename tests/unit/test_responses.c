/* What filters of any network answer to an image: the highest of every map that an independent program has computed. */
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/model/model.h"
#include "filteratlas/net/responses.h"
#include "fixtures.h"
#include "twin.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char answers[] = "networks/fixtures_dev.h5";

static void check(int status, const struct error *error) {
    if (status)
        fail_msg("%s", error->message);
}

static struct responses *begin(const struct graph *graph, const int *nodes, int count, int extent, void **tables) {
    struct responses *responses;
    struct error error;
    check(responses_make(graph, nodes, count, extent, winograd_find_kernels(NULL), &responses, &error), &error);
    *tables = huge_pages_allocate(responses_table_bytes(responses) + 64);
    check(responses_place(responses, *tables, &error), &error);
    for (int part = 0; part < 3; part++)
        check(responses_fill_tables(responses, part, 3, &error), &error);
    return responses;
}

/* All layers of the network at once, in their order. */
static int all_nodes(const struct layers *layers, int extent, const struct graph *graph, int *nodes, int *first) {
    struct graph_shape *shapes = malloc((size_t)graph->nodes * sizeof *shapes);
    struct error error;
    int count = 0, filters = 0;
    check(graph_possible_shapes(graph, extent, extent, shapes, &error), &error);
    for (int l = 0; l < layers->count; l++) {
        first[l] = -1;
        if (!shapes[graph->node[layers->layer[l].node].stage].channels)
            continue;
        first[l] = filters;
        filters += layers->layer[l].filters;
        nodes[count++] = layers->layer[l].node;
    }
    free(shapes);
    return count;
}

static const struct layer *find_own(const struct layers *layers, const char *name) {
    for (int l = 0; l < layers->count; l++)
        if (!strcmp(layers->layer[l].own_name, name))
            return &layers->layer[l];
    return NULL;
}

/* The greatest of a map, if it is above 0; *second is the next. */
static double greatest(const float *map, const int shape[2], int *row, int *column, double *second) {
    double highest = 0;
    *row = *column = 0;
    for (int i = 0; i < shape[0] * shape[1]; i++)
        if (map[i] > highest) {
            *second = highest;
            highest = map[i];
            *row = i / shape[1];
            *column = i % shape[1];
        } else {
            *second = fmax(*second, map[i]);
        }
    return highest;
}

static void check_answer(const char *name, const struct activation *got, const float *map, const int shape[2]) {
    int row, column;
    double second = 0, wanted = greatest(map, shape, &row, &column, &second);
    if (!(fabs(got->value - wanted) <= 1e-5 * (wanted + 1e-3)))
        fail_msg("%s: the highest is %.9g, not %.9g", name, got->value, wanted);
    if (wanted > 0 && wanted - second > 1e-4 * wanted && (got->row != row || got->column != column))
        fail_msg("%s: the highest is at %d, %d, not at %d, %d", name, got->row, got->column, row, column);
}

/* False where pictures are not square. */
static bool check_case(const char *name, const struct model *model) {
    char layer[64], path[128];
    int shape[3], map_shape[3], channel = (int)fixture_integer(answers, name, "channel");
    fixture_string(answers, name, "path", layer);
    snprintf(path, sizeof path, "%s/x", name);
    float *x = fixture_floats(answers, path, shape);
    snprintf(path, sizeof path, "%s/output", name);
    float *map = fixture_floats(answers, path, map_shape);
    const struct layers *layers = &model->layers;
    const struct layer *asked = find_own(layers, layer);
    bool square = shape[0] == shape[1];
    assert_non_null(asked);
    if (square) {
        int *nodes = calloc((size_t)layers->count, sizeof *nodes),
            *first = calloc((size_t)layers->count, sizeof *first);
        int count = all_nodes(layers, shape[0], &model->graph, nodes, first), filters = 0;
        void *tables;
        struct responses *responses = begin(&model->graph, nodes, count, shape[0], &tables);
        for (int l = 0; l < layers->count; l++)
            filters += first[l] >= 0 ? layers->layer[l].filters : 0;
        struct activation *highest = calloc((size_t)filters, sizeof *highest);
        assert_true(responses_measure(responses, x, 1, highest, NULL));
        check_answer(name, &highest[first[asked - layers->layer] + channel], map, map_shape);
        responses_free(responses);
        free(tables);
        free(highest);
        free(nodes);
        free(first);
    }
    free(map);
    free(x);
    return square;
}

static void every_highest_is_met(void **state) {
    (void)state;
    struct fixture_names names = fixture_groups(answers);
    char file[64], path[128];
    int count = 0;
    for (int i = 0; i < names.count; i++) {
        struct model model;
        struct error error;
        fixture_string(answers, names.name[i], "model", file);
        snprintf(path, sizeof path, "tests/data/networks/%s", file);
        if (access(path, R_OK))
            continue;
        check(model_read(path, NULL, true, &model, &error), &error);
        count += check_case(names.name[i], &model);
        model_free(&model);
    }
    fixture_names_free(&names);
    printf("# %d answers\n", count);
    assert_true(count >= 70); /* of square pictures */
}

/* Layers of a VGG with one in between left out, by either way through the network. */
static void a_vgg_answers_the_same_either_way(void **state) {
    (void)state;
    enum { EXTENT = 64, IMAGES = 3 };
    static const char *const asked[] = {"block1_conv2", "block3_conv1", "block3_conv3", "block5_conv2"};
    struct model model;
    struct error error;
    int nodes[4], filters = 0;
    check(model_read("jobs/demo/demo_weights.h5", NULL, false, &model, &error), &error);
    for (int i = 0; i < 4; i++) {
        const struct layer *layer = &model.layers.layer[layers_find(&model.layers, asked[i])];
        nodes[i] = layer->node;
        filters += layer->filters;
    }
    float *x = guarded_floats(IMAGES * EXTENT * EXTENT * 3);
    random_map(x, IMAGES * EXTENT * EXTENT, 3, 3, 100);
    struct activation *highest = calloc(IMAGES * (size_t)filters, sizeof *highest),
                      *one = calloc((size_t)filters, sizeof *one);
    void *tables, *others;
    struct responses *responses = begin(&model.graph, nodes, 4, EXTENT, &tables);
    assert_true(responses_measure(responses, x, IMAGES, highest, NULL));
    for (int i = 0; i < IMAGES; i++) {
        assert_true(responses_measure(responses, x + i * EXTENT * EXTENT * 3, 1, one, NULL));
        assert_memory_equal(one, highest + i * filters, (size_t)filters * sizeof *one);
    }
    /* A size that a pooling leaves a remainder of, which the VGG's own way doesn't take. */
    struct responses *odd = begin(&model.graph, nodes, 4, EXTENT - 1, &others);
    assert_true(responses_measure(odd, x, 1, one, NULL));
    responses_free(odd);
    responses_free(responses);
    free(others);
    free(tables);
    free(one);
    free(highest);
    guarded_free(x);
    model_free(&model);
}

/* Size, step and pixels before the first of what a position sees. */
static void a_field_is_what_a_position_sees(void **state) {
    (void)state;
    static const struct {
        const char *file, *layer;
        int extent, first, last, step;
    } known[] = {
        {"jobs/demo/demo_weights.h5", "block1_conv1", 64, -1, 1, 1},
        {"jobs/demo/demo_weights.h5", "block1_conv2", 64, -2, 2, 1},
        {"jobs/demo/demo_weights.h5", "block2_conv1", 64, -4, 5, 2},
        {"jobs/demo/demo_weights.h5", "block3_conv3", 64, -18, 21, 4},
        {"jobs/demo/demo_weights.h5", "block4_conv3", 64, -42, 49, 8},
        {"jobs/demo/demo_weights.h5", "block5_conv3", 64, -90, 105, 16},
        /* 7x7 of stride 2 with 3 zeros around; 3x3 of stride 2 with 1 around; 1x1; 3x3; a join of 3x3 and 1x1 */
        {"tests/data/networks/resnet_like.h5", "conv1_conv", 40, -3, 3, 2},
        {"tests/data/networks/resnet_like.h5", "conv2_block1_1_conv", 40, -5, 5, 4},
        {"tests/data/networks/resnet_like.h5", "conv2_block1_2_conv", 40, -9, 9, 4},
        {"tests/data/networks/resnet_like.h5", "conv2_block1_add", 40, -9, 9, 4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct model model;
        struct graph_field field;
        struct error error;
        check(model_read(known[i].file, NULL, true, &model, &error), &error);
        int layer = layers_find(&model.layers, known[i].layer);
        assert_true(layer >= 0);
        int stage = model.graph.node[model.layers.layer[layer].node].stage;
        check(graph_find_field(&model.graph, stage, known[i].extent, known[i].extent, &field, &error), &error);
        for (int axis = 0; axis < 2; axis++) {
            assert_true(field.first[axis] == known[i].first);
            assert_true(field.last[axis] == known[i].last);
            assert_true(field.step[axis] == known[i].step);
        }
        model_free(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_highest_is_met),
        cmocka_unit_test(a_vgg_answers_the_same_either_way),
        cmocka_unit_test(a_field_is_what_a_position_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
