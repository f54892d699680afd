/* atlas.h5, read back with HDF5: the rows that belong together, the pictures, the attributes, and what is left when it
 * can't be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/atlas/hdf5_atlas.h"
#include "filteratlas/base/text.h"
#include "filteratlas/image/png_file.h"
#include "folder.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 7, HEIGHT = 5, PICTURE = WIDTH * HEIGHT * 3 };

static const struct hdf5_attribute attributes[] = {
    {"size", "7x5", HDF5_EXTENT},   {"epochs", "15", HDF5_INTEGER}, {"seed", "18446744073709551615", HDF5_UNSIGNED},
    {"factor", "1.2", HDF5_REAL},   {"rescale", "seed", HDF5_TEXT}, {"digest", "abc", HDF5_TEXT},
    {"offset", "-3", HDF5_INTEGER},
};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

/* Bytes that differ from picture to picture and along each axis. */
static void paint(int layer, int filter, uint8_t picture[PICTURE]) {
    for (int i = 0; i < PICTURE; i++)
        picture[i] = (uint8_t)(i * 31 + filter * 7 + layer * 101 + i / WIDTH);
}

static void put_filter(const struct store *store, const char *name, int layer, struct store_filter *filter, int width) {
    uint8_t picture[PICTURE], *png = NULL;
    size_t size = 0;
    struct error error;
    paint(layer, filter->index, picture);
    if (!filter->dead)
        assert_int_equal(png_encode(picture, width, PICTURE / 3 / width, NULL, 0, &png, &size, &error), STATUS_OK);
    if (!filter->dead)
        assert_int_equal(store_put_picture(store, name, filter, png, size, &error), STATUS_OK);
    assert_int_equal(store_commit_unit(store, name, filter->index, filter, 1, NULL, &error), STATUS_OK);
    free(png);
}

/* A store with filters 1 live, 4 dead, 6 live of block1_conv1 and one dead filter of block2_conv1. */
static struct store fill_store(struct store_layer layers[2]) {
    struct store store;
    struct error error;
    struct store_damage damage = {0};
    const struct store_entry job = {"size", "7x5"};
    struct store_filter filters[] = {
        {.index = 1, .loss = 0.1}, {.index = 4, .dead = true, .loss = 1e-8}, {.index = 6, .loss = 2.5}};
    assert_int_equal(store_open("atlas", &job, 1, NULL, &store, &error), STATUS_OK);
    for (int i = 0; i < 3; i++)
        put_filter(&store, "block1_conv1", 0, &filters[i], WIDTH);
    put_filter(&store, "block2_conv1", 1, &(struct store_filter){.index = 2, .dead = true}, WIDTH);
    assert_int_equal(store_read_layer(&store, "block1_conv1", NULL, &layers[0], &damage, &error), STATUS_OK);
    assert_int_equal(store_read_layer(&store, "block2_conv1", NULL, &layers[1], &damage, &error), STATUS_OK);
    return store;
}

static int write_atlas(const struct store *store, const struct store_layer *layers, struct error *error) {
    return hdf5_atlas_write(store, layers, 2, WIDTH, HEIGHT, &(struct examples){0}, attributes, ATTRIBUTES, NULL,
                            error);
}

static struct text atlas_bytes(void) {
    struct text text = {0};
    struct error error;
    assert_int_equal(text_read("atlas/atlas.h5", &text, &error), STATUS_OK);
    return text;
}

static hid_t open_atlas(void) {
    hid_t file = H5Fopen("atlas/atlas.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

/* Reads a dataset whole; returns the bytes that it takes on the disk. */
static hsize_t read_rows(hid_t file, const char *name, hid_t type, size_t count, void *values) {
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(id);
    assert_int_equal(H5Sget_simple_extent_npoints(space), count);
    assert_true(H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    hsize_t stored = H5Dget_storage_size(id);
    H5Sclose(space);
    H5Dclose(id);
    return stored;
}

static void rows_belong_together(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    hid_t file = open_atlas();
    int32_t index[3];
    double loss[3];
    char status[3 * 4];
    hid_t word = H5Tcopy(H5T_C_S1);
    H5Tset_size(word, 4);
    H5Tset_strpad(word, H5T_STR_NULLPAD);
    read_rows(file, "block1_conv1/index", H5T_NATIVE_INT32, 3, index);
    read_rows(file, "block1_conv1/loss", H5T_NATIVE_DOUBLE, 3, loss);
    read_rows(file, "block1_conv1/status", word, 3, status);
    assert_memory_equal(index, ((int32_t[]){1, 4, 6}), sizeof index);
    assert_memory_equal(loss, ((double[]){0.1, 1e-8, 2.5}), sizeof loss);
    assert_memory_equal(status, "livedeadlive", sizeof status);
    read_rows(file, "block2_conv1/index", H5T_NATIVE_INT32, 1, index);
    assert_int_equal(index[0], 2);
    H5Tclose(word);
    H5Fclose(file);
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

static void pictures_are_those_of_the_png_files(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    hid_t file = open_atlas();
    uint8_t images[3][PICTURE], wanted[3][PICTURE] = {{0}};
    paint(0, 1, wanted[0]);
    paint(0, 6, wanted[2]);
    read_rows(file, "block1_conv1/images", H5T_NATIVE_UINT8, 3 * PICTURE, images);
    assert_memory_equal(images, wanted, sizeof images);
    assert_int_equal(read_rows(file, "block2_conv1/images", H5T_NATIVE_UINT8, PICTURE, images), 0); /* dead: no room */
    assert_memory_equal(images[0], wanted[1], PICTURE);
    H5Fclose(file);
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

static void a_picture_is_a_chunk(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    hid_t file = open_atlas(), images = H5Dopen2(file, "block1_conv1/images", H5P_DEFAULT);
    hid_t properties = H5Dget_create_plist(images), space = H5Dget_space(images);
    hsize_t chunk[4], extent[4];
    assert_int_equal(H5Sget_simple_extent_dims(space, extent, NULL), 4);
    assert_memory_equal(extent, ((hsize_t[]){3, HEIGHT, WIDTH, 3}), sizeof extent);
    assert_int_equal(H5Pget_chunk(properties, 4, chunk), 4);
    assert_memory_equal(chunk, ((hsize_t[]){1, HEIGHT, WIDTH, 3}), sizeof chunk);
    assert_int_equal(H5Pget_nfilters(properties), 1);
    H5Sclose(space);
    H5Pclose(properties);
    H5Dclose(images);
    H5Fclose(file);
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

static void read_attribute(hid_t file, const char *name, hid_t type, void *value) {
    hid_t id = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(id >= 0);
    assert_true(H5Aread(id, type, value) >= 0);
    H5Aclose(id);
}

static void attributes_have_types(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    hid_t file = open_atlas(), string = H5Tcopy(H5T_C_S1);
    H5Tset_size(string, H5T_VARIABLE);
    H5Tset_cset(string, H5T_CSET_UTF8);
    int64_t size[2], epochs, offset;
    uint64_t seed;
    double factor;
    char *rescale;
    read_attribute(file, "size", H5T_NATIVE_INT64, size);
    read_attribute(file, "epochs", H5T_NATIVE_INT64, &epochs);
    read_attribute(file, "offset", H5T_NATIVE_INT64, &offset);
    read_attribute(file, "seed", H5T_NATIVE_UINT64, &seed);
    read_attribute(file, "factor", H5T_NATIVE_DOUBLE, &factor);
    read_attribute(file, "rescale", string, &rescale);
    assert_true(size[0] == 7 && size[1] == 5 && epochs == 15 && offset == -3);
    assert_true(seed == UINT64_MAX && factor == 1.2);
    assert_string_equal(rescale, "seed");
    H5free_memory(rescale);
    H5Tclose(string);
    H5Fclose(file);
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

static void the_same_atlas_is_the_same_bytes(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    struct text first = atlas_bytes();
    sleep(1); /* times in HDF5 files count seconds */
    for (int i = 0; i < layers[0].count; i++)
        layers[0].filter[i].seconds += 1, layers[0].filter[i].rank = 5;
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    struct text second = atlas_bytes();
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.bytes, second.bytes, first.size);
    text_free(&first);
    text_free(&second);
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

/* A failure names the picture and leaves the file that was there, and no other. */
static void assert_refused(const struct store *store, const struct store_layer *layers, const char *part) {
    struct error error;
    struct text before = atlas_bytes();
    assert_int_equal(write_atlas(store, layers, &error), STATUS_FAILURE);
    if (!strstr(error.message, part))
        fail_msg("'%s' does not contain '%s'", error.message, part);
    struct text after = atlas_bytes();
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.bytes, after.bytes, after.size);
    assert_int_equal(access("atlas/.atlas.h5.part", F_OK), -1);
    text_free(&before);
    text_free(&after);
}

static void what_cannot_be_read_is_refused(void **state) {
    (void)state;
    struct store_layer layers[2];
    struct error error;
    struct store store = fill_store(layers);
    assert_int_equal(write_atlas(&store, layers, &error), STATUS_OK);
    put_filter(&store, "block1_conv1", 0, &(struct store_filter){.index = 6}, HEIGHT); /* lies on its side */
    assert_refused(&store, layers, "block1_conv1/0006.png: is 5 x 7 pixels, not 7 x 5");
    assert_int_equal(truncate("atlas/filters/block1_conv1/0006.png", 60), 0);
    assert_refused(&store, layers, "block1_conv1/0006.png: ");
    assert_int_equal(unlink("atlas/filters/block1_conv1/0001.png"), 0);
    assert_refused(&store, layers, "block1_conv1/0001.png: cannot be read: No such file");
    store_layer_free(&layers[0]);
    store_layer_free(&layers[1]);
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, folder_enter, folder_leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(rows_belong_together),
        FOLDER_TEST(pictures_are_those_of_the_png_files),
        FOLDER_TEST(a_picture_is_a_chunk),
        FOLDER_TEST(attributes_have_types),
        FOLDER_TEST(the_same_atlas_is_the_same_bytes),
        FOLDER_TEST(what_cannot_be_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
