#include "hdf5_file.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above any network's names, far below what would hurt. */
enum { MAX_NAMES = 65536, MAX_NAMES_BYTES = 16 << 20 };

struct hdf5_file {
    char *path;
    hid_t id;
    H5E_auto2_t report; /* how HDF5 reported errors before */
    void *report_data;
};

/* --- Opening ----------------------------------------------------------------------------------------------------- */

/* What the system says of the file, before HDF5 sees it. */
static int check_stat(const char *path, struct error *error) {
    struct stat info;
    if (stat(path, &info)) {
        if (errno == ENOENT)
            return error_set(error, STATUS_USAGE,
                             "%s: no such file; give the .h5 file that Keras saved, or get VGG16's with "
                             "scripts/fetch_weights",
                             path);
        return error_set(error, STATUS_USAGE, "%s: %s; check the path and its permissions", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode))
        return error_set(error, STATUS_USAGE, "%s: is a directory; give the .h5 file in it", path);
    if (!S_ISREG(info.st_mode))
        return error_set(error, STATUS_USAGE, "%s: is not a regular file; give the .h5 file that Keras saved", path);
    if (info.st_size == 0)
        return error_set(error, STATUS_USAGE, "%s: is empty; copy it or download it again", path);
    return STATUS_OK;
}

/* What the first bytes say: Keras 3 saves a zip archive by default, with an HDF5 file inside. */
static int check_content(const char *path, struct error *error) {
    char start[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, start, sizeof start);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return error_set(error, STATUS_USAGE, "%s: %s; check its permissions", path, strerror(reason));
    if (!memcmp(start, "PK\3\4", sizeof start))
        return error_set(error, STATUS_USAGE,
                         "%s: is a zip archive; if Keras saved it, unzip it and give its model.weights.h5", path);
    if (H5Fis_hdf5(path) <= 0)
        return error_set(error, STATUS_USAGE, "%s: is not an HDF5 file; give the .h5 file that Keras saved", path);
    return STATUS_OK;
}

/* Opens without a lock: file systems of clusters often refuse locks, and nothing here writes. */
static hid_t open_unlocked(const char *path) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(access, false, true);
#endif
    hid_t id = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return id;
}

int hdf5_file_open(const char *path, struct hdf5_file **file, struct error *error) {
    *file = NULL;
    if (check_stat(path, error))
        return error->status;
    struct hdf5_file *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path))) {
        free(f);
        return error_memory(error, strlen(path), "a file's name");
    }
    f->id = H5I_INVALID_HID;
    H5dont_atexit(); /* closing itself at exit, HDF5 1.10 may complain of what a damaged file left in it */
    H5Eget_auto2(H5E_DEFAULT, &f->report, &f->report_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (!check_content(path, error)) {
        f->id = open_unlocked(path);
        if (f->id >= 0) {
            *file = f;
            return STATUS_OK;
        }
        error_set(error, STATUS_USAGE,
                  "%s: is truncated or damaged; copy it or download it again (scripts/fetch_weights gets VGG16's)",
                  path);
    }
    hdf5_file_close(f);
    return error->status;
}

void hdf5_file_close(struct hdf5_file *file) {
    if (!file)
        return;
    if (file->id >= 0)
        H5Fclose(file->id);
    H5Eset_auto2(H5E_DEFAULT, file->report, file->report_data);
    free(file->path);
    free(file);
}

const char *hdf5_file_path(const struct hdf5_file *file) { return file->path; }

/* --- Groups and names -------------------------------------------------------------------------------------------- */

bool hdf5_has_group(const struct hdf5_file *file, const char *group) {
    hid_t id = H5Gopen2(file->id, group, H5P_DEFAULT);
    if (id >= 0)
        H5Gclose(id);
    return id >= 0;
}

bool hdf5_has_attribute(const struct hdf5_file *file, const char *group, const char *attribute) {
    return H5Aexists_by_name(file->id, group, attribute, H5P_DEFAULT) > 0;
}

static bool append_name(struct hdf5_names *names, const char *text, size_t length) {
    char **longer = realloc(names->name, (names->count + 1) * sizeof *longer);
    if (!longer)
        return false;
    names->name = longer;
    names->name[names->count] = strndup(text, length);
    return names->name[names->count] && ++names->count;
}

void hdf5_names_free(struct hdf5_names *names) {
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct hdf5_names){0};
}

/* `bytes` holds `count` strings as HDF5 left them in memory: pointers, or `size` bytes each. */
static bool append_names(hid_t type, size_t count, const char *bytes, struct hdf5_names *names) {
    bool variable = H5Tis_variable_str(type) > 0, blanks = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    size_t size = H5Tget_size(type);
    for (size_t i = 0; i < count; i++) {
        const char *text = variable ? ((const char *const *)bytes)[i] : bytes + i * size;
        size_t length = !text ? 0 : variable ? strlen(text) : strnlen(text, size);
        while (blanks && length > 0 && text[length - 1] == ' ')
            length--;
        if (!append_name(names, text ? text : "", length))
            return false;
    }
    return true;
}

/* Reads `count` strings of an open attribute. */
static int read_strings(hid_t attribute, hid_t space, size_t count, struct hdf5_names *names, struct error *error) {
    hid_t type = H5Aget_type(attribute);
    hid_t memory_type = H5Tget_class(type) == H5T_STRING ? H5Tget_native_type(type, H5T_DIR_ASCEND) : -1;
    size_t size = memory_type >= 0 ? H5Tget_size(memory_type) : 0;
    bool sane = size > 0 && count <= MAX_NAMES && size <= MAX_NAMES_BYTES / count;
    char *bytes = sane ? calloc(count, size) : NULL;
    int status = STATUS_OK;
    if (!sane)
        status = error_set(error, STATUS_USAGE, "is not a list of names");
    else if (!bytes)
        status = error_memory(error, (double)count * size, "the names of layers");
    else if (H5Aread(attribute, memory_type, bytes) < 0)
        status = error_set(error, STATUS_USAGE, "can't be read");
    else if (!append_names(memory_type, count, bytes, names))
        status = error_memory(error, (double)count * size, "the names of layers");
    if (bytes && H5Tis_variable_str(memory_type) > 0)
        H5Dvlen_reclaim(memory_type, space, H5P_DEFAULT, bytes);
    free(bytes);
    if (memory_type >= 0)
        H5Tclose(memory_type);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

int hdf5_read_names(const struct hdf5_file *file, const char *group, const char *attribute, struct hdf5_names *names,
                    struct error *error) {
    hid_t id = H5Aopen_by_name(file->id, group, attribute, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = id >= 0 ? H5Aget_space(id) : -1;
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    struct error why;
    int status = STATUS_OK;
    if (count < 0)
        status = error_set(&why, STATUS_USAGE, "can't be read");
    else if (count > 0)
        status = read_strings(id, space, (size_t)count, names, &why);
    if (space >= 0)
        H5Sclose(space);
    if (id >= 0)
        H5Aclose(id);
    if (status == STATUS_USAGE)
        return error_set(error, status, "%s: the attribute %s of %.200s %s; save it again with Keras", file->path,
                         attribute, group, why.message);
    if (status)
        *error = why;
    return status;
}

/* --- Arrays ------------------------------------------------------------------------------------------------------ */

static bool describe_open(hid_t dataset, struct hdf5_array *array) {
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    hsize_t extent[H5S_MAX_RANK] = {0};
    *array = (struct hdf5_array){.rank = space >= 0 ? H5Sget_simple_extent_dims(space, extent, NULL) : -1};
    for (int i = 0; i < array->rank && i < HDF5_MAX_RANK; i++)
        array->extent[i] = extent[i];
    array->is_float = type >= 0 && H5Tget_class(type) == H5T_FLOAT;
    array->has_data = H5Dget_storage_size(dataset) > 0;
    array->bits = type >= 0 ? 8 * H5Tget_size(type) : 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return array->rank >= 0;
}

bool hdf5_describe(const struct hdf5_file *file, const char *dataset, struct hdf5_array *array) {
    hid_t id = H5Dopen2(file->id, dataset, H5P_DEFAULT);
    if (id < 0)
        return false;
    bool known = describe_open(id, array);
    H5Dclose(id);
    return known;
}

/* Whether an open dataset has exactly `count` elements: H5Dread itself doesn't look at the length of its buffer. */
static bool has_count(hid_t dataset, size_t count) {
    hid_t space = H5Dget_space(dataset);
    bool equal = space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)count;
    if (space >= 0)
        H5Sclose(space);
    return equal;
}

int hdf5_read_floats(const struct hdf5_file *file, const char *dataset, size_t count, float *values,
                     struct error *error) {
    hid_t id = H5Dopen2(file->id, dataset, H5P_DEFAULT);
    bool good =
        id >= 0 && has_count(id, count) && H5Dread(id, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    if (id >= 0)
        H5Dclose(id);
    if (!good)
        return error_set(error, STATUS_USAGE, "%s: %s can't be read, the file is damaged; copy it or download it again",
                         file->path, dataset);
    return STATUS_OK;
}

const char *hdf5_description(void) { return H5_VERS_INFO; }
