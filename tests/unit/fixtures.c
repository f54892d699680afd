#include "fixtures.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>

static hid_t open_fixture(const char *file) {
    char path[256];
    snprintf(path, sizeof path, "tests/data/%s", file);
    hid_t id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (id < 0)
        fail_msg("%s: cannot be opened; run the tests from the project's root", path);
    return id;
}

bool fixture_exists(const char *file, const char *path) {
    hid_t id = open_fixture(file);
    bool exists = H5Lexists(id, path, H5P_DEFAULT) > 0;
    H5Fclose(id);
    return exists;
}

static void *read_dataset(const char *file, const char *path, hid_t type, size_t size, int shape[3]) {
    hid_t id = open_fixture(file), dataset = H5Dopen2(id, path, H5P_DEFAULT), space = H5Dget_space(dataset);
    hsize_t extents[4] = {1, 1, 1, 1};
    assert_in_range(H5Sget_simple_extent_ndims(space), 1, 4);
    H5Sget_simple_extent_dims(space, extents, NULL);
    for (int i = 0; i < 3; i++)
        shape[i] = (int)extents[i];
    void *values = malloc(size * extents[0] * extents[1] * extents[2] * extents[3]);
    assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(id);
    return values;
}

double *fixture_doubles(const char *file, const char *path, int shape[3]) {
    return read_dataset(file, path, H5T_NATIVE_DOUBLE, sizeof(double), shape);
}

float *fixture_floats(const char *file, const char *path, int shape[3]) {
    return read_dataset(file, path, H5T_NATIVE_FLOAT, sizeof(float), shape);
}

uint8_t *fixture_bytes(const char *file, const char *path, int shape[3]) {
    return read_dataset(file, path, H5T_NATIVE_UINT8, 1, shape);
}

static void read_attribute(const char *file, const char *path, const char *name, hid_t type, void *value) {
    hid_t id = open_fixture(file), attribute = H5Aopen_by_name(id, path, name, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(attribute >= 0);
    assert_true(H5Aread(attribute, type, value) >= 0);
    H5Aclose(attribute);
    H5Fclose(id);
}

double fixture_number(const char *file, const char *path, const char *attribute) {
    double value;
    read_attribute(file, path, attribute, H5T_NATIVE_DOUBLE, &value);
    return value;
}

uint64_t fixture_integer(const char *file, const char *path, const char *attribute) {
    uint64_t value;
    read_attribute(file, path, attribute, H5T_NATIVE_UINT64, &value);
    return value;
}

void fixture_string(const char *file, const char *path, const char *attribute, char text[64]) {
    char *string = NULL;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    read_attribute(file, path, attribute, type, &string);
    snprintf(text, 64, "%s", string);
    H5free_memory(string);
    H5Tclose(type);
}

struct fixture_names fixture_groups(const char *file) {
    hid_t id = open_fixture(file);
    H5G_info_t info;
    assert_true(H5Gget_info(id, &info) >= 0);
    struct fixture_names names = {(int)info.nlinks, calloc(info.nlinks, sizeof *names.name)};
    for (int i = 0; i < names.count; i++)
        H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, names.name[i], sizeof *names.name, H5P_DEFAULT);
    H5Fclose(id);
    return names;
}

void fixture_names_free(struct fixture_names *names) { free(names->name); }
