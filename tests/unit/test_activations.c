/* The highest activation of every channel, and where it is, against plain loops in double precision; and that it
 * depends on the image alone. */
#include "filteratlas/net/activations.h"
#include "filteratlas/net/gemm.h"
#include "twin_network.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char DEMO[] = "jobs/demo/demo_weights.h5";
enum { IMAGES = 3, SMALL = 48, LARGE = 96 };

static struct weights demo;

static int set_up(void **state) {
    struct error error;
    (void)state;
    gemm_use_one_thread();
    return weights_read(DEMO, NULL, &demo, &error);
}

static int tear_down(void **state) {
    (void)state;
    weights_free(&demo);
    return 0;
}

/* A pass and its tables. */
struct fixture {
    struct activations *activations;
    float *tables, *x;
    struct activation *highest;
    int filters, extent;
};

static struct fixture make(int deepest, int extent, const struct winograd_kernels *kernels) {
    struct fixture f = {.extent = extent};
    struct error error;
    size_t values = (size_t)IMAGES * extent * extent * 3;
    f.tables = guarded_allocate(activations_table_bytes(&demo.net, deepest, extent, kernels) + 64);
    assert_int_equal(activations_make(&demo, deepest, extent, kernels, f.tables, &f.activations, &error), STATUS_OK);
    for (int part = 0; part < 3; part++)
        activations_fill_tables(f.activations, part, 3);
    for (int l = 0; l <= deepest; l++)
        f.filters += demo.net.layer[l].out_channels;
    f.x = malloc(values * sizeof *f.x);
    for (size_t i = 0; i < values; i++)
        f.x[i] = 100 * sinf((float)(i % 9973) * 0.37F + (float)(i / 977) * 0.11F);
    f.highest = calloc((size_t)IMAGES * f.filters, sizeof *f.highest);
    return f;
}

static void end(struct fixture *f) {
    activations_free(f->activations);
    guarded_free(f->tables);
    free(f->x);
    free(f->highest);
}

static void assert_highest(const double *z, int side, const struct activation *got, double scale, int layer,
                           int channel) {
    double most = 0;
    for (int i = 0; i < side * side; i++)
        most = z[i] > most ? z[i] : most;
    if (fabs(got->value - most) > 1e-4 * scale)
        fail_msg("layer %d channel %d: %g, not %g", layer, channel, got->value, most);
    if (got->value > 0 && fabs(z[got->row * side + got->column] - most) > 1e-4 * scale)
        fail_msg("layer %d channel %d: at (%d, %d) is %g, not %g", layer, channel, got->row, got->column,
                 z[got->row * side + got->column], most);
}

static void equals_plain_loops(int deepest, int extent, const struct winograd_kernels *kernels) {
    struct fixture f = make(deepest, extent, kernels);
    assert_true(activations_measure(f.activations, f.x, IMAGES, f.highest, NULL));
    for (int i = 0; i < IMAGES; i++) {
        const struct activation *got = f.highest + (size_t)i * f.filters;
        struct twin_pass pass = twin_run(&demo, deepest, f.x + (size_t)i * extent * extent * 3, extent, extent);
        for (int l = 0; l <= deepest; l++) {
            double scale = 0;
            for (int c = 0; c < demo.net.layer[l].out_channels; c++)
                scale = fmax(scale, got[c].value);
            assert_true(scale > 0);
            for (int c = 0; c < demo.net.layer[l].out_channels; c++, got++) {
                double *z = twin_z(&pass, l, c);
                assert_highest(z, vgg_extent(&demo.net, l, extent), got, scale, l, c);
                free(z);
            }
        }
        twin_end(&pass);
    }
    end(&f);
}

static void every_layer_equals_plain_loops(void **state) {
    static const char *const names[] = {"avx512", "avx2", "baseline"};
    (void)state;
    for (int i = 0; i < 3; i++)
        if (winograd_find_kernels(names[i]))
            equals_plain_loops(demo.net.layers - 1, SMALL, winograd_find_kernels(names[i]));
}

/* With maps that go through alone, and a network that ends early. */
static void a_part_of_the_network_equals_plain_loops(void **state) {
    (void)state;
    equals_plain_loops(0, SMALL, winograd_find_kernels(NULL));
    equals_plain_loops(1, SMALL, winograd_find_kernels(NULL));
    equals_plain_loops(4, LARGE, winograd_find_kernels(NULL));
}

static void an_image_does_not_depend_on_the_others(void **state) {
    (void)state;
    struct fixture f = make(demo.net.layers - 1, LARGE, winograd_find_kernels(NULL));
    struct activation *alone = calloc(f.filters, sizeof *alone);
    assert_true(activations_measure(f.activations, f.x, IMAGES, f.highest, NULL));
    for (int i = 0; i < IMAGES; i++) {
        assert_true(activations_measure(f.activations, f.x + (size_t)i * LARGE * LARGE * 3, 1, alone, NULL));
        assert_memory_equal(alone, f.highest + (size_t)i * f.filters, f.filters * sizeof *alone);
    }
    free(alone);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_equals_plain_loops),
        cmocka_unit_test(a_part_of_the_network_equals_plain_loops),
        cmocka_unit_test(an_image_does_not_depend_on_the_others),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
