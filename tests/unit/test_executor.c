/* Networks as Keras saves them, run by the executor: every answer of an independent program, loss and gradient. */
#include "filled.h"
#include "filteratlas/model/model.h"
#include "filteratlas/net/executor.h"
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

enum { CASES = 100 }; /* at least */

static const double LOSS = 1e-5, GRADIENT = 1e-4, FLIPPED = 1e-2;

static const struct objective mean; /* of the whole map */

static void check(int status, const struct error *error) {
    if (status)
        fail_msg("%s", error->message);
}

/* Losses and gradients of channels of one layer, for all pictures together. */
static void run(const struct graph *graph, int layer, const int shape[3], struct network_picture *pictures, int count) {
    struct octaves octaves = {.steps = 1, .height = {shape[0]}, .width = {shape[1]}};
    struct executor *executor;
    struct executor_memory *memory;
    struct error error;
    void *tables = filled_executor(graph, &octaves, layer, winograd_find_kernels(NULL), &executor);
    check(executor_memory_make(executor, count, &memory, &error), &error);
    assert_true(executor_gradients(executor, memory, &mean, layer, shape[0], shape[1], pictures, count, NULL));
    executor_memory_free(memory);
    executor_free(executor);
    free(tables);
}

/* The gradient's error: relative in the Euclidean norm. */
static double check_case(const char *name, const struct graph *graph) {
    char layer[64], path[128];
    int shape[3], channel = (int)fixture_integer(answers, name, "channel");
    fixture_string(answers, name, "path", layer);
    snprintf(path, sizeof path, "%s/x", name);
    float *x = fixture_floats(answers, path, shape);
    snprintf(path, sizeof path, "%s/gradient", name);
    double *wanted = fixture_doubles(answers, path, shape), wanted_loss = fixture_number(answers, name, "loss");
    size_t count = (size_t)shape[0] * shape[1] * shape[2];
    float *gradient = guarded_floats(count);
    int n = graph_find(graph, layer);
    assert_true(n >= 0);
    struct network_picture picture = {.filter = channel, .x = x, .gradient = gradient};
    run(graph, n, shape, &picture, 1);
    double loss = picture.loss, error = twin_error(gradient, wanted, count);
    if (!(fabs(loss - wanted_loss) <= LOSS * fabs(wanted_loss)))
        fail_msg("%s: loss %.9g, not %.9g", name, loss, wanted_loss);
    if (!(error <= FLIPPED))
        fail_msg("%s: the gradient is %g beside", name, error);
    guarded_free(gradient);
    free(wanted);
    free(x);
    return error;
}

static void every_answer_is_met(void **state) {
    (void)state;
    struct fixture_names names = fixture_groups(answers);
    char model[64], path[128];
    int flipped = 0, count = 0;
    double greatest = 0;
    for (int i = 0; i < names.count; i++) {
        struct model_file file;
        struct error error;
        fixture_string(answers, names.name[i], "model", model);
        snprintf(path, sizeof path, "tests/data/networks/%s", model);
        if (access(path, R_OK))
            continue;
        check(model_file_read(path, NULL, false, &file, &error), &error);
        double of_case = check_case(names.name[i], &file.graph);
        graph_free(&file.graph);
        flipped += of_case > GRADIENT;
        greatest = fmax(greatest, of_case);
        count++;
    }
    fixture_names_free(&names);
    printf("# %d answers; gradients beside by up to %.2g, %d by more than %g\n", count, greatest, flipped, GRADIENT);
    assert_true(count >= CASES);
    assert_true(flipped * 20 <= count);
}

/* Several pictures of one layer together, and each alone: the same bits. */
static void compare_company(const struct graph *graph, const struct layer *layer, const int shape[3], float *x) {
    enum { PICTURES = 3 };
    size_t floats = (size_t)shape[0] * shape[1] * shape[2];
    float *together = guarded_floats(PICTURES * floats), *alone = guarded_floats(floats);
    struct network_picture pictures[PICTURES];
    for (int i = 0; i < PICTURES; i++)
        pictures[i] = (struct network_picture){
            .filter = i % layer->filters, .x = x + i * floats, .gradient = together + i * floats};
    run(graph, layer->node, shape, pictures, PICTURES);
    for (int i = 0; i < PICTURES; i++) {
        struct network_picture one = pictures[i];
        one.gradient = alone;
        run(graph, layer->node, shape, &one, 1);
        if (one.loss != pictures[i].loss || memcmp(alone, together + i * floats, floats * sizeof *alone) != 0)
            fail_msg("%s: picture %d depends on the others", layer->name, i);
    }
    guarded_free(alone);
    guarded_free(together);
}

/* At sizes that leave odd maps, of few positions, whose bytes are no multiples of a cache line. */
static void a_picture_does_not_depend_on_its_company(void **state) {
    (void)state;
    static const char *const networks[] = {"resnet_like", "mobilenet_like", "inception_like", "se_like", "small_cnn"};
    static const int extent[] = {39, 36, 43, 37, 50};
    for (size_t i = 0; i < sizeof extent / sizeof *extent; i++) {
        struct model model;
        struct error error;
        char path[128];
        snprintf(path, sizeof path, "tests/data/networks/%s.h5", networks[i]);
        check(model_read(path, NULL, false, &model, &error), &error);
        const int shape[3] = {extent[i], extent[i], model.graph.node[0].channels};
        float *x = guarded_floats(3 * (size_t)shape[0] * shape[1] * shape[2]);
        random_map(x, 3 * (size_t)shape[0] * shape[1], shape[2], shape[2], 1);
        for (int l = i; l < model.layers.count; l += 3)
            if (!graph_needs_size(&model.graph, model.graph.node[model.layers.layer[l].node].stage))
                compare_company(&model.graph, &model.layers.layer[l], shape, x);
        guarded_free(x);
        model_free(&model);
    }
}

/* Pictures of one layer together, by struct network. */
static void run_network(const struct weights *weights, int layer, const int shape[3], struct network_picture *pictures,
                        int count) {
    struct octaves octaves = {.steps = 1, .height = {shape[0]}, .width = {shape[1]}};
    struct network network;
    struct network_memory memory;
    struct error error;
    void *tables = filled_network(weights, &octaves, layer, winograd_find_kernels(NULL), &network);
    check(network_memory_make(&network, &octaves, layer, count, &memory, &error), &error);
    assert_true(network_gradients(&network, &memory, &mean, layer, shape[0], shape[1], pictures, count, NULL));
    network_memory_free(&memory);
    network_free(&network);
    free(tables);
}

static void compare_with_network(const struct weights *weights, const struct graph *graph, const char *name,
                                 const int shape[3]) {
    enum { PICTURES = 6 };
    int layer = vgg_find(&weights->net, name), node = graph_find(graph, name);
    size_t floats = (size_t)shape[0] * shape[1] * shape[2];
    float *x = guarded_floats(PICTURES * floats), *of_graph = guarded_floats(PICTURES * floats),
          *of_network = guarded_floats(PICTURES * floats);
    struct network_picture by_graph[PICTURES], by_network[PICTURES];
    random_map(x, PICTURES * (size_t)shape[0] * shape[1], shape[2], shape[2], 100);
    for (int i = 0; i < PICTURES; i++) {
        by_graph[i] = (struct network_picture){.filter = i, .x = x + i * floats, .gradient = of_graph + i * floats};
        by_network[i] = (struct network_picture){.filter = i, .x = x + i * floats, .gradient = of_network + i * floats};
    }
    run(graph, node, shape, by_graph, PICTURES);
    run_network(weights, layer, shape, by_network, PICTURES);
    assert_int_equal(graph->node[node].number, layer);
    double losses = 0;
    for (int i = 0; i < PICTURES; i++) {
        assert_true(by_graph[i].loss == by_network[i].loss);
        losses += by_graph[i].loss;
    }
    assert_true(losses > 0);
    assert_memory_equal(of_graph, of_network, PICTURES * floats * sizeof *x);
    guarded_free(of_network);
    guarded_free(of_graph);
    guarded_free(x);
}

static void a_vggs_gradients_are_those_of_struct_network(void **state) {
    (void)state;
    static const char demo[] = "jobs/demo/demo_weights.h5";
    static const char *const names[] = {"block1_conv1", "block2_conv2", "block4_conv1", "block5_conv3"};
    static const int shapes[][3] = {{48, 61, 3}, {131, 116, 3}};
    struct weights weights;
    struct model_file file;
    struct error error;
    check(weights_read(demo, NULL, &weights, &error), &error);
    check(model_file_read(demo, NULL, false, &file, &error), &error);
    for (int i = 0; i < 4; i++)
        for (int s = 0; s < 2; s++)
            compare_with_network(&weights, &file.graph, names[i], shapes[s]);
    graph_free(&file.graph);
    weights_free(&weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_met),
        cmocka_unit_test(a_vggs_gradients_are_those_of_struct_network),
        cmocka_unit_test(a_picture_does_not_depend_on_its_company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
