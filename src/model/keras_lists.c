#include "keras_weights.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SAVE_AGAIN "copy the file again or save it again with Keras"

bool keras_join(char path[KERAS_PATH_SIZE], const char *group, const char *name) {
    int length = snprintf(path, KERAS_PATH_SIZE, "%s/%s", strcmp(group, "/") ? group : "", name);
    return length >= 0 && length < KERAS_PATH_SIZE;
}

bool keras_has_list(const struct hdf5_file *file, const char *group, const char *attribute) {
    char first[32];
    snprintf(first, sizeof first, "%s0", attribute);
    return hdf5_has_attribute(file, group, attribute) || hdf5_has_attribute(file, group, first);
}

int keras_read_list(const struct hdf5_file *file, const char *group, const char *attribute, struct hdf5_names *names,
                    struct error *error) {
    if (hdf5_has_attribute(file, group, attribute))
        return hdf5_read_names(file, group, attribute, names, error);
    for (int i = 0;; i++) {
        char part[32];
        snprintf(part, sizeof part, "%s%d", attribute, i);
        if (!hdf5_has_attribute(file, group, part))
            return STATUS_OK;
        if (hdf5_read_names(file, group, part, names, error))
            return error->status;
    }
}

int keras_refuse_missing(const struct hdf5_file *file, const char *path, const char *name, const char *lister,
                         struct error *error) {
    char other[HDF5_LINK_SIZE];
    if (strlen(name) >= KERAS_PATH_SIZE - 64)
        return error_set(error, STATUS_USAGE,
                         "%s: the name %.40s... has %zu letters, too long; give the layers shorter names",
                         hdf5_file_path(file), name, strlen(name));
    if (hdf5_link_file(file, path, other))
        return error_set(error, STATUS_USAGE,
                         "%s: %.200s lies in another file, %s, which is missing; put it beside this one",
                         hdf5_file_path(file), name, other);
    return error_set(error, STATUS_USAGE, "%s: %.200s is missing or damaged, but %s lists it; " SAVE_AGAIN,
                     hdf5_file_path(file), name, lister);
}

int keras_check_array(const struct hdf5_file *file, const char *layer, const char *path, const struct hdf5_array *array,
                      struct error *error) {
    if (!array->is_float)
        return error_set(error, STATUS_USAGE,
                         "%s: %.100s (%.200s) does not hold floating-point numbers; save the weights as float32",
                         hdf5_file_path(file), layer, path);
    if (!array->has_data)
        return error_set(error, STATUS_USAGE, "%s: %.100s (%.200s) holds no data; " SAVE_AGAIN, hdf5_file_path(file),
                         layer, path);
    return STATUS_OK;
}

void keras_snake_case(const char *class_name, char *name, size_t size) {
    size_t at = 0;
    for (const char *c = class_name; *c && at + 2 < size; c++) {
        bool begins = isupper((unsigned char)*c) && c > class_name &&
                      (islower((unsigned char)c[-1]) || islower((unsigned char)c[1]));
        if (begins)
            name[at++] = '_';
        name[at++] = (char)tolower((unsigned char)*c);
    }
    name[at] = '\0';
}
