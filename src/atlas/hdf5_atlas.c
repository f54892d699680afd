#include "filteratlas/atlas/hdf5_atlas.h"

#include "example_tables.h"
#include "filteratlas/image/png_file.h"

#include <errno.h>
#include <hdf5.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On 41 pictures of 412 pixels level 1 left 55.3 % of the bytes, level 4 54.8 % in 1.2 times the time, level 9 54.6 %
 * in twice the time. HDF5's shuffle, which brings the like bytes of larger numbers together, did nothing to bytes. */
enum { COMPRESSION_LEVEL = 1, CHANNELS = 3, STATUS_SIZE = 4, IMAGE_RANK = 4 };

/* A file in the making. */
struct atlas_file {
    hid_t id;
    char path[DURABLE_PATH_SIZE]; /* its final name */
    int width, height;
    uint8_t *picture; /* [height][width][3] */
    const struct examples *examples;
    const struct interrupt *interrupt;
};

/* What an HDF5 call has come to; errno was 0 before it. */
static int check(bool good, const struct atlas_file *file, struct error *error) {
    if (good)
        return STATUS_OK;
    return error_set(error, STATUS_FAILURE, "%s: cannot be written: %s; %s", file->path,
                     errno ? strerror(errno) : "HDF5 gives no reason", error_write_remedy(errno));
}

/* Properties of an object that doesn't remember when it was made: the same atlas is the same bytes. */
static hid_t timeless(hid_t class) {
    hid_t properties = H5Pcreate(class);
    H5Pset_obj_track_times(properties, false);
    return properties;
}

/* Attributes ------------------------------------------------------------------------------------------------------ */

static bool put_attribute(hid_t object, const char *name, hid_t type, hid_t space, const void *value) {
    hid_t id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = id >= 0 && H5Awrite(id, type, value) >= 0;
    if (id >= 0)
        good &= H5Aclose(id) >= 0;
    H5Sclose(space);
    return good;
}

/* Of variable length, which h5py reads as str: of fixed length it would be bytes. */
static hid_t text_type(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static bool put_text(hid_t object, const char *name, const char *value) {
    hid_t type = text_type();
    bool good = put_attribute(object, name, type, H5Screate(H5S_SCALAR), &value);
    H5Tclose(type);
    return good;
}

/* Of fixed length, as the image specification wants it. */
static bool put_label(hid_t object, const char *name, const char *value) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(value) + 1);
    bool good = put_attribute(object, name, type, H5Screate(H5S_SCALAR), value);
    H5Tclose(type);
    return good;
}

static bool put_extent(hid_t object, const char *name, const char *value) {
    char *end;
    int64_t extent[2];
    extent[0] = extent[1] = strtoll(value, &end, 10);
    if (*end == 'x')
        extent[1] = strtoll(end + 1, NULL, 10);
    return put_attribute(object, name, H5T_NATIVE_INT64, H5Screate_simple(1, (hsize_t[]){2}, NULL), extent);
}

static bool put_value(hid_t object, const struct hdf5_attribute *attribute) {
    const char *name = attribute->name, *value = attribute->value;
    hid_t scalar = H5Screate(H5S_SCALAR);
    switch (attribute->kind) {
    case HDF5_INTEGER:
        return put_attribute(object, name, H5T_NATIVE_INT64, scalar, &(int64_t){strtoll(value, NULL, 10)});
    case HDF5_UNSIGNED:
        return put_attribute(object, name, H5T_NATIVE_UINT64, scalar, &(uint64_t){strtoull(value, NULL, 10)});
    case HDF5_REAL:
        return put_attribute(object, name, H5T_NATIVE_DOUBLE, scalar, &(double){strtod(value, NULL)});
    default:
        H5Sclose(scalar);
        return attribute->kind == HDF5_EXTENT ? put_extent(object, name, value) : put_text(object, name, value);
    }
}

/* Rows that are not pictures -------------------------------------------------------------------------------------- */

/* A dataset of `count` rows; of `columns` columns, but for 0, which gives it one dimension. */
static hid_t create_rows(hid_t group, const char *name, hid_t type, int count, int columns) {
    const hsize_t extent[] = {(hsize_t)count, (hsize_t)columns};
    hid_t space = H5Screate_simple(columns ? 2 : 1, extent, NULL), properties = timeless(H5P_DATASET_CREATE);
    hid_t id = H5Dcreate2(group, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return id;
}

static bool put_table(hid_t group, const char *name, hid_t type, int count, int columns, const void *rows) {
    hid_t id = create_rows(group, name, type, count, columns);
    bool good = id >= 0 && H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0;
    if (id >= 0)
        good &= H5Dclose(id) >= 0;
    return good;
}

static bool put_rows(hid_t group, const char *name, hid_t type, int count, const void *rows) {
    return put_table(group, name, type, count, 0, rows);
}

static int write_columns(const struct atlas_file *file, hid_t group, const struct store_layer *layer,
                         struct error *error) {
    size_t count = (size_t)layer->count, bytes = count * (sizeof(double) + sizeof(int32_t) + STATUS_SIZE);
    double *loss = malloc(bytes);
    if (!loss)
        return error_memory(error, (double)bytes, "atlas.h5");
    int32_t *index = (int32_t *)(loss + count);
    char *status = (char *)(index + count); /* [count][STATUS_SIZE], no null bytes */
    for (int i = 0; i < layer->count; i++) {
        loss[i] = layer->filter[i].loss;
        index[i] = layer->filter[i].index;
        memcpy(status + STATUS_SIZE * i, layer->filter[i].dead ? "dead" : "live", STATUS_SIZE);
    }
    hid_t word = H5Tcopy(H5T_C_S1);
    H5Tset_size(word, STATUS_SIZE);
    H5Tset_strpad(word, H5T_STR_NULLPAD);
    errno = 0;
    int result = check(put_rows(group, "index", H5T_NATIVE_INT32, layer->count, index) &&
                           put_rows(group, "loss", H5T_NATIVE_DOUBLE, layer->count, loss) &&
                           put_rows(group, "status", word, layer->count, status),
                       file, error);
    H5Tclose(word);
    free(loss);
    return result;
}

/* Pictures -------------------------------------------------------------------------------------------------------- */

static int read_picture(const struct atlas_file *file, const char *path, struct error *error) {
    struct png_reader *reader;
    int width, height, status = png_reader_open(path, &reader, &width, &height, error);
    if (!status && (width != file->width || height != file->height))
        status = error_set(error, STATUS_FAILURE,
                           "%s: is %d x %d pixels, not %d x %d as the job says; remove it and run render again", path,
                           width, height, file->width, file->height);
    for (int y = 0; y < file->height && !status; y++) {
        status = interrupt_check(file->interrupt, error);
        if (!status)
            status = png_reader_row(reader, file->picture + (size_t)y * file->width * CHANNELS, error);
    }
    png_reader_close(reader);
    return status;
}

/* Row `row` of an open images dataset. */
static bool put_picture(hid_t images, const struct atlas_file *file, int row) {
    const hsize_t start[IMAGE_RANK] = {(hsize_t)row};
    const hsize_t extent[IMAGE_RANK] = {1, (hsize_t)file->height, (hsize_t)file->width, CHANNELS};
    hid_t memory = H5Screate_simple(IMAGE_RANK, extent, NULL), space = H5Dget_space(images);
    bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
                H5Dwrite(images, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, file->picture) >= 0;
    H5Sclose(space);
    H5Sclose(memory);
    return good;
}

static hid_t create_images(hid_t group, const struct atlas_file *file, int count) {
    const hsize_t extent[IMAGE_RANK] = {(hsize_t)count, (hsize_t)file->height, (hsize_t)file->width, CHANNELS};
    const hsize_t chunk[IMAGE_RANK] = {1, extent[1], extent[2], extent[3]};
    hid_t space = H5Screate_simple(IMAGE_RANK, extent, NULL), properties = timeless(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, IMAGE_RANK, chunk);
    if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0)
        H5Pset_deflate(properties, COMPRESSION_LEVEL);
    hid_t id = H5Dcreate2(group, "images", H5T_NATIVE_UINT8, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return id;
}

static int write_images(const struct atlas_file *file, hid_t group, const struct store *store,
                        const struct store_layer *layer, struct error *error) {
    errno = 0;
    hid_t images = create_images(group, file, layer->count);
    int status =
        check(images >= 0 && put_label(images, "CLASS", "IMAGE") && put_label(images, "IMAGE_VERSION", "1.2") &&
                  put_label(images, "IMAGE_SUBCLASS", "IMAGE_TRUECOLOR") &&
                  put_label(images, "INTERLACE_MODE", "INTERLACE_PIXEL"),
              file, error);
    for (int i = 0; i < layer->count && !status; i++) {
        if (layer->filter[i].dead)
            continue;
        char path[DURABLE_PATH_SIZE];
        store_picture_path(store, layer->name, layer->filter[i].index, path);
        status = read_picture(file, path, error);
        errno = 0;
        if (!status)
            status = check(put_picture(images, file, i), file, error);
    }
    errno = 0;
    if (images >= 0 && H5Dclose(images) < 0 && !status)
        status = check(false, file, error);
    return status;
}

/* Examples -------------------------------------------------------------------------------------------------------- */

static int put_tables(const struct atlas_file *file, hid_t group, const struct example_tables *tables,
                      struct error *error) {
    int seen = 0, count = tables->count, top = tables->top;
    hid_t text = text_type();
    for (int i = 0; i < file->examples->images; i++)
        seen += file->examples->image[i].seen;
    errno = 0;
    int status = check(put_attribute(group, "images", H5T_NATIVE_INT64, H5Screate(H5S_SCALAR), &(int64_t){seen}) &&
                           put_rows(group, "answered", H5T_NATIVE_INT32, count, tables->answered) &&
                           put_table(group, "image", text, count, top, tables->image) &&
                           put_table(group, "row", H5T_NATIVE_INT32, count, top, tables->row) &&
                           put_table(group, "column", H5T_NATIVE_INT32, count, top, tables->column) &&
                           put_table(group, "activation", H5T_NATIVE_FLOAT, count, top, tables->activation),
                       file, error);
    H5Tclose(text);
    return status;
}

/* One place of an open dataset of parts; those that were not cut stay empty. */
static int put_part(const struct atlas_file *file, hid_t parts, hid_t type, const char *path, int row, int place,
                    struct error *error) {
    struct text bytes = {0};
    const hsize_t start[] = {(hsize_t)row, (hsize_t)place}, one[] = {1, 1};
    if (!examples_has_part(path))
        return STATUS_OK;
    int status = text_read_regular(path, &bytes, error);
    if (!status) {
        hid_t memory = H5Screate_simple(2, one, NULL), space = H5Dget_space(parts);
        hvl_t value = {bytes.size, bytes.bytes};
        errno = 0;
        status = check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, one, NULL) >= 0 &&
                           H5Dwrite(parts, type, memory, space, H5P_DEFAULT, &value) >= 0,
                       file, error);
        H5Sclose(space);
        H5Sclose(memory);
    }
    text_free(&bytes);
    return status;
}

static int put_parts(const struct atlas_file *file, hid_t group, const struct store *store,
                     const struct examples_layer *known, const struct store_layer *layer, struct error *error) {
    const struct examples *examples = file->examples;
    hid_t type = H5Tvlen_create(H5T_NATIVE_UINT8);
    errno = 0;
    hid_t parts = create_rows(group, "jpeg", type, layer->count, examples->top);
    int status = check(parts >= 0, file, error);
    for (int i = 0; i < layer->count && !status; i++) {
        int filter = example_tables_filter(known, layer, i);
        status = interrupt_check(file->interrupt, error);
        for (int place = 0; filter >= 0 && place < examples->count[filter] && !status; place++) {
            char path[DURABLE_PATH_SIZE];
            int image = examples->list[(size_t)filter * examples->top + place].image;
            status = examples_part_path(store->folder, examples, filter, image, path, error);
            if (!status)
                status = put_part(file, parts, type, path, i, place, error);
        }
    }
    errno = 0;
    if (parts >= 0 && H5Dclose(parts) < 0 && !status)
        status = check(false, file, error);
    H5Tclose(type);
    return status;
}

static int write_examples(const struct atlas_file *file, hid_t layer_group, const struct store *store,
                          const struct store_layer *layer, struct error *error) {
    const struct examples_layer *known = example_tables_find(file->examples, layer->name);
    struct example_tables tables;
    if (!known)
        return STATUS_OK;
    int status = example_tables_make(layer->count, file->examples->top, &tables, error);
    hid_t properties = timeless(H5P_GROUP_CREATE);
    errno = 0;
    hid_t group = status ? H5I_INVALID_HID : H5Gcreate2(layer_group, "examples", H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    if (!status)
        status = check(group >= 0, file, error);
    if (!status) {
        example_tables_fill(file->examples, known, layer, &tables);
        status = put_tables(file, group, &tables, error);
    }
    if (!status)
        status = put_parts(file, group, store, known, layer, error);
    example_tables_free(&tables);
    errno = 0;
    if (group >= 0 && H5Gclose(group) < 0 && !status)
        status = check(false, file, error);
    return status;
}

/* The file -------------------------------------------------------------------------------------------------------- */

static int write_layer(const struct atlas_file *file, const struct store *store, const struct store_layer *layer,
                       struct error *error) {
    hid_t properties = timeless(H5P_GROUP_CREATE);
    errno = 0;
    hid_t group = H5Gcreate2(file->id, layer->name, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    int status = check(group >= 0, file, error);
    if (!status)
        status = write_columns(file, group, layer, error);
    if (!status)
        status = write_images(file, group, store, layer, error);
    if (!status)
        status = write_examples(file, group, store, layer, error);
    errno = 0;
    if (group >= 0 && H5Gclose(group) < 0 && !status)
        status = check(false, file, error);
    return status;
}

/* Without a lock, which file systems of clusters often refuse: the store's own lock is held. */
static int create_file(struct atlas_file *file, const char *part, struct error *error) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = timeless(H5P_FILE_CREATE);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(access, false, true);
#endif
    remove(part); /* whatever it is: a pipe would be waited for, a link followed */
    errno = 0;
    file->id = H5Fcreate(part, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return check(file->id >= 0, file, error);
}

static int write_part(struct atlas_file *file, const struct store *store, const struct store_layer *layers, int count,
                      const struct hdf5_attribute *attributes, int attributes_count, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(file->path, part);
    int status = create_file(file, part, error);
    errno = 0;
    for (int i = 0; i < attributes_count && !status; i++)
        status = check(put_value(file->id, &attributes[i]), file, error);
    for (int l = 0; l < count && !status; l++)
        if (layers[l].count)
            status = write_layer(file, store, &layers[l], error);
    errno = 0;
    if (file->id >= 0 && H5Fclose(file->id) < 0 && !status)
        status = check(false, file, error);
    if (!status)
        status = durable_sync_part(file->path, error);
    if (status)
        unlink(part);
    return status;
}

static int rename_file(const struct atlas_file *file, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(file->path, part);
    int status = durable_rename(file->path, error);
    if (status)
        unlink(part);
    return status;
}

int hdf5_atlas_write(const struct store *store, const struct store_layer *layers, int count, int width, int height,
                     const struct examples *examples, const struct hdf5_attribute *attributes, int attributes_count,
                     const struct interrupt *interrupt, struct error *error) {
    struct atlas_file file = {
        .id = H5I_INVALID_HID, .width = width, .height = height, .examples = examples, .interrupt = interrupt};
    size_t bytes = (size_t)width * (size_t)height * CHANNELS;
    H5E_auto2_t report;
    void *report_data;
    snprintf(file.path, sizeof file.path, "%s/atlas.h5", store->folder);
    file.picture = malloc(bytes);
    if (!file.picture)
        return error_memory(error, (double)bytes, "a picture");
    H5dont_atexit(); /* a file that could not be written is not to be tried again at exit */
    H5Eget_auto2(H5E_DEFAULT, &report, &report_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    int status = write_part(&file, store, layers, count, attributes, attributes_count, error);
    H5Eset_auto2(H5E_DEFAULT, report, report_data);
    free(file.picture);
    if (!status)
        status = rename_file(&file, error);
    return status ? status : durable_sync_folder(store->folder, error);
}
