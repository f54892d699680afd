/* The share of fine grain: of pictures for which it is known. */
#include "../../src/app/legibility.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/net/gemm.h"
#include "folder.h"

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

static const char LAYER[] = "block1_conv1";

static uint32_t state = 1;
static int next(int below) { return (int)((state = state * 1664525u + 1013904223u) >> 16) % below; }

/* A picture's pixel, of any of the three channels. */
typedef int painter(int y, int x, int channel);

static int noise(int y, int x, int channel) {
    (void)y, (void)x, (void)channel;
    return next(256);
}

static int flat(int y, int x, int channel) {
    (void)y, (void)x, (void)channel;
    return 77;
}

/* Waves of 16 and of 3 pixels along the width. */
static int coarse_wave(int y, int x, int channel) {
    (void)y, (void)channel;
    return (int)lround(128 + 100 * cos(2 * M_PI * x / 16));
}

static int fine_wave(int y, int x, int channel) {
    (void)x, (void)channel;
    return (int)lround(128 + 100 * cos(2 * M_PI * y / 3));
}

/* Both, of the same energy, in different channels; of the highest frequency there is. */
static int both_waves(int y, int x, int channel) {
    return channel ? channel == 1 ? 9 : fine_wave(y, x, 0) : coarse_wave(y, x, 0);
}

static int stripes(int y, int x, int channel) {
    (void)y, (void)channel;
    return x % 2 ? 255 : 0;
}

static struct store store_with(int width, int height, painter *paint) {
    static const struct store_entry job[] = {{"arithmetic", "1"}};
    struct store store;
    struct store_filter filter = {.index = 0};
    struct error error;
    uint8_t *rgb = malloc((size_t)width * height * 3), *png = NULL;
    size_t size = 0;
    for (int i = 0; i < width * height * 3; i++)
        rgb[i] = (uint8_t)paint(i / 3 / width, i / 3 % width, i % 3);
    assert_int_equal(store_open("atlas", job, 1, NULL, &store, &error), STATUS_OK);
    assert_int_equal(png_encode(rgb, width, height, NULL, 0, &png, &size, &error), STATUS_OK);
    assert_int_equal(store_put_picture(&store, LAYER, &filter, png, size, &error), STATUS_OK);
    assert_int_equal(store_commit_unit(&store, LAYER, 0, &filter, 1, NULL, &error), STATUS_OK);
    free(png);
    free(rgb);
    return store;
}

/* The last column of the line about all layers [%]. */
static double printed_share(const struct store *store) {
    struct error error;
    double share = -1;
    int filters, pictures, out = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_non_null(freopen("printed", "w", stdout));
    assert_int_equal(legibility_print(store, NULL, NULL, &error), STATUS_OK);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    struct text text = read_file("printed");
    const char *line = strstr(text.bytes, "\nAll ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, " All %d %d %lf %%", &filters, &pictures, &share), 3);
    assert_int_equal(filters, 1);
    assert_int_equal(pictures, 1);
    text_free(&text);
    return share;
}

static void assert_share(int width, int height, painter *paint, double wanted, double tolerance) {
    struct store store = store_with(width, height, paint);
    double share = printed_share(&store);
    if (fabs(share - wanted) > tolerance)
        fail_msg("%d x %d: %g %%, not %g %%", width, height, share, wanted);
}

/* Of white noise, what lies outside of a circle of radius 1/4 in the unit square of frequencies. */
static void white_noise_is_fine_but_for_a_circle(void **unused) {
    (void)unused;
    assert_share(96, 81, noise, 100 * (1 - M_PI / 16), 1.5);
}

static void a_flat_picture_has_no_grain(void **unused) {
    (void)unused;
    assert_share(20, 30, flat, 0, 0.05);
}

static void a_long_wave_is_coarse(void **unused) {
    (void)unused;
    assert_share(64, 20, coarse_wave, 0, 0.05);
}

static void a_short_wave_is_fine(void **unused) {
    (void)unused;
    assert_share(20, 63, fine_wave, 100, 0.05);
}

static void channels_count_alike(void **unused) {
    (void)unused;
    assert_share(48, 48, both_waves, 50, 0.2);
}

static void stripes_of_a_pixel_are_fine(void **unused) {
    (void)unused;
    assert_share(32, 32, stripes, 100, 0.05);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(white_noise_is_fine_but_for_a_circle, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(a_flat_picture_has_no_grain, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(a_long_wave_is_coarse, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(a_short_wave_is_fine, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(channels_count_alike, folder_enter, folder_leave),
        cmocka_unit_test_setup_teardown(stripes_of_a_pixel_are_fine, folder_enter, folder_leave),
    };
    gemm_use_one_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
