/* The ascent's parts, and whole small renders, against an independent program's answers in tests/data. */
#include "ascent/noise.h"
#include "ascent/picture8.h"
#include "filled.h"
#include "filteratlas/ascent/ascent.h"
#include "filteratlas/image/resize.h"
#include "fixtures.h"

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

static void noise_equals_numpy(void **state) {
    (void)state;
    char path[64], values[80];
    int cases = 0, shape[3];
    for (;; cases++) {
        snprintf(path, sizeof path, "case%d", cases);
        if (!fixture_exists("noise.h5", path))
            break;
        snprintf(values, sizeof values, "%s/uniform", path);
        double *wanted = fixture_doubles("noise.h5", values, shape);
        size_t count = (size_t)shape[0] * shape[1] * shape[2];
        double *got = malloc(count * sizeof *got);
        const struct noise_stream stream = {.seed = fixture_integer("noise.h5", path, "seed"),
                                            .layer = (int)fixture_number("noise.h5", path, "layer"),
                                            .filter = (int)fixture_number("noise.h5", path, "filter")};
        noise_uniform(&stream, count, got);
        assert_memory_equal(got, wanted, count * sizeof *got);
        free(got);
        free(wanted);
    }
    assert_true(cases >= 5);
}

static void resize_equals_pillow(void **state) {
    (void)state;
    char path[64];
    int cases = 0, in[3], out[3];
    for (;; cases++) {
        struct error error;
        snprintf(path, sizeof path, "case%d", cases);
        if (!fixture_exists("bicubic.h5", path))
            break;
        strcat(path, "/input");
        uint8_t *input = fixture_bytes("bicubic.h5", path, in);
        snprintf(path, sizeof path, "case%d/output", cases);
        uint8_t *wanted = fixture_bytes("bicubic.h5", path, out), *got = malloc((size_t)out[0] * out[1] * 3);
        assert_int_equal(resize_bicubic(input, in[1], in[0], got, out[1], out[0], &error), 0);
        assert_memory_equal(got, wanted, (size_t)out[0] * out[1] * 3);
        free(input);
        free(wanted);
        free(got);
    }
    assert_true(cases >= 9);
}

static void picture8_equals_numpy(void **state) {
    (void)state;
    char path[64];
    int cases = 0, shape[3];
    for (;; cases++) {
        snprintf(path, sizeof path, "case%d", cases);
        if (!fixture_exists("picture8.h5", path))
            break;
        strcat(path, "/input");
        float *input = fixture_floats("picture8.h5", path, shape);
        snprintf(path, sizeof path, "case%d/output", cases);
        uint8_t *wanted = fixture_bytes("picture8.h5", path, shape);
        size_t count = (size_t)shape[0] * shape[1] * shape[2];
        uint8_t *got = malloc(count);
        picture8(input, count, got);
        assert_memory_equal(got, wanted, count);
        free(input);
        free(wanted);
        free(got);
    }
    assert_true(cases >= 5);
}

static struct weights weights;
static const struct objective mean; /* of the whole map */
static struct network demo;
static void *demo_tables;

/* Sizes from small to large, so that every layer has its tables. */
static struct octaves all_sizes(void) {
    struct octaves octaves = {.steps = OCTAVES_MAX_STEPS};
    for (int i = 0; i < octaves.steps; i++)
        octaves.width[i] = octaves.height[i] = 16 * (i + 1);
    return octaves;
}

static int read_demo(void **state) {
    (void)state;
    struct error error;
    if (weights_read(DEMO, NULL, &weights, &error))
        return -1;
    struct octaves all = all_sizes();
    demo_tables = filled_network(&weights, &all, weights.net.layers - 1, winograd_find_kernels(NULL), &demo);
    return 0;
}

static int free_demo(void **state) {
    (void)state;
    network_free(&demo);
    free(demo_tables);
    weights_free(&weights);
    return 0;
}

/* |got - wanted| / |wanted| in the Euclidean norm. */
static double relative_error(const float *got, const double *wanted, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        norm += wanted[i] * wanted[i];
    }
    return sqrt(difference / norm);
}

/* Loss within 1e-5 and gradient within 1e-4 of double precision. A rounding difference may open or close a ReLU that is
 * within rounding of 0, which shows as a gradient error of up to about 1e-2: allowed in two cases at most. */
static void gradients_equal_double_precision(void **state) {
    (void)state;
    char path[64], group[32], layer_name[64];
    int cases = 0, flips = 0, shape[3];
    double worst_loss = 0, worst_gradient = 0;
    for (;; cases++) {
        snprintf(group, sizeof group, "case%02d", cases);
        if (!fixture_exists("gradients.h5", group))
            break;
        snprintf(path, sizeof path, "%s/x", group);
        float *x = fixture_floats("gradients.h5", path, shape);
        snprintf(path, sizeof path, "%s/gradient", group);
        double *wanted = fixture_doubles("gradients.h5", path, shape), loss, wanted_loss;
        fixture_string("gradients.h5", group, "layer", layer_name);
        wanted_loss = fixture_number("gradients.h5", group, "loss");
        int layer = vgg_find(&demo.net, layer_name), filter = (int)fixture_number("gradients.h5", group, "filter");
        size_t count = (size_t)shape[0] * shape[1] * 3;
        float *got = malloc(count * sizeof *got);
        struct network_memory memory;
        struct error error;
        struct octaves one = {.steps = 1, .height = {shape[0]}, .width = {shape[1]}};
        struct network_picture picture = {.filter = filter, .x = x, .gradient = got};
        assert_int_equal(network_memory_make(&demo, &one, layer, 1, &memory, &error), 0);
        network_gradients(&demo, &memory, &mean, layer, shape[0], shape[1], &picture, 1, NULL);
        loss = picture.loss;
        double gradient_error = relative_error(got, wanted, count), loss_error = fabs(loss / wanted_loss - 1);
        assert_true(loss_error < 1e-5);
        assert_true(gradient_error < 2e-2);
        if (gradient_error > 1e-4)
            flips++;
        else
            worst_gradient = fmax(worst_gradient, gradient_error);
        worst_loss = fmax(worst_loss, loss_error);
        network_memory_free(&memory);
        free(got);
        free(wanted);
        free(x);
    }
    printf("# %d cases: loss error at most %.1e, gradient error at most %.1e, flipped ReLUs in %d cases\n", cases,
           worst_loss, worst_gradient, flips);
    assert_true(cases == 2 * demo.net.layers);
    assert_true(flips <= 2);
}

/* Central differences along directions near the gradient, where the loss changes by more than its rounding; in a layer
 * with two poolings below. */
static void gradient_is_the_derivative(void **state) {
    (void)state;
    enum { SIDE = 40, COUNT = SIDE * SIDE * 3, LAYER = 5 };
    static float x[COUNT], moved[COUNT], gradient[COUNT], unused[COUNT];
    static double direction[COUNT];
    const double reach = 0.005; /* kinks of ReLUs and poolings on the way show in proportion to it */
    struct network_memory memory;
    struct error error;
    const struct octaves one = {.steps = 1, .height = {SIDE}, .width = {SIDE}};
    assert_int_equal(network_memory_make(&demo, &one, LAYER, 1, &memory, &error), 0);
    noise_picture(&(struct noise_stream){.seed = 7}, COUNT, x);
    struct network_picture picture = {.filter = 3, .x = x, .gradient = gradient};
    network_gradients(&demo, &memory, &mean, LAYER, SIDE, SIDE, &picture, 1, NULL);
    double squares = 0;
    for (int i = 0; i < COUNT; i++)
        squares += (double)gradient[i] * gradient[i];
    for (int d = 0; d < 4; d++) {
        double slope = 0, losses[2];
        noise_uniform(&(struct noise_stream){.seed = 8, .filter = d}, COUNT, direction);
        for (int i = 0; i < COUNT; i++) {
            direction[i] = gradient[i] / sqrt(squares / COUNT) + 2 * direction[i] - 1;
            slope += direction[i] * gradient[i];
        }
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < COUNT; i++)
                moved[i] = x[i] + (float)((side ? reach : -reach) * direction[i]);
            picture = (struct network_picture){.filter = 3, .x = moved, .gradient = unused};
            network_gradients(&demo, &memory, &mean, LAYER, SIDE, SIDE, &picture, 1, NULL);
            losses[side] = picture.loss;
        }
        assert_true(fabs((losses[1] - losses[0]) / (2 * reach) / slope - 1) < 0.01);
    }
    network_memory_free(&memory);
}

struct deviations {
    double early[VGG_MAX_LAYERS * 8]; /* the greatest of the first 10 iterations */
    double final[VGG_MAX_LAYERS * 8];
    int live, wrong_deaths;
};

static void compare_trace(const struct ascent_result *result, const char *layer, struct deviations *deviations) {
    char path[64];
    int shape[3];
    snprintf(path, sizeof path, "%s/%d", layer, result->filter);
    bool dead = fixture_number("traces.h5", path, "dead") != 0;
    deviations->wrong_deaths += dead != result->dead;
    strcat(path, "/loss");
    double *wanted = fixture_doubles("traces.h5", path, shape), early = 0;
    if (!dead && !result->dead) {
        for (int i = 0; i < 10; i++)
            early = fmax(early, fabs(result->trace[i] / wanted[i] - 1));
        deviations->early[deviations->live] = early;
        deviations->final[deviations->live++] = fabs(result->loss / wanted[shape[0] - 1] - 1);
    }
    free(wanted);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, int count, double share) {
    qsort(values, count, sizeof *values, rising);
    return values[(int)(share * (count - 1) + 0.5)];
}

/* Whole small renders: chaotic, so only the beginning, the end within a tolerance, and the dead can be compared. */
static void renders_agree_with_the_original(void **state) {
    (void)state;
    enum { FILTERS = 6 };
    static const int filters[FILTERS] = {0, 1, 2, 3, 4, 5};
    struct deviations deviations = {0};
    struct ascent_job job = {.epochs = (int)fixture_number("traces.h5", "/", "epochs"),
                             .step = fixture_number("traces.h5", "/", "step"),
                             .seed = fixture_integer("traces.h5", "/", "seed")};
    int size = (int)fixture_number("traces.h5", "/", "size");
    octaves_make(size, size, fixture_number("traces.h5", "/", "factor"), (int)fixture_number("traces.h5", "/", "steps"),
                 &job.octaves);
    struct filled_vgg vgg;
    struct ascent *ascent;
    struct error error;
    filled_vgg_make(&weights, &job.octaves, weights.net.layers - 1, winograd_find_kernels(NULL), &vgg);
    assert_int_equal(ascent_make(vgg.executor, &job, FILTERS, &ascent, &error), 0);
    for (int layer = 0; layer < demo.net.layers; layer++) {
        struct ascent_result results[FILTERS];
        assert_int_equal(ascent_draw(ascent, vgg.node[layer], filters, FILTERS, NULL, results, &error), 0);
        for (int i = 0; i < FILTERS; i++)
            compare_trace(&results[i], demo.net.layer[layer].name, &deviations);
    }
    ascent_free(ascent);
    filled_vgg_free(&vgg);
    double early = quantile(deviations.early, deviations.live, 0.9);
    double tail = quantile(deviations.final, deviations.live, 0.9);
    double median = quantile(deviations.final, deviations.live, 0.5);
    printf("# %d live filters: first 10 losses within %.1e (9 in 10), final loss within %.1e (median), %.1e (9 in 10), "
           "%d died or lived otherwise\n",
           deviations.live, early, median, tail, deviations.wrong_deaths);
    assert_int_equal(deviations.wrong_deaths, 0);
    assert_true(early < 1e-3);
    assert_true(median < 0.03);
    assert_true(tail < 0.15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_equals_numpy),         cmocka_unit_test(resize_equals_pillow),
        cmocka_unit_test(picture8_equals_numpy),      cmocka_unit_test(gradients_equal_double_precision),
        cmocka_unit_test(gradient_is_the_derivative), cmocka_unit_test(renders_agree_with_the_original),
    };
    return cmocka_run_group_tests(tests, read_demo, free_demo);
}
