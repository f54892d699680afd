/* What the reader of weights needs from an HDF5 file, and nothing more: groups, lists of names in attributes, arrays of
 * numbers. hdf5.h is included in hdf5_file.c alone, and HDF5 itself prints nothing while a file is open. */
#ifndef MODEL_HDF5_FILE_H
#define MODEL_HDF5_FILE_H

#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { HDF5_MAX_RANK = 4, HDF5_LINK_SIZE = 256 };

struct hdf5_file;

/* A list of strings; start with an all-zero one, end with hdf5_names_free. */
struct hdf5_names {
    size_t count;
    char **name; /* [count], owned */
};

struct hdf5_array {
    int rank;                     /* may exceed HDF5_MAX_RANK: then extent says nothing */
    size_t extent[HDF5_MAX_RANK]; /* [rank] */
    bool is_float;                /* floating-point numbers of any size and byte order, or bfloat16 */
    bool is_bfloat16;
    bool has_data; /* anything was ever written to it, in whatever file */
    size_t bits;   /* of one element */
};

/* Opens a file for reading. One that is missing, unreadable, empty, truncated or not HDF5 is STATUS_USAGE with a
 * message of the form "FILE: WHY; REMEDY". On success the caller ends with hdf5_file_close; on failure *file is NULL.
 */
int hdf5_file_open(const char *path, struct hdf5_file **file, struct error *error);

/* The same of a file in memory, which must stay until it is closed; `path` is for messages. */
int hdf5_file_open_image(const char *path, const void *bytes, size_t size, struct hdf5_file **file,
                         struct error *error);

/* NULL is allowed. */
void hdf5_file_close(struct hdf5_file *file);

/* The path that the file was opened by, for messages. */
const char *hdf5_file_path(const struct hdf5_file *file);

bool hdf5_has_group(const struct hdf5_file *file, const char *group);
bool hdf5_has_attribute(const struct hdf5_file *file, const char *group, const char *attribute);

/* Appends the strings of a group's attribute to *names: fixed or variable length, padded with zeros or blanks, ASCII or
 * UTF-8. An attribute without elements adds none, whatever its type. One that is no list of strings, or a list beyond
 * reason, is STATUS_USAGE. */
int hdf5_read_names(const struct hdf5_file *file, const char *group, const char *attribute, struct hdf5_names *names,
                    struct error *error);
void hdf5_names_free(struct hdf5_names *names);

/* An attribute that is one text; the caller frees it. */
int hdf5_read_text(const struct hdf5_file *file, const char *group, const char *attribute, char **text,
                   struct error *error);

/* Appends the paths of all groups and of all datasets below the root, without a slash in front, a group before what it
 * holds; soft and external links are not followed. Beyond reason it is STATUS_USAGE. */
int hdf5_walk(const struct hdf5_file *file, struct hdf5_names *groups, struct hdf5_names *datasets,
              struct error *error);

/* Shape and type of a dataset; false if there is no such dataset. */
bool hdf5_describe(const struct hdf5_file *file, const char *dataset, struct hdf5_array *array);

/* The other file that a link points into; false if it is no such link. */
bool hdf5_link_file(const struct hdf5_file *file, const char *path, char name[HDF5_LINK_SIZE]);

/* Reads a whole dataset of exactly `count` floating-point numbers as native floats, in row-major order. */
int hdf5_read_floats(const struct hdf5_file *file, const char *dataset, size_t count, float *values,
                     struct error *error);

/* "HDF5 library version 1.10.8", static. */
const char *hdf5_description(void);

#endif
