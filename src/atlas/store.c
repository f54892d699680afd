#include "filteratlas/store.h"

#include "filteratlas/text.h"
#include "record.h"
#include "trace_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void layer_folder(const struct store *store, const char *kind, const char *layer, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/%s/%s", store->folder, kind, layer);
}

static void record_path(const struct store *store, const char *layer, int unit, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/units/%s/%05d.txt", store->folder, layer, unit);
}

void store_picture_path(const struct store *store, const char *layer, int filter, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/filters/%s/%04d.png", store->folder, layer, filter);
}

static int make_layer_folders(const struct store *store, const char *layer, struct error *error) {
    if (lock_is_lost(store->lock))
        return error_set(
            error, STATUS_FAILURE,
            "%s: this run's lock is gone: the folder was removed, or another process took over while this one stood "
            "still; run the same command again",
            store->folder);
    static const char *const kinds[] = {"filters", "units"};
    for (int i = 0; i < 2; i++) {
        char path[DURABLE_PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", store->folder, kinds[i]);
        int status = durable_make_folder(path, error);
        layer_folder(store, kinds[i], layer, path);
        if (!status)
            status = durable_make_folder(path, error);
        if (status)
            return status;
    }
    return STATUS_OK;
}

int store_put_picture(const struct store *store, const char *layer, struct store_filter *filter, const void *png,
                      size_t size, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    filter->bytes = size;
    filter->crc = record_checksum(png, size);
    store_picture_path(store, layer, filter->index, path);
    int status = make_layer_folders(store, layer, error);
    return status ? status : durable_write_part(path, png, size, error);
}

int store_publish_pictures(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                           struct error *error) {
    char path[DURABLE_PATH_SIZE];
    int status = make_layer_folders(store, layer, error);
    for (int i = 0; i < count && !status; i++)
        if (!filters[i].dead) {
            store_picture_path(store, layer, filters[i].index, path);
            status = durable_publish(path, error);
        }
    return status;
}

int store_sync_pictures(const struct store *store, const char *layer, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    layer_folder(store, "filters", layer, path);
    return durable_sync_folder(path, error);
}

int store_write_record(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                       int count, const char *trace, struct error *error) {
    struct store_layer merged = {0};
    struct text record = {0}, lines = {0};
    char record_file[DURABLE_PATH_SIZE];
    record_path(store, layer, unit, record_file);
    int status = record_merge(record_file, filters, count, &merged, error);
    if (!status)
        status = trace_file_write(record_file, &merged, filters, count, trace, &lines, error);
    if (!status) {
        record_format(merged.filter, merged.count, &lines, &record);
        status = durable_write_part(record_file, record.bytes, record.size, error);
    }
    if (!status)
        status = durable_publish(record_file, error);
    text_free(&record);
    text_free(&lines);
    store_layer_free(&merged);
    return status;
}

int store_sync_records(const struct store *store, const char *layer, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    layer_folder(store, "units", layer, path);
    return durable_sync_folder(path, error);
}

void store_remove_old_traces(const struct store *store, const char *layer, int unit) {
    char record_file[DURABLE_PATH_SIZE];
    record_path(store, layer, unit, record_file);
    trace_file_remove_others(record_file);
}

int store_commit_unit(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                      int count, const char *trace, struct error *error) {
    int status = store_publish_pictures(store, layer, filters, count, error);
    if (!status)
        status = store_sync_pictures(store, layer, error);
    if (!status)
        status = store_write_record(store, layer, unit, filters, count, trace, error);
    if (!status)
        status = store_sync_records(store, layer, error);
    if (!status && trace)
        store_remove_old_traces(store, layer, unit);
    return status;
}

/* Reading back -------------------------------------------------------------------------------------------------- */

static int is_record(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && !strcmp(dot, ".txt");
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static bool picture_matches(const struct store *store, const char *layer, const struct store_filter *filter) {
    if (filter->dead)
        return true;
    struct text bytes = {0};
    struct error ignored;
    char path[DURABLE_PATH_SIZE];
    store_picture_path(store, layer, filter->index, path);
    bool matches = text_read(path, &bytes, &ignored) == STATUS_OK && bytes.size == filter->bytes &&
                   record_checksum(bytes.bytes, bytes.size) == filter->crc;
    text_free(&bytes);
    return matches;
}

static int drop_damaged(const struct store *store, struct store_layer *layer) {
    int kept = 0;
    for (int i = 0; i < layer->count; i++)
        if (picture_matches(store, layer->name, &layer->filter[i]))
            layer->filter[kept++] = layer->filter[i];
    int dropped = layer->count - kept;
    layer->count = kept;
    return dropped;
}

int store_read_records(const struct store *store, const char *name, struct store_layer *layer, int *damaged,
                       struct error *error) {
    char folder[DURABLE_PATH_SIZE];
    *layer = (struct store_layer){0};
    *damaged = 0;
    snprintf(layer->name, sizeof layer->name, "%s", name);
    layer_folder(store, "units", name, folder);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_record, alphasort), status = STATUS_OK;
    if (count < 0 && errno != ENOENT)
        status = error_set(error, STATUS_FAILURE, "%s: cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[DURABLE_PATH_SIZE + 256];
        bool broken = false;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!status)
            status = record_read(path, layer, &broken, error);
        *damaged += broken;
        free(entries[i]);
    }
    free(entries);
    if (layer->count)
        qsort(layer->filter, layer->count, sizeof *layer->filter, record_by_index);
    return status;
}

int store_read_layer(const struct store *store, const char *name, struct store_layer *layer, int *damaged,
                     struct error *error) {
    int status = store_read_records(store, name, layer, damaged, error);
    *damaged += drop_damaged(store, layer);
    return status;
}

void store_layer_free(struct store_layer *layer) { free(layer->filter); }

bool store_layer_has(const struct store_layer *layer, int filter) {
    const struct store_filter key = {.index = filter};
    return layer->count && bsearch(&key, layer->filter, layer->count, sizeof key, record_by_index);
}

int store_layers(const struct store *store, char names[][32], int most) {
    char folder[DURABLE_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/units", store->folder);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort), kept = 0;
    for (int i = 0; i < count; i++) {
        if (kept < most && strlen(entries[i]->d_name) < 32)
            strcpy(names[kept++], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return kept;
}

int store_visit_traces(const struct store *store, const char *layer,
                       int (*visit)(const char *path, void *context, struct error *error), void *context,
                       struct error *error) {
    char folder[DURABLE_PATH_SIZE];
    layer_folder(store, "units", layer, folder);
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_record, alphasort), status = STATUS_OK;
    for (int i = 0; i < count; i++) {
        char path[DURABLE_PATH_SIZE + 256], trace[DURABLE_PATH_SIZE];
        struct text record = {0};
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!status)
            status = text_read(path, &record, error);
        if (!status && trace_file_of(path, record.bytes, trace))
            status = visit(trace, context, error);
        text_free(&record);
        free(entries[i]);
    }
    free(entries);
    return status;
}
