/* Reading weights: every way Keras writes them gives the same values, every wrong file one line that names the culprit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/base/sha256.h"
#include "filteratlas/model/weights.h"
#include "folder.h"
#include "memory_limit.h"
#include "weights_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char file[] = "weights.h5"; /* that each test writes, in a temporary folder */
static char *demo;                       /* path of the demo's weights */

/* --- Helpers ----------------------------------------------------------------------------------------------------- */

static size_t count_parameters(const struct vgg *net) {
    size_t count = 0;
    for (int l = 0; l < net->layers; l++)
        count += vgg_parameters(&net->layer[l]);
    return count;
}

/* Writes a file after the recipe and checks that what is read from it is what was meant. */
static void assert_round_trip(const struct weights_recipe *recipe) {
    struct weights weights;
    struct error error = {.status = STATUS_OK};
    weights_write(file, recipe);
    if (weights_read(file, NULL, &weights, &error))
        fail_msg("%s, %s, %d bits: %s", weights_layout_names[recipe->layout], weights_strings_names[recipe->strings],
                 recipe->bits, error.message);
    float *expected = weights_recipe_values(recipe);
    assert_int_equal(weights.net.layers, recipe->layers);
    for (int l = 0; l < recipe->layers; l++)
        assert_int_equal(weights.net.layer[l].out_channels, recipe->widths[l]);
    assert_int_equal(weights.count, count_parameters(&weights.net));
    assert_memory_equal(weights.values, expected, weights.count * sizeof *expected);
    free(expected);
    weights_free(&weights);
    assert_null(weights.values);
}

/* Reads `path` and checks that it is refused in one line "PATH: WHY; REMEDY" that holds `culprit`, with nothing left to
 * free. */
static void assert_refused(const char *path, const char *culprit) {
    struct weights weights;
    struct error error = {.status = STATUS_OK};
    int status = weights_read(path, NULL, &weights, &error);
    if (status == STATUS_OK)
        weights_free(&weights);
    if (status != STATUS_USAGE)
        fail_msg("'%s' expected, got status %d: %s", culprit, status, error.message);
    assert_int_equal(error.status, STATUS_USAGE);
    assert_null(weights.values);
    if (strncmp(error.message, path, strlen(path)) || strncmp(error.message + strlen(path), ": ", 2) ||
        !strstr(error.message, culprit) || !strstr(error.message, "; ") || strchr(error.message, '\n'))
        fail_msg("'%s' expected in: %s", culprit, error.message);
}

static void assert_defect_refused(const struct weights_recipe *recipe, const char *culprit) {
    weights_write(file, recipe);
    assert_refused(file, culprit);
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

/* --- Files that are read ----------------------------------------------------------------------------------------- */

static void every_layout_and_kind_of_string_reads_alike(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
        for (recipe.strings = 0; recipe.strings < STRINGS_KINDS; recipe.strings++)
            assert_round_trip(&recipe);
}

static void every_layout_and_precision_reads_alike(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
        for (recipe.bits = 16; recipe.bits <= 64; recipe.bits *= 2)
            for (int i = 0; i < 4; i++) {
                recipe.big_endian = i & 1;
                recipe.compressed = i & 2;
                assert_round_trip(&recipe);
            }
}

static void a_top_is_passed_over_and_names_are_free(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
        for (int i = 0; i < 4; i++) {
            recipe.with_top = i & 1;
            recipe.plain_names = i & 2;
            assert_round_trip(&recipe);
        }
}

/* Behind the last pooling, or behind a dense layer, it is the top's. */
static void a_top_may_be_normalised(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    recipe.with_top = recipe.normalised_top = true;
    for (recipe.layout = 0; recipe.layout < LAYOUT_KERAS3; recipe.layout++)
        assert_round_trip(&recipe);
}

static void every_variant_and_odd_widths_are_read(void **state) {
    (void)state;
    static const int variants[] = {8, 10, 13, 16};
    static const int widths[VGG_MAX_LAYERS] = {5, 7, 3, 3, 1, 11, 4, 3, 6, 13, 2, 9, 17, 1, 3, 8};
    for (int v = 0; v < 4; v++)
        for (enum weights_layout layout = 0; layout < LAYOUTS; layout++) {
            struct weights_recipe recipe = weights_recipe(variants[v], 32);
            recipe.layout = layout;
            assert_round_trip(&recipe);
            memcpy(recipe.widths, widths, sizeof widths);
            assert_round_trip(&recipe);
        }
}

/* Kernels of 3x3x3x3 fit both orders: the later layers decide, and where none does it is the common one. */
static void the_order_of_kernels_is_one_for_the_file(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(8, 32);
    recipe.layout = LAYOUT_THEANO;
    for (int l = 0; l < 7; l++)
        recipe.widths[l] = 3;
    recipe.widths[7] = 4;
    assert_round_trip(&recipe);
    recipe.layout = LAYOUT_LEGACY;
    recipe.widths[7] = 3;
    assert_round_trip(&recipe);
}

static void theano_kernels_are_turned_back(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(8, 32);
    struct weights plain, turned;
    struct error error;
    weights_write(file, &recipe);
    assert_int_equal(weights_read(file, NULL, &plain, &error), STATUS_OK);
    recipe.layout = LAYOUT_THEANO;
    weights_write(file, &recipe);
    assert_int_equal(weights_read(file, NULL, &turned, &error), STATUS_OK);
    for (int l = 0; l < 8; l++) {
        size_t count = vgg_parameters(&plain.net.layer[l]) - plain.net.layer[l].out_channels;
        assert_memory_equal(weights_kernel(&plain, l), weights_kernel(&turned, l), count * sizeof(float));
        assert_memory_equal(weights_bias(&plain, l), weights_bias(&turned, l),
                            plain.net.layer[l].out_channels * sizeof(float));
    }
    assert_non_null(strstr(turned.layout, "Theano"));
    assert_non_null(strstr(plain.layout, "HWIO, float32"));
    weights_free(&plain);
    weights_free(&turned);
}

static void the_demo_network_is_a_vgg16(void **state) {
    (void)state;
    struct weights weights;
    struct error error;
    if (weights_read(demo, NULL, &weights, &error))
        fail_msg("%s", error.message);
    assert_string_equal(weights.net.variant, "VGG16");
    assert_int_equal(vgg_filters(&weights.net), 1056);
    assert_int_equal(weights.net.layer[0].out_channels, 16);
    assert_string_equal(weights.layout, "Keras weights (layer_names), kernels HWIO, float16");
    assert_string_equal(weights.sha256, "9b34d54dbdffe905688d5364bc8b26d307b5b4be223096d214b396f351c435c7");
    weights_free(&weights);
}

/* --- Files that are refused -------------------------------------------------------------------------------------- */

static void every_defect_is_named(void **state) {
    (void)state;
    static const struct {
        enum weights_defect defect;
        const char *culprit;
    } cases[] = {
        {DEFECT_LAYER, "block3_conv2 is missing"},
        {DEFECT_DATASET, "block3_conv2"},
        {DEFECT_NO_BIAS, "block3_conv2 has no bias"},
        {DEFECT_KERNEL, "block3_conv2's kernel"},
        {DEFECT_CHAIN, "block3_conv2 takes 9 channels but gets 8"},
        {DEFECT_BIAS, "block3_conv2 has 9 biases for 8"},
        {DEFECT_NAN, "block3_conv2 holds NaN or infinity in 3 of"},
        {DEFECT_INFINITY, "block3_conv2 holds NaN or infinity in 1 of"},
        {DEFECT_INTEGERS, "block3_conv2"},
        {DEFECT_UNWRITTEN, "block3_conv2"},
        {DEFECT_WEIGHTLESS, "no Keras weights"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weights_recipe recipe = weights_recipe(13, 32);
        recipe.defect = cases[i].defect;
        recipe.with_top = true;
        for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
            assert_defect_refused(&recipe, cases[i].culprit);
    }
}

/* Wherever it stands: behind a convolution, behind a pooling that is not the last, behind the last convolution. */
static void normalisation_between_convolutions_is_refused(void **state) {
    (void)state;
    static const int culprits[] = {0, 1, 5, 11, 12};
    for (int i = 0; i < 5; i++) {
        struct weights_recipe recipe = weights_recipe(13, 32);
        recipe.defect = DEFECT_NORMALISED;
        recipe.culprit = culprits[i];
        for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
            assert_defect_refused(&recipe,
                                  recipe.layout < LAYOUT_KERAS3 ? "some_bn normalises" : "batch_normalization");
    }
}

/* A list of layers is the network's order; names that say otherwise are a mistake. */
static void layers_listed_out_of_order_are_named(void **state) {
    (void)state;
    static const enum weights_layout layouts[] = {LAYOUT_LEGACY, LAYOUT_THEANO, LAYOUT_MODEL};
    struct weights_recipe recipe = weights_recipe(13, 32);
    recipe.defect = DEFECT_ORDER;
    for (int i = 0; i < 3; i++) {
        recipe.layout = layouts[i];
        assert_defect_refused(&recipe, "lists block3_conv3 where block3_conv2 belongs");
    }
}

/* Where the file's order says nothing (a nested model lists the trainable layers first), the names tell it. */
static void names_tell_the_order_where_the_list_does_not(void **state) {
    (void)state;
    static const enum weights_layout layouts[] = {LAYOUT_NESTED, LAYOUT_CHUNKED, LAYOUT_KERAS3, LAYOUT_KERAS3_NESTED};
    struct weights_recipe recipe = weights_recipe(13, 32);
    recipe.defect = DEFECT_ORDER;
    for (int i = 0; i < 4; i++) {
        recipe.layout = layouts[i];
        for (recipe.culprit = 0; recipe.culprit < 12; recipe.culprit += 3)
            assert_round_trip(&recipe);
    }
}

static void listed_groups_that_are_not_there_are_named(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    recipe.defect = DEFECT_GROUP;
    assert_defect_refused(&recipe, "block3_conv2 is missing");
    recipe.layout = LAYOUT_MODEL;
    assert_defect_refused(&recipe, "block3_conv2 is missing");
    recipe.layout = LAYOUT_KERAS3;
    assert_defect_refused(&recipe, "block3_conv2 is missing");
    recipe.culprit = 0;
    assert_defect_refused(&recipe, "block1_conv1 is missing");
    recipe.plain_names = true;
    assert_defect_refused(&recipe, "12 convolutions make no VGG");
    assert_defect_refused(&recipe, "give the whole model");
}

static void broken_lists_of_names_are_named(void **state) {
    (void)state;
    static const enum weights_layout layouts[] = {LAYOUT_LEGACY, LAYOUT_THEANO, LAYOUT_MODEL};
    for (int i = 0; i < 3; i++) {
        struct weights_recipe recipe = weights_recipe(13, 32);
        recipe.layout = layouts[i];
        recipe.defect = DEFECT_NO_NAMES;
        assert_defect_refused(&recipe, "block3_conv2 has no attribute weight_names");
        recipe.defect = DEFECT_NUMBERS;
        assert_defect_refused(&recipe, "layer_names");
    }
}

static void each_layer_of_each_variant_is_missed(void **state) {
    (void)state;
    static const int variants[] = {10, 13, 16};
    for (int v = 0; v < 3; v++) {
        struct weights_recipe recipe = weights_recipe(variants[v], 64);
        struct vgg net;
        struct error error;
        assert_int_equal(vgg_make(recipe.layers, recipe.widths, &net, &error), STATUS_OK);
        recipe.defect = DEFECT_LAYER;
        for (recipe.culprit = 0; recipe.culprit < recipe.layers; recipe.culprit++) {
            char culprit[64];
            snprintf(culprit, sizeof culprit, ": %s is missing", net.layer[recipe.culprit].name);
            assert_defect_refused(&recipe, culprit);
        }
    }
}

static void without_block_names_the_number_is_told(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 32);
    recipe.plain_names = true;
    recipe.defect = DEFECT_LAYER;
    recipe.culprit = 12;
    for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
        assert_defect_refused(&recipe, "12 convolutions make no VGG");
    recipe.defect = DEFECT_KERNEL;
    recipe.culprit = 3;
    for (recipe.layout = 0; recipe.layout < LAYOUTS; recipe.layout++)
        assert_defect_refused(&recipe, "conv2d_3's kernel");
}

static void files_that_are_no_hdf5_are_refused(void **state) {
    (void)state;
    static const char text[] = "This is not a weights file.\n", zip[] = "PK\3\4 and so on";
    assert_refused("none.h5", "no such file");
    write_bytes(file, text, sizeof text - 1);
    assert_refused("weights.h5/none.h5", "Not a directory");
    assert_refused(".", "is a directory");
    assert_refused("/dev/null", "not a regular file");
    assert_refused(file, "not an HDF5 file");
    write_bytes(file, zip, sizeof zip - 1);
    assert_refused(file, "zip archive");
    write_bytes(file, "", 0);
    assert_refused(file, "is empty");
}

static void truncated_files_are_refused(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(13, 16);
    struct stat info;
    weights_write(file, &recipe);
    assert_int_equal(stat(file, &info), 0);
    const long size = (long)info.st_size, lengths[] = {size - 1, size - 4096, size / 2, size / 10, 2048, 100, 50, 9, 8};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(truncate(file, lengths[i]), 0);
        assert_refused(file, "truncated");
    }
    assert_int_equal(truncate(file, 7), 0);
    assert_refused(file, "not an HDF5 file");
}

/* Overwrites a few bytes of the file. */
static void damage(long at) {
    FILE *stream = fopen(file, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, at, SEEK_SET), 0);
    for (int i = 0; i < 4; i++)
        fputc(0xA5 ^ (int)(at & 0xff), stream);
    assert_int_equal(fclose(stream), 0);
}

/* The status of reading the file in a process of its own, for HDF5 1.10 itself may leak memory over a damaged file; -1
 * if that process ends before it can tell. */
static int read_in_child(void) {
    int ends[2];
    signed char status = -1;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct weights weights;
        struct error error;
        status = (signed char)weights_read(file, NULL, &weights, &error);
        weights_free(&weights);
        _exit(write(ends[1], &status, 1) != 1);
    }
    close(ends[1]);
    if (read(ends[0], &status, 1) != 1)
        status = -1;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return status;
}

/* Bytes overwritten anywhere end in values or in a message, never in a crash (the sanitizers watch). */
static void damaged_files_never_crash(void **state) {
    (void)state;
    enum { PLACES = 100 };
    struct weights_recipe recipe = weights_recipe(8, 64);
    struct stat info;
    recipe.compressed = true;
    weights_write(file, &recipe);
    assert_int_equal(stat(file, &info), 0);
    for (int i = 0; i < PLACES; i++) {
        weights_write(file, &recipe);
        damage((long)info.st_size * i / PLACES);
        int status = read_in_child();
        assert_true(status == STATUS_OK || status == STATUS_USAGE);
    }
}

/* As somebody else, for root may read everything. */
static void a_file_without_permission_is_refused(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(8, 64);
    weights_write(file, &recipe);
    assert_int_equal(chmod(file, 0), 0);
    assert_int_equal(chmod(".", 0755), 0);
    uid_t self = geteuid();
    if (self == 0 && seteuid(65534))
        skip();
    struct weights weights;
    struct error error = {.status = STATUS_OK};
    int status = weights_read(file, NULL, &weights, &error);
    assert_int_equal(seteuid(self), 0);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(status, STATUS_USAGE);
    assert_non_null(strstr(error.message, "Permission denied"));
}

/* HDF5 itself says nothing on standard error, neither for a sound file nor for a broken one. */
static void hdf5_stays_silent(void **state) {
    (void)state;
    struct weights_recipe recipe = weights_recipe(8, 64);
    struct weights weights;
    struct error error;
    const char *log = "log";
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_non_null(freopen(log, "w", stderr));
    for (recipe.defect = 0; recipe.defect < DEFECTS; recipe.defect++) {
        weights_write(file, &recipe);
        if (weights_read(file, NULL, &weights, &error) == STATUS_OK)
            weights_free(&weights);
    }
    assert_int_equal(truncate(file, 1000), 0);
    weights_read(file, NULL, &weights, &error);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    struct stat info;
    assert_int_equal(stat(log, &info), 0);
    unlink(log);
    assert_int_equal(info.st_size, 0);
}

/* --- Little memory ------------------------------------------------------------------------------------------------ */

/* Uses up what malloc has, then allows `room` more bytes. */
static void leave_room(size_t room) {
    void *volatile taken; /* or a compiler leaves out what is never used */
    rlim_t used = address_space();
    limit_address_space(used);
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        do
            taken = malloc(size);
        while (taken);
    limit_address_space(used + room);
}

static _Noreturn void read_in_room(size_t room) {
    struct weights weights;
    struct error error;
    leave_room(room);
    int status = weights_read(demo, NULL, &weights, &error);
    _exit(status && (status != STATUS_FAILURE || !strstr(error.message, "memory")));
}

/* libhdf5 and libcrypto would crash, or find fault with the file. */
static void want_of_memory_is_told_as_such(void **state) {
    (void)state;
    if (!address_space_limits_hold())
        skip();
    for (size_t room = 0; room < 40 << 20; room += room < 8 << 20 ? 256 << 10 : 8 << 20) {
        int status;
        pid_t child = fork();
        if (child == 0)
            read_in_room(room);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            fail_msg("with room for %zu bytes: status %#x", room, status);
    }
}

/* --- SHA-256 ----------------------------------------------------------------------------------------------------- */

static void sha256_gives_the_standard_digests(void **state) {
    (void)state;
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char hex[SHA256_HEX_SIZE];
    struct error error;
    assert_int_equal(sha256_bytes("", 0, hex, &error), STATUS_OK);
    assert_string_equal(hex, empty);
    assert_int_equal(sha256_bytes("abc", 3, hex, &error), STATUS_OK);
    assert_string_equal(hex, abc);
    write_bytes(file, "", 0);
    assert_int_equal(sha256_file(file, hex, &error), STATUS_OK);
    assert_string_equal(hex, empty);
    write_bytes(file, "abc", 3);
    assert_int_equal(sha256_file(file, hex, &error), STATUS_OK);
    assert_string_equal(hex, abc);
}

static void sha256_of_a_file_is_that_of_its_bytes(void **state) {
    (void)state;
    enum { SIZE = 200001 };
    char *bytes = malloc(SIZE), of_bytes[SHA256_HEX_SIZE], of_file[SHA256_HEX_SIZE];
    struct error error;
    assert_non_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i % 251);
    write_bytes(file, bytes, SIZE);
    assert_int_equal(sha256_bytes(bytes, SIZE, of_bytes, &error), STATUS_OK);
    assert_int_equal(sha256_file(file, of_file, &error), STATUS_OK);
    assert_string_equal(of_bytes, of_file);
    free(bytes);
}

static void sha256_refuses_what_it_cannot_read(void **state) {
    (void)state;
    char hex[SHA256_HEX_SIZE];
    struct error error;
    assert_int_equal(sha256_file("none.h5", hex, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "none.h5"));
    assert_int_equal(sha256_file(".", hex, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "directory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_and_kind_of_string_reads_alike),
        cmocka_unit_test(every_layout_and_precision_reads_alike),
        cmocka_unit_test(a_top_is_passed_over_and_names_are_free),
        cmocka_unit_test(a_top_may_be_normalised),
        cmocka_unit_test(every_variant_and_odd_widths_are_read),
        cmocka_unit_test(the_order_of_kernels_is_one_for_the_file),
        cmocka_unit_test(theano_kernels_are_turned_back),
        cmocka_unit_test(the_demo_network_is_a_vgg16),
        cmocka_unit_test(every_defect_is_named),
        cmocka_unit_test(normalisation_between_convolutions_is_refused),
        cmocka_unit_test(layers_listed_out_of_order_are_named),
        cmocka_unit_test(names_tell_the_order_where_the_list_does_not),
        cmocka_unit_test(listed_groups_that_are_not_there_are_named),
        cmocka_unit_test(broken_lists_of_names_are_named),
        cmocka_unit_test(each_layer_of_each_variant_is_missed),
        cmocka_unit_test(without_block_names_the_number_is_told),
        cmocka_unit_test(files_that_are_no_hdf5_are_refused),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(damaged_files_never_crash),
        cmocka_unit_test(a_file_without_permission_is_refused),
        cmocka_unit_test(hdf5_stays_silent),
        cmocka_unit_test(want_of_memory_is_told_as_such),
        cmocka_unit_test(sha256_gives_the_standard_digests),
        cmocka_unit_test(sha256_of_a_file_is_that_of_its_bytes),
        cmocka_unit_test(sha256_refuses_what_it_cannot_read),
    };
    demo = realpath("jobs/demo/demo_weights.h5", NULL);
    int failed = demo ? cmocka_run_group_tests(tests, folder_enter, folder_leave) : 1;
    free(demo);
    return failed;
}
