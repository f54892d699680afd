/* How the sizes of weights are distributed, and which channels can never fire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/weight_sizes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 8, WIDTH = 4 };

/* Sizes -------------------------------------------------------------------------------------------------------- */

static struct weight_sizes measure(const float *values, size_t count) {
    struct weight_sizes sizes;
    struct error error;
    assert_int_equal(weight_sizes_measure(values, count, &sizes, &error), STATUS_OK);
    return sizes;
}

static void every_size_is_in_its_bin(void **state) {
    (void)state;
    /* 10^-5, 10^-1, 10^-0.75, just below 10^0, 1, and what lies beyond both ends */
    const float values[] = {1.001e-5f, -0.1001f, 0.1779f, 0.9999f, -1.0f, 0.0f, 1e-9f, -50.0f, 1e30f};
    struct weight_sizes sizes = measure(values, sizeof values / sizeof *values);
    const size_t wanted[WEIGHT_SIZES_BINS] = {[0] = 3, [16] = 1, [17] = 1, [19] = 1, [20] = 1, [23] = 2};
    assert_memory_equal(sizes.bin, wanted, sizeof wanted);
    assert_float_equal(sizes.least, 0, 0);
    assert_float_equal(sizes.greatest, 1e30f, 0);
}

static int by_size(const void *a, const void *b) {
    float x = fabsf(*(const float *)a), y = fabsf(*(const float *)b);
    return (x > y) - (x < y);
}

static void the_median_is_that_of_sorting(void **state) {
    (void)state;
    for (int count = 1; count < 3000; count += count / 3 + 1) {
        float *values = malloc((size_t)count * sizeof *values);
        for (int i = 0; i < count; i++) {
            double noise = (double)((i * 2654435761u) >> 8 & 0xffff) / 65536 - 0.5;
            values[i] = (float)(noise * pow(10, i % 7 - 5));
        }
        struct weight_sizes sizes = measure(values, (size_t)count);
        qsort(values, (size_t)count, sizeof *values, by_size);
        assert_float_equal(sizes.median, fabsf(values[(count - 1) / 2]), 0);
        assert_float_equal(sizes.least, fabsf(values[0]), 0);
        assert_float_equal(sizes.greatest, fabsf(values[count - 1]), 0);
        free(values);
    }
}

/* Silence ------------------------------------------------------------------------------------------------------ */

/* A VGG11 of 4 channels per layer, all weights and biases 1. */
static struct weights make_weights(void) {
    const int widths[LAYERS] = {WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH};
    struct weights weights = {0};
    struct error error;
    assert_int_equal(vgg_make(LAYERS, widths, &weights.net, &error), STATUS_OK);
    for (int l = 0; l < LAYERS; l++)
        weights.count += vgg_parameters(&weights.net.layer[l]);
    weights.values = malloc(weights.count * sizeof *weights.values);
    for (size_t i = 0; i < weights.count; i++)
        weights.values[i] = 1;
    return weights;
}

/* Sets the weights of a channel on one input (-1: all) and its bias. */
static void set_channel(struct weights *weights, int layer, int channel, int input, float weight, float bias) {
    float *kernel = (float *)weights_kernel(weights, layer);
    int in = weights->net.layer[layer].in_channels, out = weights->net.layer[layer].out_channels;
    for (int tap = 0; tap < 9; tap++)
        for (int i = 0; i < in; i++)
            if (input < 0 || i == input)
                kernel[(tap * in + i) * out + channel] = weight;
    ((float *)weights_bias(weights, layer))[channel] = bias;
}

static void the_first_layer_sees_both_signs(void **state) {
    (void)state;
    struct weights weights = make_weights();
    bool silent[WIDTH];
    set_channel(&weights, 0, 0, -1, 0, 0);      /* silent */
    set_channel(&weights, 0, 1, -1, 0, 0.5f);   /* its bias alone fires */
    set_channel(&weights, 0, 2, -1, -1, -0.5f); /* dark pixels make it fire */
    set_channel(&weights, 0, 3, -1, -0.0f, -1); /* silent */
    assert_int_equal(weight_sizes_mark_silent(&weights, 0, NULL, silent), 2);
    assert_memory_equal(silent, ((bool[]){true, false, false, true}), WIDTH);
    weights_free(&weights);
}

static void later_layers_see_nothing_below_zero(void **state) {
    (void)state;
    struct weights weights = make_weights();
    const bool firing[WIDTH] = {false};
    bool silent[WIDTH];
    set_channel(&weights, 3, 0, -1, -1, 0);     /* silent */
    set_channel(&weights, 3, 1, -1, -1, 1e-9f); /* its bias fires where the inputs are 0 */
    set_channel(&weights, 3, 2, -1, -1, -1);
    set_channel(&weights, 3, 2, 2, 1e-9f, -1); /* one positive weight is enough */
    assert_int_equal(weight_sizes_mark_silent(&weights, 3, firing, silent), 1);
    assert_memory_equal(silent, ((bool[]){true, false, false, false}), WIDTH);
    weights_free(&weights);
}

static void silence_is_handed_on(void **state) {
    (void)state;
    struct weights weights = make_weights();
    const bool input[WIDTH] = {false, true, false, true};
    bool silent[WIDTH];
    set_channel(&weights, 3, 0, -1, -1, 0);
    set_channel(&weights, 3, 0, 1, 1, 0); /* positive, but on a silent input */
    set_channel(&weights, 3, 1, -1, 0, 0);
    set_channel(&weights, 3, 1, 2, 1, 0); /* on one that fires */
    assert_int_equal(weight_sizes_mark_silent(&weights, 3, input, silent), 1);
    assert_memory_equal(silent, ((bool[]){true, false, false, false}), WIDTH);
    weights_free(&weights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_in_its_bin),
        cmocka_unit_test(the_median_is_that_of_sorting),
        cmocka_unit_test(the_first_layer_sees_both_signs),
        cmocka_unit_test(later_layers_see_nothing_below_zero),
        cmocka_unit_test(silence_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
