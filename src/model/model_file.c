#include "filteratlas/model/model_file.h"

#include "archive.h"
#include "document.h"
#include "filteratlas/base/rehearsal.h"
#include "filteratlas/base/room.h"
#include "filteratlas/base/text.h"
#include "hdf5_file.h"
#include "keras_graph.h"
#include "keras_vgg.h"
#include "keras_weights.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An open file, and the description of its model if there is one. */
struct source {
    const char *path;
    struct hdf5_file *hdf5;
    struct archive archive; /* of a .keras file; else empty */
    const struct keras_layout *layout;
    struct document *document; /* NULL: weights alone */
    char version[32];          /* of the Keras that wrote it, "" if it isn't said */
    char backend[32];
};

/* --- What the file says ------------------------------------------------------------------------------------------ */

static void copy_text(const char *text, char *copy, size_t size) { snprintf(copy, size, "%s", text ? text : ""); }

/* An attribute of the root or of the group that holds the weights. */
static void read_mark(const struct source *source, const char *attribute, char *mark, size_t size) {
    const char *groups[] = {"/", source->layout ? source->layout->root : "/"};
    for (int i = 0; i < 2 && !mark[0]; i++) {
        char *text = NULL;
        struct error ignored;
        if (hdf5_has_attribute(source->hdf5, groups[i], attribute))
            hdf5_read_text(source->hdf5, groups[i], attribute, &text, &ignored);
        copy_text(text, mark, size);
        free(text);
    }
}

static int parse_config(struct source *source, const char *text, size_t size, const char *name, struct error *error) {
    char what[512];
    struct error why;
    snprintf(what, sizeof what, "%.300s: its %s", source->path, name);
    if (!document_parse(text, size, what, &source->document, &why))
        return STATUS_OK;
    return error_set(error, why.status, "%s", why.message);
}

/* The description beside the weights. */
static int read_config_file(struct source *source, const char *config, struct error *error) {
    struct text text = {0};
    struct error why;
    if (text_read_regular(config, &text, &why))
        return error_set(error, STATUS_USAGE, "%.900s; check what --config says", why.message);
    int status = document_parse(text.bytes, text.size, config, &source->document, error);
    text_free(&text);
    return status;
}

static int read_attribute(struct source *source, struct error *error) {
    char *text;
    if (!hdf5_has_attribute(source->hdf5, "/", "model_config"))
        return STATUS_OK;
    if (hdf5_read_text(source->hdf5, "/", "model_config", &text, error))
        return error->status;
    int status = parse_config(source, text, strlen(text), "model_config", error);
    free(text);
    return status;
}

static int open_archive(struct source *source, const char *config, struct error *error) {
    struct archive *archive = &source->archive;
    if (archive_read(source->path, archive, error))
        return error->status;
    int status = config ? read_config_file(source, config, error)
                        : parse_config(source, archive->config, archive->config_size, "config.json", error);
    struct document *metadata = NULL;
    struct error ignored;
    if (!status && archive->metadata &&
        !document_parse(archive->metadata, archive->metadata_size, "", &metadata, &ignored)) {
        copy_text(document_text(document_get(metadata, "keras_version")), source->version, sizeof source->version);
        document_free(metadata);
    }
    if (!status)
        status = hdf5_file_open_image(source->path, archive->weights, archive->weights_size, &source->hdf5, error);
    return status;
}

static int open_source(struct source *source, const char *config, struct error *error) {
    if (archive_recognise(source->path))
        return open_archive(source, config, error);
    if (hdf5_file_open(source->path, &source->hdf5, error))
        return error->status;
    return config ? read_config_file(source, config, error) : read_attribute(source, error);
}

static void close_source(struct source *source) {
    hdf5_file_close(source->hdf5);
    archive_free(&source->archive);
    document_free(source->document);
}

/* --- The network ------------------------------------------------------------------------------------------------- */

static bool is_version3(const struct source *source) {
    const char *version =
        source->version[0] ? source->version : document_text(document_get(source->document, "keras_version"));
    return version ? version[0] == '3' : document_get(source->document, "registered_name") != NULL;
}

static int make_graph(struct source *source, struct keras_model *model, bool without_top, struct model_file *result,
                      struct error *error) {
    struct keras_context context = {.file = source->hdf5,
                                    .graph = &result->graph,
                                    .version3 = is_version3(source),
                                    .theano = !strcmp(source->backend, "theano"),
                                    .tensorflow = !strcmp(source->backend, "tensorflow"),
                                    .without_top = without_top};
    if (keras_weights_find(source->hdf5, source->layout, model, error) || keras_graph_make(&context, model, error))
        return error->status;
    keras_describe_layout(&context, source->layout->description, result->layout, sizeof result->layout);
    return STATUS_OK;
}

static int read_described(struct source *source, bool without_top, struct model_file *result, struct error *error) {
    struct keras_model *model;
    struct error why;
    if (keras_model_read(source->document, &model, &why))
        return error_set(error, why.status,
                         why.status == STATUS_USAGE ? "%s: %s; give a Sequential or a Functional" : "%s%s",
                         why.status == STATUS_USAGE ? source->path : "", why.message);
    int status = make_graph(source, model, without_top, result, error);
    keras_model_free(model);
    return status;
}

static int read_source(struct source *source, bool without_top, struct model_file *result, struct error *error) {
    source->layout = keras_layout_find(source->hdf5);
    if (!source->layout)
        return error_set(error, STATUS_USAGE,
                         "%s: is HDF5 but holds no Keras weights (no layer_names, no model_weights, no layers); give "
                         "the .h5 file that Keras saved",
                         source->path);
    read_mark(source, "keras_version", source->version, sizeof source->version);
    read_mark(source, "backend", source->backend, sizeof source->backend);
    if (source->document)
        return read_described(source, without_top, result, error);
    return keras_vgg_read(source->hdf5, source->layout, source->backend, result, error);
}

/* --- The module -------------------------------------------------------------------------------------------------- */

/* Names come from the file: what would steer a terminal does not reach it. */
static void make_printable(char *message) {
    for (char *c = message; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';
}

/* What one reading is told and gives. */
struct reading {
    const char *path, *config;
    bool without_top;
    struct model_file *model;
    struct error *error;
};

static int read_all(const struct reading *reading) {
    struct source source = {.path = reading->path};
    *reading->model = (struct model_file){0};
    int status = open_source(&source, reading->config, reading->error);
    if (!status)
        status = read_source(&source, reading->without_top, reading->model, reading->error);
    close_source(&source);
    return status;
}

static void rehearse(void *context) { read_all(context); }

/* Ten times what reading takes where it takes long, from a compressed file on a slow processor. */
static int most_seconds(const char *path) {
    enum { LEAST = 10, BYTES_EACH = 10 << 20 };
    struct stat info;
    return LEAST + (stat(path, &info) ? 0 : (int)(info.st_size / BYTES_EACH));
}

/* libhdf5 crashes where it gets no memory, or calls the file damaged. */
static int check_room(const char *path, struct error *error) {
    enum { ITS_OWN = 16 << 20 };
    struct stat info;
    size_t bytes = ITS_OWN + (stat(path, &info) ? 0 : (size_t)info.st_size);
    if (room_exists(bytes))
        return STATUS_OK;
    return error_set(error, STATUS_FAILURE,
                     "%s: out of memory: reading it takes %.0f MB; raise the limit on memory (ulimit -v) or use fewer "
                     "ranks on this node",
                     path, (double)bytes / 1e6);
}

int model_file_read(const char *path, const char *config, bool without_top, struct model_file *model,
                    struct error *error) {
    struct reading reading = {path, config, without_top, model, error};
    int signal, status;
    *model = (struct model_file){0};
    if (check_room(path, error))
        return error->status;
    if (rehearsal_survives(rehearse, &reading, most_seconds(path), &signal))
        status = read_all(&reading);
    else
        status = error_set(error, STATUS_USAGE, "%s: is damaged (HDF5 %s over it); copy it or download it again", path,
                           signal == SIGXCPU || signal == SIGKILL ? "comes to no end" : "breaks down");
    if (status) {
        make_printable(error->message);
        graph_free(&model->graph);
    }
    return status;
}

int model_file_digest(const char *path, const char *config, char sha256[SHA256_HEX_SIZE], struct error *error) {
    char both[2][SHA256_HEX_SIZE];
    if (!config)
        return sha256_file(path, sha256, error);
    if (sha256_file(path, both[0], error) || sha256_file(config, both[1], error))
        return error->status;
    return sha256_bytes(both, sizeof both, sha256, error);
}

const char *model_file_library(void) { return hdf5_description(); }
