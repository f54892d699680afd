#include "hdf5_file.h"

#include "global_heap.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above any network's names, far below what would hurt. */
enum { MAX_NAMES = 65536, MAX_NAMES_BYTES = 16 << 20, MAX_DATASETS = 65536, MAX_DEPTH = 32, FILTER_SIZE = 32 };

/* Numbers from a stored byte: deflate writes 258 bytes with two bits at best. */
enum { HDF5_START_SIZE = 16, MOST_COMPRESSION = 1032 };

struct hdf5_file {
    char *path;
    hid_t id;
    struct global_heap heap; /* texts of variable length */
    hid_t access;            /* of datasets: what they keep in other files is looked for beside this one */
    H5E_auto2_t report;      /* how HDF5 reported errors before */
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

/* What the first bytes say: Keras 3 saves a zip archive by default, with an HDF5 file inside, and in shards an index.
 */
static int check_content(const char *path, char start[HDF5_START_SIZE], struct error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, start, HDF5_START_SIZE);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return error_set(error, STATUS_USAGE, "%s: %s; check its permissions", path, strerror(reason));
    if (!memcmp(start, "PK\3\4", 4))
        return error_set(error, STATUS_USAGE,
                         "%s: is a zip archive; if Keras saved it, unzip it and give its model.weights.h5", path);
    if (H5Fis_hdf5(path) > 0)
        return STATUS_OK;
    if (start[0] == '{')
        return error_set(
            error, STATUS_USAGE,
            "%s: is JSON and holds no weights; give the .h5 or .keras file, and a model's description with "
            "--config",
            path);
    return error_set(error, STATUS_USAGE, "%s: is not an HDF5 file; give the .h5 file that Keras saved", path);
}

/* HDF5 1.10 doesn't open what a writer didn't close: the flags in the superblock (version 2 on) say so. */
static int refuse_content(const char *path, const char start[HDF5_START_SIZE], struct error *error) {
    enum { VERSION = 8, FLAGS = 11 };
    if (!memcmp(start, "\211HDF\r\n\032\n", VERSION) && start[VERSION] >= 2 && start[FLAGS])
        return error_set(
            error, STATUS_USAGE,
            "%s: was not closed by the program that wrote it; if that has ended, 'h5clear -s %s' mends the "
            "file",
            path, path);
    return error_set(error, STATUS_USAGE,
                     "%s: is truncated or damaged; copy it or download it again (scripts/fetch_weights gets VGG16's)",
                     path);
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

/* A file of its own in memory. */
static hid_t open_image(const void *bytes, size_t size) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t id = -1;
    if (H5Pset_fapl_core(access, 1 << 20, false) >= 0 && H5Pset_file_image(access, (void *)bytes, size) >= 0)
        id = H5Fopen("model.weights.h5", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return id;
}

/* HDF5 says nothing from here on. Not yet open; NULL and an error without memory. */
static struct hdf5_file *make_file(const char *path, struct error *error) {
    struct hdf5_file *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path))) {
        free(f);
        error_memory(error, strlen(path), "a file's name");
        return NULL;
    }
    f->id = H5I_INVALID_HID;
    H5dont_atexit(); /* closing itself at exit, HDF5 1.10 may complain of what a damaged file left in it */
    H5Eget_auto2(H5E_DEFAULT, &f->report, &f->report_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    f->access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_efile_prefix(f->access, "${ORIGIN}");
#if H5_VERSION_GE(1, 10, 2)
    H5Pset_virtual_prefix(f->access, "${ORIGIN}");
#endif
    return f;
}

int hdf5_file_open(const char *path, struct hdf5_file **file, struct error *error) {
    char start[HDF5_START_SIZE] = "";
    *file = NULL;
    if (check_stat(path, error))
        return error->status;
    struct hdf5_file *f = make_file(path, error);
    if (!f)
        return error->status;
    if (!check_content(path, start, error)) {
        f->id = open_unlocked(path);
        if (f->id >= 0) {
            global_heap_map(&f->heap, path);
            *file = f;
            return STATUS_OK;
        }
        refuse_content(path, start, error);
    }
    hdf5_file_close(f);
    return error->status;
}

int hdf5_file_open_image(const char *path, const void *bytes, size_t size, struct hdf5_file **file,
                         struct error *error) {
    *file = NULL;
    struct hdf5_file *f = make_file(path, error);
    if (!f)
        return error->status;
    f->id = open_image(bytes, size);
    global_heap_use(&f->heap, bytes, size);
    if (f->id >= 0) {
        *file = f;
        return STATUS_OK;
    }
    hdf5_file_close(f);
    return error_set(error, STATUS_USAGE, "%s: its model.weights.h5 is truncated or damaged; copy the file again",
                     path);
}

void hdf5_file_close(struct hdf5_file *file) {
    if (!file)
        return;
    if (file->id >= 0)
        H5Fclose(file->id);
    if (file->access >= 0)
        H5Pclose(file->access);
    global_heap_close(&file->heap);
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

/* Leaves references to texts as they are in the file: HDF5 itself would follow them. */
static herr_t keep_reference(hid_t from, hid_t to, H5T_cdata_t *data, size_t count, size_t stride, size_t bkg_stride,
                             void *bytes, void *background, hid_t transfer) {
    (void)from, (void)to, (void)count, (void)stride, (void)bkg_stride, (void)bytes, (void)background, (void)transfer;
    data->need_bkg = H5T_BKG_NO;
    return 0;
}

/* What elements of an attribute of that type are read as: references if they are of variable length. */
static hid_t memory_type_of(hid_t type) {
    if (H5Tget_class(type) != H5T_STRING)
        return -1;
    if (H5Tis_variable_str(type) <= 0)
        return H5Tget_native_type(type, H5T_DIR_ASCEND);
    hid_t reference = H5Tcreate(H5T_OPAQUE, GLOBAL_HEAP_REFERENCE_SIZE);
    if (reference >= 0 && H5Tregister(H5T_PERS_SOFT, "reference", type, reference, keep_reference) < 0) {
        H5Tclose(reference);
        reference = -1;
    }
    return reference;
}

/* `bytes` holds `count` strings of `size` bytes each, or references to them. */
static int append_names(const struct hdf5_file *file, hid_t type, size_t count, size_t size, const char *bytes,
                        struct hdf5_names *names, struct error *error) {
    bool variable = H5Tis_variable_str(type) > 0, blanks = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
    for (size_t i = 0; i < count; i++) {
        const char *text = bytes + i * size;
        size_t length = size;
        if (variable && (!global_heap_find(&file->heap, bytes + i * size, &text, &length) || length > MAX_NAMES_BYTES))
            return error_set(error, STATUS_USAGE, "is damaged");
        length = strnlen(text, length);
        while (blanks && length > 0 && text[length - 1] == ' ')
            length--;
        if (!append_name(names, text, length))
            return error_memory(error, (double)count * size, "the names of layers");
    }
    return STATUS_OK;
}

/* Reads `count` strings of an open attribute. */
static int read_strings(const struct hdf5_file *file, hid_t attribute, size_t count, struct hdf5_names *names,
                        struct error *error) {
    hid_t type = H5Aget_type(attribute), memory_type = type >= 0 ? memory_type_of(type) : -1;
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
    else
        status = append_names(file, type, count, size, bytes, names, error);
    free(bytes);
    H5Tunregister(H5T_PERS_SOFT, "reference", -1, -1, keep_reference);
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
        status = read_strings(file, id, (size_t)count, names, &why);
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

int hdf5_read_text(const struct hdf5_file *file, const char *group, const char *attribute, char **text,
                   struct error *error) {
    struct hdf5_names names = {0};
    *text = NULL;
    int status = hdf5_read_names(file, group, attribute, &names, error);
    if (!status && names.count != 1)
        status = error_set(error, STATUS_USAGE, "%s: the attribute %s of %.200s is no text; save it again with Keras",
                           file->path, attribute, group);
    if (!status) {
        *text = names.name[0];
        names.count = 0;
    }
    hdf5_names_free(&names);
    return status;
}

/* --- Walking ----------------------------------------------------------------------------------------------------- */

struct walk {
    const struct hdf5_file *file;
    const char *path;
    int depth;
    struct hdf5_names *datasets, *groups;
};

static int walk_group(const struct walk *walk, const char *path, bool root);

/* What a group's member is. HDF5 1.12 wants to be told what to find out, where 1.10 finds out all. */
static H5O_type_t type_of(hid_t group, const char *name) {
#if H5_VERSION_GE(1, 12, 0)
    H5O_info2_t info;
    return H5Oget_info_by_name3(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ? H5O_TYPE_UNKNOWN : info.type;
#else
    H5O_info_t info;
    return H5Oget_info_by_name(group, name, &info, H5P_DEFAULT) < 0 ? H5O_TYPE_UNKNOWN : info.type;
#endif
}

/* One member of a group: a dataset's path is kept, a group's too, and it is entered. */
static int visit(hid_t group, const char *name, const H5L_info_t *link, void *context) {
    const struct walk *walk = context;
    char *path = NULL;
    const H5O_type_t type = link->type == H5L_TYPE_HARD ? type_of(group, name) : H5O_TYPE_UNKNOWN;
    if (type == H5O_TYPE_UNKNOWN)
        return 0;
    if (walk->datasets->count + walk->groups->count > MAX_DATASETS ||
        asprintf(&path, "%s%s%s", walk->path, *walk->path ? "/" : "", name) < 0)
        return -1;
    struct hdf5_names *names = type == H5O_TYPE_GROUP ? walk->groups : walk->datasets;
    bool kept = append_name(names, path, strlen(path));
    int status = !kept ? -1 : type == H5O_TYPE_GROUP ? walk_group(walk, path, false) : 0;
    free(path);
    return status;
}

/* A group that holds itself ends at a depth beyond any network's. */
static int walk_group(const struct walk *walk, const char *path, bool root) {
    struct walk inner = *walk;
    inner.path = path;
    inner.depth++;
    if (inner.depth > MAX_DEPTH)
        return -1;
    hid_t id = H5Gopen2(walk->file->id, root ? "/" : path, H5P_DEFAULT);
    if (id < 0)
        return 0;
    int status = H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, &inner);
    H5Gclose(id);
    return status < 0 ? -1 : 0;
}

int hdf5_walk(const struct hdf5_file *file, struct hdf5_names *groups, struct hdf5_names *datasets,
              struct error *error) {
    const struct walk walk = {file, "", 0, datasets, groups};
    if (walk_group(&walk, "", true))
        return error_set(error, STATUS_USAGE, "%s: its groups can't be listed; copy it or save it again with Keras",
                         file->path);
    return STATUS_OK;
}

/* --- Arrays ------------------------------------------------------------------------------------------------------ */

/* Whether the file that a virtual dataset takes a part from is there, and the dataset in it; "." is the file itself. */
static bool has_source(const struct hdf5_file *file, hid_t create, size_t i) {
    char name[512] = "", dataset[512] = "", path[2048];
    const char *slash = strrchr(file->path, '/');
    if (H5Pget_virtual_filename(create, i, name, sizeof name) < 0 ||
        H5Pget_virtual_dsetname(create, i, dataset, sizeof dataset) < 0)
        return false;
    bool own = !strcmp(name, ".");
    snprintf(path, sizeof path, "%.*s%s", *name == '/' || !slash ? 0 : (int)(slash + 1 - file->path), file->path, name);
    hid_t source = own ? file->id : open_unlocked(path);
    hid_t id = source >= 0 ? H5Dopen2(source, dataset, H5P_DEFAULT) : -1;
    if (id >= 0)
        H5Dclose(id);
    if (!own && source >= 0)
        H5Fclose(source);
    return id >= 0;
}

/* Whether every number of a virtual dataset comes from somewhere: HDF5 reads zeros where it doesn't. */
static bool has_all_sources(const struct hdf5_file *file, hid_t create, hssize_t points) {
    enum { MOST = 4096 };
    size_t count = 0;
    if (H5Pget_virtual_count(create, &count) < 0 || count > MOST)
        return false;
    for (size_t i = 0; i < count; i++) {
        hid_t space = H5Pget_virtual_vspace(create, i);
        points -= space >= 0 ? H5Sget_select_npoints(space) : 0;
        if (space >= 0)
            H5Sclose(space);
        if (!has_source(file, create, i))
            return false;
    }
    return points <= 0;
}

/* Whether so many numbers can come from so many bytes, a chunk at a time: HDF5 makes room for whole chunks. */
static bool can_hold(hid_t create, hssize_t points, hsize_t stored) {
    hsize_t chunk[H5S_MAX_RANK], size = 1;
    int rank = H5Pget_layout(create) == H5D_CHUNKED ? H5Pget_chunk(create, H5S_MAX_RANK, chunk) : 0;
    for (int i = 0; i < rank; i++)
        size = chunk[i] < (hsize_t)1 << 32 && size < (hsize_t)1 << 31 ? size * chunk[i] : (hsize_t)1 << 62;
    return stored > 0 && points >= 0 && (hsize_t)points / MOST_COMPRESSION <= stored &&
           size / MOST_COMPRESSION <= stored;
}

/* Whether the values were ever written. */
static bool has_data(const struct hdf5_file *file, hid_t dataset, hid_t create, hid_t space) {
    if (create >= 0 && space >= 0 && H5Pget_layout(create) == H5D_VIRTUAL)
        return has_all_sources(file, create, H5Sget_simple_extent_npoints(space));
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (create < 0)
        return false;
    return can_hold(create, points, H5Dget_storage_size(dataset)) || H5Pget_external_count(create) > 0;
}

/* h5py has no type for it: Keras writes two opaque bytes. */
static bool is_bfloat16(hid_t type) { return H5Tget_class(type) == H5T_OPAQUE && H5Tget_size(type) == 2; }

/* Half to quadruple precision; what a damaged file calls longer would take memory without end. */
static bool is_number(hid_t type) {
    size_t size = H5Tget_size(type);
    return H5Tget_class(type) == H5T_FLOAT && size >= 2 && size <= 16;
}

static bool describe_open(const struct hdf5_file *file, hid_t dataset, struct hdf5_array *array) {
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset), create = H5Dget_create_plist(dataset);
    hsize_t extent[H5S_MAX_RANK] = {0};
    *array = (struct hdf5_array){.rank = space >= 0 ? H5Sget_simple_extent_dims(space, extent, NULL) : -1};
    for (int i = 0; i < array->rank && i < HDF5_MAX_RANK; i++)
        array->extent[i] = extent[i];
    array->is_bfloat16 = type >= 0 && is_bfloat16(type);
    array->is_float = type >= 0 && (is_number(type) || array->is_bfloat16);
    array->has_data = has_data(file, dataset, create, space);
    array->bits = type >= 0 ? 8 * H5Tget_size(type) : 0;
    if (create >= 0)
        H5Pclose(create);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return array->rank >= 0;
}

bool hdf5_describe(const struct hdf5_file *file, const char *dataset, struct hdf5_array *array) {
    hid_t id = H5Dopen2(file->id, dataset, file->access);
    if (id < 0)
        return false;
    bool known = describe_open(file, id, array);
    H5Dclose(id);
    return known;
}

bool hdf5_link_file(const struct hdf5_file *file, const char *path, char name[HDF5_LINK_SIZE]) {
    H5L_info_t info;
    char value[1024];
    const char *other, *inside;
    unsigned flags;
    if (H5Lget_info(file->id, path, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_EXTERNAL ||
        info.u.val_size > sizeof value || H5Lget_val(file->id, path, value, sizeof value, H5P_DEFAULT) < 0 ||
        H5Lunpack_elink_val(value, info.u.val_size, &flags, &other, &inside) < 0)
        return false;
    snprintf(name, HDF5_LINK_SIZE, "%s", other);
    return true;
}

/* Whether an open dataset has exactly `count` elements: H5Dread itself doesn't look at the length of its buffer. */
static bool has_count(hid_t dataset, size_t count) {
    hid_t space = H5Dget_space(dataset);
    bool equal = space >= 0 && H5Sget_simple_extent_npoints(space) == (hssize_t)count;
    if (space >= 0)
        H5Sclose(space);
    return equal;
}

/* A bfloat16 is the upper half of a float. */
static bool read_bfloat16(hid_t dataset, size_t count, float *values) {
    uint16_t *halves = malloc((count ? count : 1) * sizeof *halves);
    hid_t type = H5Dget_type(dataset);
    bool good = halves && type >= 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves) >= 0;
    for (size_t i = 0; good && i < count; i++) {
        uint32_t bits = (uint32_t)halves[i] << 16;
        memcpy(&values[i], &bits, sizeof bits);
    }
    if (type >= 0)
        H5Tclose(type);
    free(halves);
    return good;
}

static bool read_numbers(hid_t dataset, size_t count, float *values) {
    hid_t type = H5Dget_type(dataset);
    bool narrow = type >= 0 && is_bfloat16(type);
    if (type >= 0)
        H5Tclose(type);
    return narrow ? read_bfloat16(dataset, count, values)
                  : H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
}

/* The name of a filter that the values went through and this HDF5 lacks, "" if there is none. */
static void find_lacking_filter(hid_t dataset, char name[FILTER_SIZE]) {
    hid_t create = H5Dget_create_plist(dataset);
    int filters = create >= 0 ? H5Pget_nfilters(create) : 0;
    for (int i = 0; i < filters && !name[0]; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(create, i, &flags, &values, NULL, FILTER_SIZE, name, &config);
        if (filter < 0 || H5Zfilter_avail(filter) > 0)
            name[0] = '\0';
        else if (!name[0])
            snprintf(name, FILTER_SIZE, "number %d", filter);
    }
    if (create >= 0)
        H5Pclose(create);
}

static int refuse_values(const struct hdf5_file *file, const char *dataset, hid_t id, struct error *error) {
    char filter[FILTER_SIZE] = "";
    if (id >= 0)
        find_lacking_filter(id, filter);
    if (filter[0])
        return error_set(error, STATUS_USAGE,
                         "%s: %s is compressed by the filter %s, which this HDF5 lacks; save it with gzip or without",
                         file->path, dataset, filter);
    return error_set(error, STATUS_USAGE, "%s: %s can't be read, the file is damaged; copy it or download it again",
                     file->path, dataset);
}

int hdf5_read_floats(const struct hdf5_file *file, const char *dataset, size_t count, float *values,
                     struct error *error) {
    hid_t id = H5Dopen2(file->id, dataset, file->access);
    bool good = id >= 0 && has_count(id, count) && read_numbers(id, count, values);
    int status = good ? STATUS_OK : refuse_values(file, dataset, id, error);
    if (id >= 0)
        H5Dclose(id);
    return status;
}

const char *hdf5_description(void) { return H5_VERS_INFO; }
