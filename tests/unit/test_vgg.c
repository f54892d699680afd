/* Topology, extents, octaves and cost of a VGG network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/model/octaves.h"
#include "filteratlas/model/vgg.h"

#include <math.h>
#include <string.h>

static const int vgg16_widths[] = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};

static struct vgg vgg16(void) {
    struct vgg net;
    struct error error;
    assert_int_equal(vgg_make(13, vgg16_widths, &net, &error), STATUS_OK);
    return net;
}

static void vgg16_has_its_published_layers(void **state) {
    (void)state;
    static const char *const names[] = {"block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2", "block3_conv1",
                                        "block3_conv2", "block3_conv3", "block4_conv1", "block4_conv2", "block4_conv3",
                                        "block5_conv1", "block5_conv2", "block5_conv3"};
    struct vgg net = vgg16();
    size_t parameters = 0;
    assert_string_equal(net.variant, "VGG16");
    assert_int_equal(net.layers, 13);
    assert_int_equal(vgg_filters(&net), 4224);
    for (int l = 0; l < net.layers; l++) {
        assert_string_equal(net.layer[l].name, names[l]);
        assert_int_equal(net.layer[l].in_channels, l ? vgg16_widths[l - 1] : 3);
        assert_int_equal(net.layer[l].out_channels, vgg16_widths[l]);
        assert_int_equal(net.layer[l].pooled, l == 1 || l == 3 || l == 6 || l == 9 || l == 12);
        assert_int_equal(vgg_find(&net, names[l]), l);
        parameters += vgg_parameters(&net.layer[l]);
    }
    assert_int_equal(parameters, 14714688); /* Keras's summary() of VGG16 without top */
}

static void unknown_layers_are_not_found(void **state) {
    (void)state;
    struct vgg net = vgg16();
    assert_int_equal(vgg_find(&net, "block6_conv1"), -1);
    assert_int_equal(vgg_find(&net, "block1_conv"), -1);
    assert_int_equal(vgg_find(&net, ""), -1);
}

static void variants_follow_from_the_number_of_convolutions(void **state) {
    (void)state;
    static const struct {
        int layers;
        const char *variant, *last;
    } cases[] = {{8, "VGG11", "block5_conv2"},
                 {10, "VGG13", "block5_conv2"},
                 {13, "VGG16", "block5_conv3"},
                 {16, "VGG19", "block5_conv4"}};
    static const int widths[VGG_MAX_LAYERS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct vgg net;
    struct error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(vgg_make(cases[i].layers, widths, &net, &error), STATUS_OK);
        assert_string_equal(net.variant, cases[i].variant);
        assert_string_equal(net.layer[net.layers - 1].name, cases[i].last);
        assert_int_equal(vgg_filters(&net), cases[i].layers * (cases[i].layers + 1) / 2);
    }
}

static void other_numbers_of_convolutions_are_refused(void **state) {
    (void)state;
    static const int widths[64] = {0};
    struct vgg net;
    struct error error;
    for (int layers = 0; layers < 64; layers++) {
        if (layers == 8 || layers == 10 || layers == 13 || layers == 16)
            continue;
        assert_int_equal(vgg_make(layers, widths, &net, &error), STATUS_USAGE);
    }
    assert_non_null(strstr(error.message, "63 convolutions"));
}

static void extents_halve_rounding_down_at_each_pooling(void **state) {
    (void)state;
    struct vgg net = vgg16();
    assert_int_equal(vgg_extent(&net, 0, 79), 79);
    assert_int_equal(vgg_extent(&net, 1, 79), 79);
    assert_int_equal(vgg_extent(&net, 2, 79), 39);
    assert_int_equal(vgg_extent(&net, 6, 79), 19);
    assert_int_equal(vgg_extent(&net, 9, 79), 9);
    assert_int_equal(vgg_extent(&net, 12, 79), 4);
    assert_int_equal(vgg_extent(&net, 10, 412), 25);
}

static void the_least_extent_is_the_first_that_leaves_a_map(void **state) {
    (void)state;
    struct vgg net = vgg16();
    static const int least[] = {1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16};
    for (int l = 0; l < net.layers; l++) {
        assert_int_equal(vgg_least_extent(&net, l), least[l]);
        assert_int_equal(vgg_extent(&net, l, least[l]), 1);
        assert_int_equal(vgg_extent(&net, l, least[l] - 1), 0);
    }
}

static void the_defaults_give_the_original_sizes(void **state) {
    (void)state;
    static const int sizes[] = {79, 95, 114, 137, 165, 198, 238, 286, 343, 412};
    struct octaves octaves;
    octaves_make(412, 412, 1.2, 9, &octaves);
    assert_int_equal(octaves.steps, 9);
    for (int i = 0; i <= 9; i++) {
        assert_int_equal(octaves.width[i], sizes[i]);
        assert_int_equal(octaves.height[i], sizes[i]);
    }
}

static void width_and_height_shrink_each_for_itself(void **state) {
    (void)state;
    struct octaves octaves;
    octaves_make(100, 50, 2, 3, &octaves);
    assert_int_equal(octaves.width[0], 12);
    assert_int_equal(octaves.height[0], 6);
    assert_int_equal(octaves.width[3], 100);
    assert_int_equal(octaves.height[3], 50);
}

static void the_least_final_extent_is_exact(void **state) {
    (void)state;
    static const double factors[] = {1, 1.1, 1.2, 1.5, 2};
    for (size_t f = 0; f < sizeof factors / sizeof *factors; f++)
        for (int steps = 1; steps <= 12; steps++)
            for (int extent = 1; extent <= 16; extent *= 2) {
                struct octaves octaves;
                int least = octaves_least_extent(extent, factors[f], steps);
                octaves_make(least, least - 1, factors[f], steps, &octaves);
                assert_true(octaves.width[0] >= extent);
                assert_true(octaves.height[0] < extent);
            }
}

static void the_last_octave_may_be_climbed_too(void **state) {
    (void)state;
    static const int sizes[] = {143, 179, 224, 224};
    struct octaves octaves;
    octaves_make(224, 112, 1.25, 2, &octaves);
    octaves_climb_last(&octaves);
    assert_int_equal(octaves.steps, 3);
    for (int i = 0; i <= 3; i++)
        assert_int_equal(octaves.width[i], sizes[i]);
    assert_int_equal(octaves.height[0], 71);
    assert_int_equal(octaves.height[2], 112);
    assert_int_equal(octaves.height[3], 112);
    octaves_make(224, 112, 1.25, 0, &octaves);
    octaves_climb_last(&octaves);
    assert_int_equal(octaves.steps, 1);
    for (int i = 0; i <= 1; i++) {
        assert_int_equal(octaves.width[i], 224);
        assert_int_equal(octaves.height[i], 112);
    }
}

/* One gradient of block1_conv2's channel on 1x1 pixels: 3 -> 64 whole, 64 -> 1, each 9 taps, multiply and add, forward
 * and backward. */
static void a_gradient_counts_only_one_channel_of_its_layer(void **state) {
    (void)state;
    struct vgg net = vgg16();
    assert_true(vgg_gradient_flops(&net, 1, 1, 1) == 36.0 * (3 * 64 + 64));
    assert_true(vgg_gradient_flops(&net, 0, 10, 7) == 36.0 * 70 * 3);
}

/* "6.2 TFLOP" counts all of block5_conv1's channels, this only the one: within 5 %. */
static void a_filter_of_block5_conv1_takes_about_six_tflop(void **state) {
    (void)state;
    struct vgg net = vgg16();
    struct octaves octaves;
    octaves_make(412, 412, 1.2, 9, &octaves);
    assert_true(fabs(vgg_filter_flops(&net, vgg_find(&net, "block5_conv1"), &octaves, 15) / 6.2e12 - 1) < 0.05);
}

static void all_filters_take_19_pflop(void **state) {
    (void)state;
    struct vgg net = vgg16();
    struct octaves octaves;
    double flops = 0;
    octaves_make(412, 412, 1.2, 9, &octaves);
    for (int l = 0; l < net.layers; l++)
        flops += net.layer[l].out_channels * vgg_filter_flops(&net, l, &octaves, 15);
    assert_true(fabs(flops / 18.9e15 - 1) < 0.005);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vgg16_has_its_published_layers),
        cmocka_unit_test(unknown_layers_are_not_found),
        cmocka_unit_test(variants_follow_from_the_number_of_convolutions),
        cmocka_unit_test(other_numbers_of_convolutions_are_refused),
        cmocka_unit_test(extents_halve_rounding_down_at_each_pooling),
        cmocka_unit_test(the_least_extent_is_the_first_that_leaves_a_map),
        cmocka_unit_test(the_defaults_give_the_original_sizes),
        cmocka_unit_test(width_and_height_shrink_each_for_itself),
        cmocka_unit_test(the_least_final_extent_is_exact),
        cmocka_unit_test(the_last_octave_may_be_climbed_too),
        cmocka_unit_test(a_gradient_counts_only_one_channel_of_its_layer),
        cmocka_unit_test(a_filter_of_block5_conv1_takes_about_six_tflop),
        cmocka_unit_test(all_filters_take_19_pflop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
