#include "export.h"

#include "filteratlas/atlas/hdf5_atlas.h"
#include "option_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OWN_ATTRIBUTES = 2 };

bool export_wanted(const struct store *store, const struct options *options) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/atlas.h5", store->folder);
    return options->hdf5 || access(path, F_OK) == 0;
}

/* Numbers become numbers; what is no option, such as the weights' SHA-256, is text. */
static enum hdf5_kind kind_of(const char *name) {
    for (int r = 0; r < OPTION_ROWS; r++)
        if (!strcmp(option_rows[r].name, name))
            switch (option_rows[r].type) {
            case TYPE_INTEGER:
                return HDF5_INTEGER;
            case TYPE_REAL:
                return HDF5_REAL;
            case TYPE_SEED:
                return HDF5_UNSIGNED;
            case TYPE_SIZE:
                return HDF5_EXTENT;
            default:
                return HDF5_TEXT;
            }
    return HDF5_TEXT;
}

/* The program's version, the job's digest as the PNG files have it, and all of job.txt. */
static void fill_attributes(const struct store *store, const struct store_job *job, struct hdf5_attribute *attributes) {
    attributes[0] = (struct hdf5_attribute){"filteratlas-version", FILTERATLAS_VERSION, HDF5_TEXT};
    attributes[1] = (struct hdf5_attribute){"job", store->job_digest, HDF5_TEXT};
    for (int i = 0; i < job->count; i++)
        attributes[OWN_ATTRIBUTES + i] =
            (struct hdf5_attribute){job->entry[i].name, job->entry[i].value, kind_of(job->entry[i].name)};
}

static int find_size(const struct store *store, const struct store_job *job, int *width, int *height,
                     struct error *error) {
    const char *size = store_job_value(job, "size");
    if (size && sscanf(size, "%dx%d", width, height) == 2 && *width > 0 && *height > 0)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE, "%s/job.txt: has no line 'size = WxH'; give the --out of a render",
                     store->folder);
}

static void print_line(const struct store *store, const struct store_layer *layers, int count) {
    int filters = 0, used = 0;
    for (int l = 0; l < count; l++) {
        filters += layers[l].count;
        used += layers[l].count > 0;
    }
    printf("%s/atlas.h5: %d filters of %d layer%s\n", store->folder, filters, used, used == 1 ? "" : "s");
}

int export_atlas(const struct store *store, const struct store_job *job, const struct store_layer *layers, int count,
                 bool quiet, const struct interrupt *interrupt, struct error *error) {
    int width, height, many = OWN_ATTRIBUTES + job->count;
    struct examples examples = {0};
    struct hdf5_attribute *attributes = calloc((size_t)many, sizeof *attributes);
    if (!attributes)
        return error_memory(error, many * (double)sizeof *attributes, "atlas.h5");
    fill_attributes(store, job, attributes);
    int status = find_size(store, job, &width, &height, error);
    if (!status)
        status = examples_read(store->folder, &examples, error);
    if (!status)
        status = hdf5_atlas_write(store, layers, count, width, height, &examples, attributes, many, interrupt, error);
    examples_free(&examples);
    free(attributes);
    if (!status && !quiet)
        print_line(store, layers, count);
    return status;
}
