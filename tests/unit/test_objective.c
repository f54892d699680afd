/* What an ascent may climb, against plain loops in double precision: on random maps, and through whole networks. */
#include "filled.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/network.h"
#include "filteratlas/net/objective.h"
#include "twin.h"
#include "twin_network.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdlib.h>

static const char DEMO[] = "jobs/demo/demo_weights.h5";

static const struct objective objectives[] = {{0},
                                              {.neuron = true},
                                              {.border = 1},
                                              {.border = 3},
                                              {.border = 1000},
                                              {.neuron = true, .border = 2},
                                              {.leak = true},
                                              {.neuron = true, .leak = true},
                                              {.border = 2, .leak = true}};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };

/* Whether a position counts: said differently than the program does. */
static bool counts(const struct objective *o, int y, int x, int height, int width) {
    if (o->neuron)
        return y == height / 2 && x == width / 2;
    int rows = o->border, columns = o->border;
    while (height - 2 * rows < 1)
        rows--;
    while (width - 2 * columns < 1)
        columns--;
    return y >= rows && y <= height - 1 - rows && x >= columns && x <= width - 1 - columns;
}

/* The loss, and its gradient (the leak's, where that is due) at z. */
static double twin_objective(const struct objective *o, const double *z, int height, int width, double *gradient) {
    double sum = 0, count = 0;
    for (int i = 0; i < height * width; i++)
        if (counts(o, i / width, i % width, height, width)) {
            sum += fmax(z[i], 0);
            count++;
        }
    bool leaks = o->leak && sum / count <= 1e-7;
    for (int i = 0; i < height * width; i++)
        gradient[i] = counts(o, i / width, i % width, height, width) && (leaks || z[i] > 0) ? 1 / count : 0;
    return sum / count;
}

/* Maps --------------------------------------------------------------------------------------------------------------
 */

/* A map in [-1, 1), or below 0 all over. */
static void compare_map(const struct objective *objective, int height, int width, bool silent) {
    size_t count = (size_t)height * width;
    float *z = guarded_floats(count);
    random_map(z, count, 1, 1, 1);
    for (size_t i = 0; silent && i < count; i++)
        z[i] = -fabsf(z[i]) - 1e-3F;
    double *wide = twin_widen(z, count), *wanted = twin_zeros(count);
    double wanted_loss = twin_objective(objective, wide, height, width, wanted);
    double loss = objective_turn(objective, z, height, width);
    assert_true(fabs(loss - wanted_loss) <= 1e-12 * wanted_loss);
    assert_true(twin_error(z, wanted, count) < 1e-7);
    assert_true(!silent || loss == 0);
    free(wanted);
    free(wide);
    guarded_free(z);
}

static void objectives_equal_plain_loops(void **state) {
    (void)state;
    static const int size[][2] = {{1, 1}, {1, 9}, {2, 2}, {2, 7}, {3, 3}, {4, 5}, {7, 4}, {13, 42}, {21, 21}};
    for (int i = 0; i < OBJECTIVES; i++)
        for (size_t s = 0; s < sizeof size / sizeof *size; s++)
            for (int silent = 0; silent < 2; silent++)
                compare_map(&objectives[i], size[s][0], size[s][1], silent);
}

/* The loss of the leak stays that after the ReLU, and a channel that speaks does not leak. */
static void a_leak_is_only_for_silence(void **state) {
    (void)state;
    static const struct objective leak = {.leak = true};
    float silent[] = {-1, -2, -3, 0}, speaks[] = {-1, -2, 0.5F, -3};
    assert_true(objective_turn(&leak, silent, 2, 2) == 0);
    assert_true(objective_turn(&leak, speaks, 2, 2) == 0.125);
    for (int i = 0; i < 4; i++) {
        assert_true(silent[i] == 0.25F);
        assert_true(speaks[i] == (i == 2 ? 0.25F : 0));
    }
}

/* Networks ----------------------------------------------------------------------------------------------------------
 */

static struct weights demo;

/* The demo network with a filter 0 in every layer that is always silent. */
static int set_up(void **state) {
    (void)state;
    struct error error;
    gemm_use_one_thread();
    int status = weights_read(DEMO, NULL, &demo, &error);
    for (int l = 0; l < demo.net.layers && !status; l++)
        demo.values[weights_bias(&demo, l) - demo.values] = -1e3F;
    return status;
}

static int tear_down(void **state) {
    (void)state;
    weights_free(&demo);
    return 0;
}

/* The gates of the layers below are those that network_gradients found: a ReLU within rounding of 0 may be open in one
 * precision and closed in the other. The objective's own are the twin's. */
static void compare_gradient(const struct twin_pass *pass, const struct network_memory *memory, int layer,
                             const struct objective *objective, const struct network_picture *picture) {
    size_t count = (size_t)pass->height * pass->width * 3;
    int h = twin_height(pass, layer), w = twin_width(pass, layer);
    uint8_t *gates[VGG_MAX_LAYERS] = {NULL};
    double *z = twin_z(pass, layer, picture->filter), *slope = twin_zeros((size_t)h * w);
    double loss = twin_objective(objective, z, h, w, slope);
    twin_copy_gates(pass, memory, layer, gates);
    double *wanted = twin_gradient(pass, layer, picture->filter, slope, gates);
    double size = 0; /* of the terms that the loss may be a remainder of */
    for (int i = 0; i < h * w; i++)
        size += fabs(z[i]) / (h * w);
    assert_true(fabs(picture->loss - loss) <= 1e-5 * size);
    double error = twin_error(picture->gradient, wanted, count);
    if (error > 3e-5)
        fail_msg("%s filter %d, objective %d %d %d: error of the gradient %g", demo.net.layer[layer].name,
                 picture->filter, objective->neuron, objective->border, objective->leak, error);
    for (int l = 0; l < layer; l++)
        guarded_free(gates[l]);
    free(wanted);
    free(slope);
    free(z);
}

/* A silent filter's gradient is 0 but with the leak, by which it has one. */
static void check_silence(const struct objective *objective, const struct network_picture *picture, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += fabs(picture->gradient[i]);
    assert_true(picture->loss == 0);
    assert_true((sum > 0) == objective->leak);
}

static void compare_network(int layer, int height, int width) {
    const struct octaves octaves = {.steps = 1, .height = {height}, .width = {width}};
    size_t count = (size_t)height * width * 3;
    struct network network;
    struct network_memory memory;
    struct error error;
    float *x = guarded_floats(count), *gradient = guarded_floats(count);
    random_map(x, count, 1, 1, 1);
    struct twin_pass pass = twin_run(&demo, layer, x, height, width);
    void *tables = filled_network(&demo, &octaves, layer, winograd_find_kernels(NULL), &network);
    assert_int_equal(network_memory_make(&network, &octaves, layer, 1, &memory, &error), 0);
    for (int i = 0; i < OBJECTIVES; i++)
        for (int filter = 0; filter < 4; filter++) {
            struct network_picture picture = {.filter = filter, .x = x, .gradient = gradient};
            network_gradients(&network, &memory, &objectives[i], layer, height, width, &picture, 1, NULL);
            compare_gradient(&pass, &memory, layer, &objectives[i], &picture);
            if (filter == 0)
                check_silence(&objectives[i], &picture, count);
        }
    network_memory_free(&memory);
    network_free(&network);
    free(tables);
    twin_end(&pass);
    guarded_free(x);
    guarded_free(gradient);
}

static void gradients_of_objectives_equal_double_precision(void **state) {
    (void)state;
    compare_network(0, 5, 7);
    compare_network(vgg_find(&demo.net, "block2_conv2"), 31, 46);
    compare_network(vgg_find(&demo.net, "block4_conv1"), 53, 40);
    compare_network(vgg_find(&demo.net, "block5_conv3"), 66, 81);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objectives_equal_plain_loops),
        cmocka_unit_test(a_leak_is_only_for_silence),
        cmocka_unit_test(gradients_of_objectives_equal_double_precision),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
