/* Pictures of other networks than VGGs climb, in colour or grey, whatever stands behind their layers. */
#include "ascent/noise.h"
#include "filled.h"
#include "filteratlas/ascent/ascent.h"
#include "filteratlas/ascent/cost.h"
#include "filteratlas/model/model_file.h"
#include "filteratlas/net/gemm.h"
#include "graph_builder.h"
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

static const char DEMO[] = "jobs/demo/demo_weights.h5";

enum { FILTERS = 3, SIZE = 48 };
static const int filters[FILTERS] = {0, 1, 5};

static void check(int status, const struct error *error) {
    if (status)
        fail_msg("%s", error->message);
}

static struct ascent_job job_of(enum recipe_kind recipe) {
    struct ascent_job job = {
        .recipe = recipe, .epochs = 4, .step = 1, .rate = 0.05, .spectrum = 1, .marks_leaks = true};
    octaves_make(SIZE, SIZE, 1.2, 2, &job.octaves);
    if (recipe == RECIPE_FOURIER) {
        octaves_climb_last(&job.octaves);
        job.jitter = ASCENT_JITTER_ALL;
        job.objective.leak = true;
        job.preprocess = PREPROCESS_NONE;
    }
    return job;
}

/* An ascent on a graph, of one layer. */
struct drawing {
    struct executor *executor;
    struct ascent *ascent;
    void *tables;
};

static struct drawing begin(const struct graph *graph, const struct ascent_job *job, int layer, int batch) {
    struct drawing d;
    struct error error;
    d.tables = filled_executor(graph, &job->octaves, layer, winograd_find_kernels(NULL), &d.executor);
    check(ascent_make(d.executor, job, batch, &d.ascent, &error), &error);
    return d;
}

static void end(struct drawing *d) {
    ascent_free(d->ascent);
    executor_free(d->executor);
    free(d->tables);
}

static void assert_equal_results(const struct ascent_result *a, const struct ascent_result *b, size_t bytes) {
    assert_int_equal(a->dead, b->dead);
    assert_int_equal(a->iterations, b->iterations);
    assert_memory_equal(a->trace, b->trace, a->iterations * sizeof *a->trace);
    if (!a->dead)
        assert_memory_equal(a->picture, b->picture, bytes);
}

/* --- Other networks ----------------------------------------------------------------------------------------------- */

static bool is_grey(const uint8_t *picture, size_t pixels) {
    for (size_t i = 0; i < pixels; i++, picture += 3)
        if (picture[0] != picture[1] || picture[1] != picture[2])
            return false;
    return true;
}

/* A layer's filters, all together and each alone: they climb, and company changes nothing. */
static void draw_layer(const struct graph *graph, int layer, enum recipe_kind recipe) {
    struct ascent_job job = job_of(recipe);
    struct ascent_result together[FILTERS], alone;
    struct error error;
    job.grey = graph->node[0].channels == 1;
    struct drawing all = begin(graph, &job, layer, FILTERS), one = begin(graph, &job, layer, 1);
    check(ascent_draw(all.ascent, layer, filters, FILTERS, NULL, together, &error), &error);
    for (int i = 0; i < FILTERS; i++) {
        check(ascent_draw(one.ascent, layer, &filters[i], 1, NULL, &alone, &error), &error);
        assert_equal_results(&together[i], &alone, (size_t)SIZE * SIZE * 3);
        if (alone.dead)
            continue;
        assert_int_equal(is_grey(alone.picture, (size_t)SIZE * SIZE), job.grey);
        assert_int_equal(alone.iterations, job.octaves.steps * job.epochs);
        if (recipe == RECIPE_KERAS && !(alone.trace[job.epochs - 1] > alone.trace[0]))
            fail_msg("node %d, filter %d: from %g to %g", layer, filters[i], alone.trace[0],
                     alone.trace[job.epochs - 1]);
    }
    end(&one);
    end(&all);
}

static void draw_all(struct graph *graph) {
    build_finish(graph);
    for (int n = 0; n < graph->nodes; n++)
        if (graph->node[n].stage >= 0)
            for (enum recipe_kind recipe = 0; recipe < RECIPES; recipe++)
                draw_layer(graph, n, recipe);
    graph_free(graph);
}

/* Values of a picture are up to 255: the first normalisation brings them near 1. */
static int build_start(struct graph *graph, int channels) {
    int x = build_normalisation(graph, build_input(graph, channels));
    for (int c = 0; c < channels; c++)
        graph->values[graph->node[x].weights + c] = 1 / 64.F;
    return x;
}

static void other_networks_are_drawn(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct graph graph;
        int x = build_convolution(&graph, build_start(&graph, channels), 3, 16), side = x;
        x = build_activation(&graph, build_normalisation(&graph, x), GRAPH_SWISH);
        x = build_convolution(&graph, x, 3, 16);
        x = build_node(&graph, &(struct graph_node){.operation = GRAPH_ADD}, (const int[2]){x, side}, 2);
        build_activation(&graph, build_convolution(&graph, x, 1, 8), GRAPH_TANH);
        draw_all(&graph);
    }
}

/* Behind a layer without activation a filter's loss may be negative: it is climbed all the same. Behind a ReLU it is
 * dead. */
static void silence_ends_an_ascent_behind_a_relu_alone(void **state) {
    (void)state;
    for (int rectified = 0; rectified < 2; rectified++) {
        struct graph graph;
        struct ascent_job job = job_of(RECIPE_KERAS);
        struct ascent_result results[FILTERS];
        struct error error;
        int layer = build_convolution(&graph, build_start(&graph, 3), 3, 16);
        if (rectified)
            build_activation(&graph, layer, GRAPH_RELU);
        build_finish(&graph);
        for (int c = 0; c < 16; c++)
            graph.values[graph.node[layer].bias + c] = -1e4F;
        struct drawing d = begin(&graph, &job, layer, FILTERS);
        check(ascent_draw(d.ascent, layer, filters, FILTERS, NULL, results, &error), &error);
        for (int i = 0; i < FILTERS; i++) {
            assert_int_equal(results[i].dead, rectified);
            assert_true(rectified ? results[i].loss == 0 : results[i].loss < -1e3);
            assert_int_equal(results[i].iterations, rectified ? 1 : job.octaves.steps * job.epochs);
        }
        end(&d);
        graph_free(&graph);
    }
}

/* A channel of no weights has no gradient. */
static void a_filter_without_gradient_is_dead(void **state) {
    (void)state;
    struct graph graph;
    struct ascent_job job = job_of(RECIPE_KERAS);
    struct ascent_result results[FILTERS];
    struct error error;
    int layer = build_convolution(&graph, build_start(&graph, 3), 1, 16);
    build_finish(&graph);
    for (int i = 0; i < 3; i++)
        graph.values[graph.node[layer].weights + i * 16 + filters[1]] = 0;
    struct drawing d = begin(&graph, &job, layer, FILTERS);
    check(ascent_draw(d.ascent, layer, filters, FILTERS, NULL, results, &error), &error);
    for (int i = 0; i < FILTERS; i++)
        assert_int_equal(results[i].dead, i == 1);
    end(&d);
    graph_free(&graph);
}

static void refuse(int channels, bool grey) {
    struct graph graph;
    struct ascent_job job = job_of(RECIPE_KERAS);
    struct executor *executor;
    struct ascent *ascent;
    struct error error;
    int layer = build_convolution(&graph, build_input(&graph, channels), 3, 4);
    build_finish(&graph);
    bool *layers = calloc(graph.nodes, sizeof *layers);
    layers[layer] = true;
    job.grey = grey;
    check(executor_make(&graph, &job.octaves, layers, winograd_find_kernels(NULL), &executor, &error), &error);
    assert_int_equal(ascent_make(executor, &job, 1, &ascent, &error), STATUS_USAGE);
    ascent_free(ascent);
    executor_free(executor);
    free(layers);
    graph_free(&graph);
}

static void other_channels_are_refused(void **state) {
    (void)state;
    refuse(4, false);
    refuse(1, false);
    refuse(3, true);
}

/* The grey Keras recipe is the colour one on a picture of one channel: its first picture is the noise of height x width
 * numbers, and one step is the normalised gradient. */
static void a_grey_picture_has_the_noise_of_one_channel(void **state) {
    (void)state;
    struct graph graph;
    struct ascent_job job = job_of(RECIPE_KERAS);
    struct ascent_result result;
    struct error error;
    job.grey = true;
    job.epochs = 1;
    job.octaves.steps = 1;
    int layer = build_convolution(&graph, build_start(&graph, 1), 3, 6), filter = 5;
    build_finish(&graph);
    struct drawing d = begin(&graph, &job, layer, 1);
    check(ascent_draw(d.ascent, layer, &filter, 1, NULL, &result, &error), &error);
    int height = job.octaves.height[0], width = job.octaves.width[0];
    size_t pixels = (size_t)height * width;
    float *noise = guarded_floats(pixels);
    noise_picture(&(struct noise_stream){.layer = graph.node[layer].number, .filter = filter}, pixels, noise);
    double *wide = twin_widen(noise, pixels);
    double loss = graph_loss(&graph, height, width, layer, filter, wide);
    assert_true(fabs(result.trace[0] - loss) < 1e-5 * fabs(loss));
    free(wide);
    guarded_free(noise);
    end(&d);
    graph_free(&graph);
}

/* --- Costs -------------------------------------------------------------------------------------------------------- */

static double cost_of(const struct drawing *d, const struct ascent_job *job, int layer, int count) {
    struct error error;
    static struct layer_cost cost;
    check(cost_of_layer(d->executor, job, layer, &cost, &error), &error);
    assert_true(cost.flops > 0);
    return cost.seconds[count];
}

static void a_vgg_costs_what_it_did(void **state) {
    (void)state;
    static struct layer_cost cost;
    struct ascent_job job = job_of(RECIPE_FOURIER);
    struct weights weights;
    struct model_file model;
    struct error error;
    check(weights_read(DEMO, NULL, &weights, &error), &error);
    check(model_file_read(DEMO, NULL, false, &model, &error), &error);
    int node = graph_find(&model.graph, "block4_conv1"), layer = vgg_find(&weights.net, "block4_conv1");
    struct drawing d = begin(&model.graph, &job, node, 1);
    cost_of_vgg_layer(&weights.net, &job, layer, &cost);
    for (int count = 1; count <= 8; count++)
        assert_true(cost_of(&d, &job, node, count) == cost.seconds[count]);
    end(&d);
    graph_free(&model.graph);
    weights_free(&weights);
}

/* Deeper layers, more filters and larger pictures cost more; filters together no more than alone. */
static void costs_grow_with_the_work(void **state) {
    (void)state;
    struct graph graph;
    struct ascent_job small = job_of(RECIPE_KERAS), large = small;
    octaves_make(2 * SIZE, 2 * SIZE, 1.2, 2, &large.octaves);
    int first = build_convolution(&graph, build_start(&graph, 3), 3, 16);
    int second = build_convolution(&graph, build_activation(&graph, first, GRAPH_SWISH), 3, 16);
    int third = build_convolution(&graph, build_activation(&graph, second, GRAPH_RELU), 1, 16);
    build_finish(&graph);
    struct drawing a = begin(&graph, &small, first, 1), b = begin(&graph, &small, second, 1);
    struct drawing c = begin(&graph, &small, third, 1), d = begin(&graph, &large, third, 1);
    assert_true(cost_of(&a, &small, first, 1) > 0);
    assert_true(cost_of(&b, &small, second, 1) > cost_of(&a, &small, first, 1));
    assert_true(cost_of(&c, &small, third, 1) > cost_of(&a, &small, first, 1));
    assert_true(cost_of(&d, &large, third, 1) > 2 * cost_of(&c, &small, third, 1));
    assert_true(cost_of(&c, &small, third, 8) > 4 * cost_of(&c, &small, third, 1));
    assert_true(cost_of(&c, &small, third, 8) <= 8 * cost_of(&c, &small, third, 1) * (1 + 1e-9));
    end(&a);
    end(&b);
    end(&c);
    end(&d);
    graph_free(&graph);
}

static int set_up(void **state) {
    (void)state;
    gemm_use_one_thread();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_networks_are_drawn),
        cmocka_unit_test(silence_ends_an_ascent_behind_a_relu_alone),
        cmocka_unit_test(a_filter_without_gradient_is_dead),
        cmocka_unit_test(other_channels_are_refused),
        cmocka_unit_test(a_grey_picture_has_the_noise_of_one_channel),
        cmocka_unit_test(a_vgg_costs_what_it_did),
        cmocka_unit_test(costs_grow_with_the_work),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
