/* Reads the HDF5 files of tests/data, an independent program's answers. A file, dataset or attribute that can't be read
 * fails the test. Arrays are the caller's to free. */
#ifndef FIXTURES_H
#define FIXTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether FILE (in tests/data) has that group or dataset. */
bool fixture_exists(const char *file, const char *path);

/* A dataset of up to 4 dimensions converted to the type named; shape[3] gets the extents of the first three, 1 where it
 * has fewer. */
double *fixture_doubles(const char *file, const char *path, int shape[3]);
float *fixture_floats(const char *file, const char *path, int shape[3]);
uint8_t *fixture_bytes(const char *file, const char *path, int shape[3]);

/* Attributes of a group, or of the file with path "/". */
double fixture_number(const char *file, const char *path, const char *attribute);
uint64_t fixture_integer(const char *file, const char *path, const char *attribute);
void fixture_string(const char *file, const char *path, const char *attribute, char text[64]);

/* The groups at a file's root, by name. */
struct fixture_names {
    int count;
    char (*name)[128]; /* [count] */
};
struct fixture_names fixture_groups(const char *file);
void fixture_names_free(struct fixture_names *names);

#endif
