#include "export.h"

#include "filteratlas/hdf5_atlas.h"
#include "option_table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OWN_ATTRIBUTES = 2, MOST_ENTRIES = OPTIONS_JOB_ENTRIES + 8 };

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

/* The program's version, the job's digest as the PNG files have it, and all of job.txt. Returns their number. */
static int make_attributes(const struct store *store, const struct store_entry *entries, int count,
                           struct hdf5_attribute *attributes) {
    attributes[0] = (struct hdf5_attribute){"filteratlas-version", FILTERATLAS_VERSION, HDF5_TEXT};
    attributes[1] = (struct hdf5_attribute){"job", store->job_digest, HDF5_TEXT};
    for (int i = 0; i < count; i++)
        attributes[OWN_ATTRIBUTES + i] =
            (struct hdf5_attribute){entries[i].name, entries[i].value, kind_of(entries[i].name)};
    return OWN_ATTRIBUTES + count;
}

static int find_size(const struct store *store, const struct store_entry *entries, int count, int *width, int *height,
                     struct error *error) {
    for (int i = 0; i < count; i++)
        if (!strcmp(entries[i].name, "size") && sscanf(entries[i].value, "%dx%d", width, height) == 2 && *width > 0 &&
            *height > 0)
            return STATUS_OK;
    return error_set(error, STATUS_USAGE, "%s/job.txt: has no line 'size = WxH'; give the --out of a render",
                     store->folder);
}

int export_atlas(const struct store *store, const struct store_layer *layers, int count, bool quiet,
                 struct error *error) {
    struct text text = {0};
    struct store_entry entries[MOST_ENTRIES];
    struct hdf5_attribute attributes[OWN_ATTRIBUTES + MOST_ENTRIES];
    int found, width, height, filters = 0, used = 0;
    int status = store_read_job(store, &text, entries, MOST_ENTRIES, &found, error);
    if (!status)
        status = find_size(store, entries, found, &width, &height, error);
    if (!status)
        status = hdf5_atlas_write(store, layers, count, width, height, attributes,
                                  make_attributes(store, entries, found, attributes), error);
    text_free(&text);
    for (int l = 0; l < count; l++) {
        filters += layers[l].count;
        used += layers[l].count > 0;
    }
    if (!status && !quiet)
        printf("%s/atlas.h5: %d filters of %d layer%s\n", store->folder, filters, used, used == 1 ? "" : "s");
    return status;
}
