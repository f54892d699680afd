#include "filteratlas/atlas/store.h"

#include "entries.h"
#include "filteratlas/atlas/picture_file.h"
#include "filteratlas/base/checksum.h"
#include "filteratlas/base/text.h"
#include "layer_order.h"
#include "record.h"
#include "trace_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DAMAGE_NAMED = 4 }; /* in a message */

static void layer_folder(const struct store *store, const char *kind, const char *layer, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/%s/%s", store->folder, kind, layer);
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
    filter->crc = checksum_crc32(png, size);
    store_picture_path(store, layer, filter->index, path);
    int status = make_layer_folders(store, layer, error);
    return status ? status : durable_write_part(path, png, size, error);
}

int store_rename_pictures(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                          struct error *error) {
    char path[DURABLE_PATH_SIZE];
    int status = make_layer_folders(store, layer, error);
    for (int i = 0; i < count && !status; i++)
        if (!filters[i].dead) {
            store_picture_path(store, layer, filters[i].index, path);
            status = durable_rename(path, error);
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
    const struct record_place place = record_place_of(store, layer, unit);
    int status = record_merge(&place, filters, count, &merged, error);
    if (!status)
        status = trace_file_write(place.path, &merged, filters, count, trace, &lines, error);
    if (!status) {
        record_format(&place, merged.filter, merged.count, &lines, &record);
        status = durable_write_part(place.path, record.bytes, record.size, error);
    }
    if (!status)
        status = durable_rename(place.path, error);
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
    const struct record_place place = record_place_of(store, layer, unit);
    trace_file_remove_others(place.path);
}

int store_commit_unit(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                      int count, const char *trace, struct error *error) {
    int status = store_rename_pictures(store, layer, filters, count, error);
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

/* The records of a layer. */
static struct entries records_of(const struct store *store, const char *layer) {
    char folder[DURABLE_PATH_SIZE];
    layer_folder(store, "units", layer, folder);
    return entries_read(folder, ENTRIES_FILES, entries_is_record);
}

static void note_damage(struct store_damage *damage, const char *kind, const char *layer, const char *name) {
    if (damage->count++ < DAMAGE_NAMED)
        text_append(&damage->names, "%s%s/%s/%s", damage->names.size ? ", " : "", kind, layer, name);
}

void store_damage_describe(const struct store_damage *damage, struct text *text) {
    text_append(text, "%s", damage->names.size ? damage->names.bytes : "");
    if (damage->count > DAMAGE_NAMED)
        text_append(text, " and %d more", damage->count - DAMAGE_NAMED);
}

void store_damage_free(struct store_damage *damage) { text_free(&damage->names); }

static int drop_damaged(const struct store *store, const struct interrupt *interrupt, struct store_layer *layer,
                        struct store_damage *damage, struct error *error) {
    int kept = 0, status = STATUS_OK;
    for (int i = 0; i < layer->count && !status; i++) {
        const struct store_filter *filter = &layer->filter[i];
        char path[DURABLE_PATH_SIZE];
        store_picture_path(store, layer->name, filter->index, path);
        status = interrupt_check(interrupt, error);
        if (filter->dead || picture_file_matches(path, filter))
            layer->filter[kept++] = *filter;
        else
            note_damage(damage, "filters", layer->name, strrchr(path, '/') + 1);
    }
    layer->count = kept;
    return status;
}

int store_read_records(const struct store *store, const char *name, struct store_layer *layer,
                       struct store_damage *damage, struct error *error) {
    *layer = (struct store_layer){0};
    snprintf(layer->name, sizeof layer->name, "%s", name);
    struct entries records = records_of(store, name);
    int status = STATUS_OK;
    if (records.code)
        note_damage(damage, "units", name, "");
    for (int i = 0; i < records.count && !status; i++) {
        const char *file = records.entry[i]->d_name;
        const struct record_place place = record_place_of(store, name, atoi(file));
        bool broken;
        status = record_read(&place, layer, &broken, error);
        if (broken)
            note_damage(damage, "units", name, file);
    }
    entries_free(&records);
    if (layer->count)
        qsort(layer->filter, layer->count, sizeof *layer->filter, record_by_index);
    return status;
}

int store_read_layer(const struct store *store, const char *name, const struct interrupt *interrupt,
                     struct store_layer *layer, struct store_damage *damage, struct error *error) {
    int status = store_read_records(store, name, layer, damage, error);
    return status ? status : drop_damaged(store, interrupt, layer, damage, error);
}

void store_layer_free(struct store_layer *layer) { free(layer->filter); }

bool store_layer_has(const struct store_layer *layer, int filter) {
    const struct store_filter key = {.index = filter};
    return layer->count && bsearch(&key, layer->filter, layer->count, sizeof key, record_by_index);
}

static bool has_pictures(const struct store *store, const char *name) {
    char folder[DURABLE_PATH_SIZE];
    struct stat found;
    layer_folder(store, "filters", name, folder);
    return stat(folder, &found) == 0 && S_ISDIR(found.st_mode);
}

/* The first whole record tells; of a folder with none that is whole only its name is known. One that can't be read is a
 * layer's if there are pictures of it (lost+found has none). */
static bool is_layer(const struct store *store, const char *name) {
    struct entries records = records_of(store, name);
    enum record_owner owner = RECORD_BROKEN;
    for (int i = 0; i < records.count && owner == RECORD_BROKEN; i++) {
        const struct record_place place = record_place_of(store, name, atoi(records.entry[i]->d_name));
        owner = record_owner(&place);
    }
    bool any = records.count > 0 || (records.code && has_pictures(store, name));
    entries_free(&records);
    return any && owner != RECORD_OF_ANOTHER;
}

int store_layers(const struct store *store, struct store_names *names, struct error *error) {
    char folder[DURABLE_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/units", store->folder);
    struct entries folders = entries_read(folder, ENTRIES_FOLDERS, entries_may_be_layer);
    *names = (struct store_names){.count = 0};
    if (folders.code)
        return error_set(error, STATUS_FAILURE, "%s: cannot be read: %s; put that right and run the same command again",
                         folder, strerror(folders.code));
    *names = (struct store_names){.name = calloc((size_t)folders.count + 1, sizeof *names->name)};
    int status = names->name ? STATUS_OK : error_memory(error, folders.count * (double)STORE_NAME_SIZE, "names");
    for (int i = 0; i < folders.count && !status; i++)
        if (is_layer(store, folders.entry[i]->d_name))
            strcpy(names->name[names->count++], folders.entry[i]->d_name);
    entries_free(&folders);
    return status ? status : layer_order_sort(store, names, error);
}

void store_names_free(struct store_names *names) {
    free(names->name);
    *names = (struct store_names){.count = 0};
}

/* Orphans ------------------------------------------------------------------------------------------------------- */

static void note_orphans(const struct store *store, const struct store_layer *layer, struct store_damage *damage) {
    char folder[DURABLE_PATH_SIZE], path[DURABLE_PATH_SIZE];
    layer_folder(store, "filters", layer->name, folder);
    struct entries pictures = entries_read(folder, ENTRIES_FILES, entries_is_picture);
    for (int i = 0; i < pictures.count; i++) {
        int filter = atoi(pictures.entry[i]->d_name);
        store_picture_path(store, layer->name, filter, path);
        if (!store_layer_has(layer, filter) && picture_file_is_of(path, layer->name, filter, store->job_digest))
            note_damage(damage, "filters", layer->name, pictures.entry[i]->d_name);
    }
    entries_free(&pictures);
}

void store_find_orphans(const struct store *store, struct store_damage *damage) {
    char folder[DURABLE_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/filters", store->folder);
    struct entries folders = entries_read(folder, ENTRIES_FOLDERS, entries_may_be_layer);
    for (int i = 0; i < folders.count; i++) {
        const char *name = folders.entry[i]->d_name;
        struct store_layer layer = {0};
        struct store_damage known = {0};
        struct error none;
        if (!lock_exists(store->folder, name) && !store_read_records(store, name, &layer, &known, &none) &&
            !known.count)
            note_orphans(store, &layer, damage);
        store_layer_free(&layer);
        store_damage_free(&known);
    }
    entries_free(&folders);
}

int store_visit_traces(const struct store *store, const char *layer,
                       int (*visit)(const char *path, void *context, struct error *error), void *context,
                       struct error *error) {
    struct entries records = records_of(store, layer);
    int status = STATUS_OK;
    for (int i = 0; i < records.count && !status; i++) {
        const struct record_place place = record_place_of(store, layer, atoi(records.entry[i]->d_name));
        char trace[DURABLE_PATH_SIZE];
        if (record_trace(&place, trace))
            status = visit(trace, context, error);
    }
    entries_free(&records);
    return status;
}
