#include "filteratlas/store.h"

#include "filteratlas/text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char RECORD_HEAD[] = "filteratlas unit 1\n";

static void layer_folder(const struct store *store, const char *kind, const char *layer, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/%s/%s", store->folder, kind, layer);
}

static void record_path(const struct store *store, const char *layer, int unit, const char *suffix,
                        char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/units/%s/%05d.%s", store->folder, layer, unit, suffix);
}

void store_picture_path(const struct store *store, const char *layer, int filter, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/filters/%s/%04d.png", store->folder, layer, filter);
}

/* job.txt ------------------------------------------------------------------------------------------------------- */

static void job_text(const struct store_entry *job, int entries, struct text *text) {
    for (int i = 0; i < entries; i++)
        text_append(text, "%s = %s\n", job[i].name, job[i].value);
}

/* The value of a "name = value" line, up to the line's end; NULL if there is none. */
static const char *find_value(const char *text, const char *name, int *length) {
    size_t size = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, size) && !strncmp(line + size, " = ", 3)) {
            *length = (int)strcspn(line + size + 3, "\n");
            return line + size + 3;
        }
    return NULL;
}

static int compare_jobs(const char *folder, const char *found, const struct store_entry *job, int entries,
                        struct error *error) {
    struct text differences = {0};
    for (int i = 0; i < entries; i++) {
        int length = 0;
        const char *value = find_value(found, job[i].name, &length);
        if (!value)
            text_append(&differences, ", %s (not there, now %s)", job[i].name, job[i].value);
        else if (strlen(job[i].value) != (size_t)length || strncmp(value, job[i].value, (size_t)length))
            text_append(&differences, ", %s (%.*s there, now %s)", job[i].name, length, value, job[i].value);
    }
    int status = STATUS_OK;
    if (differences.size)
        status = error_set(error, STATUS_OTHER_JOB, "%s: holds another job, which differs in %s; give another --out",
                           folder, differences.bytes + 2);
    text_free(&differences);
    return status;
}

static int unusable(const char *path, struct error *error) {
    return error_set(error, STATUS_USAGE, "%s: cannot be used as the output folder: %s; give another --out", path,
                     strerror(errno));
}

static bool exists(const char *folder, const char *name) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

/* Makes the folder and those above it. */
static int make_folders(const char *folder, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return unusable(path, error);
        *slash = '/';
    }
    struct stat found;
    if (mkdir(path, 0777) && errno != EEXIST)
        return unusable(path, error);
    if (stat(path, &found))
        return unusable(path, error);
    errno = S_ISDIR(found.st_mode) ? 0 : ENOTDIR;
    return errno || access(path, W_OK | X_OK) ? unusable(path, error) : STATUS_OK;
}

/* A second render may be starting in the same folder: link() makes job.txt only if it isn't there. */
static int create_job_file(const struct store *store, const char *path, const struct text *text, struct error *error) {
    char part[DURABLE_PATH_SIZE], own[DURABLE_PATH_SIZE];
    snprintf(own, sizeof own, "%s.%ld", path, (long)getpid());
    int status = durable_write_part(own, text->bytes, text->size, error);
    if (status)
        return status;
    durable_part(own, part);
    if (link(part, path) && errno != EEXIST)
        status = unusable(store->folder, error);
    unlink(part);
    return status ? status : durable_sync_folder(store->folder, error);
}

static int set_folder(const char *folder, struct store *store, struct error *error) {
    if (strlen(folder) >= sizeof store->folder)
        return error_set(error, STATUS_USAGE, "%.40s...: the name of the output folder is too long", folder);
    strcpy(store->folder, folder);
    size_t length = strlen(folder);
    while (length > 1 && store->folder[length - 1] == '/')
        store->folder[--length] = 0;
    return STATUS_OK;
}

int store_open(const char *folder, const struct store_entry *job, int entries, struct store *store,
               struct error *error) {
    struct text wanted = {0}, found = {0};
    char path[DURABLE_PATH_SIZE];
    store->lock = NULL;
    int status = set_folder(folder, store, error);
    if (!status)
        status = make_folders(store->folder, error);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s/job.txt", store->folder);
    job_text(job, entries, &wanted);
    if (!exists(folder, "job.txt") && (exists(folder, "filters") || exists(folder, "units")))
        status = error_set(error, STATUS_USAGE, "%s: holds pictures but no job.txt; give another --out", folder);
    if (!status && !exists(folder, "job.txt"))
        status = create_job_file(store, path, &wanted, error);
    if (!status)
        status = text_read(path, &found, error);
    if (!status)
        status = compare_jobs(folder, found.bytes, job, entries, error);
    if (!status)
        status = sha256_bytes(found.bytes, found.size, store->job_digest, error);
    text_free(&wanted);
    text_free(&found);
    return status;
}

int store_open_existing(const char *folder, struct store *store, struct error *error) {
    struct text found = {0};
    char path[DURABLE_PATH_SIZE];
    store->lock = NULL;
    int status = set_folder(folder, store, error);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s/job.txt", store->folder);
    if (text_read(path, &found, error))
        status = error_set(error, STATUS_USAGE,
                           "%s: holds no atlas (no readable job.txt in it); give the --out of a render", folder);
    else
        status = sha256_bytes(found.bytes, found.size, store->job_digest, error);
    text_free(&found);
    return status;
}

/* Records ------------------------------------------------------------------------------------------------------- */

static uint32_t checksum(const void *bytes, size_t size) { return (uint32_t)crc32_z(0, bytes, size); }

static void record_text(const struct store_filter *filters, int count, struct text *text) {
    text_append(text, "%s", RECORD_HEAD);
    for (int i = 0; i < count; i++) {
        const struct store_filter *f = &filters[i];
        text_append(text, "%d %s %.17g %.3f %d %zu %08" PRIx32 "\n", f->index, f->dead ? "dead" : "live", f->loss,
                    f->seconds, f->rank, f->bytes, f->crc);
    }
    text_append(text, "crc %08" PRIx32 "\n", checksum(text->bytes, text->size));
}

static bool parse_filter(const char *line, struct store_filter *filter) {
    char status[5];
    *filter = (struct store_filter){0};
    int fields = sscanf(line, "%d %4s %lf %lf %d %zu %" SCNx32, &filter->index, status, &filter->loss, &filter->seconds,
                        &filter->rank, &filter->bytes, &filter->crc);
    filter->dead = fields == 7 && !strcmp(status, "dead");
    return fields == 7 && filter->index >= 0;
}

static int append_filter(struct store_layer *layer, const struct store_filter *filter, struct error *error) {
    size_t bytes = (layer->count + 1) * sizeof *layer->filter;
    struct store_filter *larger = realloc(layer->filter, bytes);
    if (!larger)
        return error_memory(error, (double)bytes, "records");
    layer->filter = larger;
    layer->filter[layer->count++] = *filter;
    return STATUS_OK;
}

/* Whether the text ends in the checksum of all before. */
static bool is_whole(const struct text *text) {
    const size_t tail = sizeof "crc 00000000\n" - 1;
    uint32_t crc;
    return text->size > tail && !strncmp(text->bytes, RECORD_HEAD, sizeof RECORD_HEAD - 1) &&
           sscanf(text->bytes + text->size - tail, "crc %" SCNx32 "\n", &crc) == 1 &&
           crc == checksum(text->bytes, text->size - tail);
}

/* Appends the filters of a record to *layer; a record that is missing adds none, one that isn't whole sets *broken. */
static int read_record(const char *path, struct store_layer *layer, bool *broken, struct error *error) {
    struct text text = {0};
    *broken = false;
    if (access(path, F_OK))
        return STATUS_OK;
    int status = text_read(path, &text, error);
    if (!status && !(*broken = !is_whole(&text))) {
        struct store_filter filter;
        for (char *line = strchr(text.bytes, '\n'); line && !status; line = strchr(line + 1, '\n'))
            if (parse_filter(line + 1, &filter))
                status = append_filter(layer, &filter, error);
    }
    text_free(&text);
    return status;
}

static int by_index(const void *a, const void *b) {
    const struct store_filter *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* The record's filters and the new ones; of a filter that both name the new one stays. */
static int merge(const char *path, const struct store_filter *filters, int count, struct store_layer *merged,
                 struct error *error) {
    bool broken;
    int status = read_record(path, merged, &broken, error);
    for (int i = 0; i < count && !status; i++) {
        int j = 0;
        while (j < merged->count && merged->filter[j].index != filters[i].index)
            j++;
        if (j < merged->count)
            merged->filter[j] = filters[i];
        else
            status = append_filter(merged, &filters[i], error);
    }
    if (!status)
        qsort(merged->filter, merged->count, sizeof *merged->filter, by_index);
    return status;
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
    filter->crc = checksum(png, size);
    store_picture_path(store, layer, filter->index, path);
    int status = make_layer_folders(store, layer, error);
    return status ? status : durable_write_part(path, png, size, error);
}

static int publish_pictures(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                            struct error *error) {
    char path[DURABLE_PATH_SIZE];
    int status = STATUS_OK;
    for (int i = 0; i < count && !status; i++)
        if (!filters[i].dead) {
            store_picture_path(store, layer, filters[i].index, path);
            status = durable_publish(path, error);
        }
    layer_folder(store, "filters", layer, path);
    return status ? status : durable_sync_folder(path, error);
}

/* Appends those of a trace's lines that are of a filter. */
static void append_lines_of(const char *lines, int filter, struct text *text) {
    int index;
    for (const char *line = lines; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (sscanf(line, "%*[^,],%d,", &index) == 1 && index == filter)
            text_append(text, "%.*s\n", (int)strcspn(line, "\n"), line);
}

/* The unit's trace with these lines, by filter: of one that is drawn again the new ones. */
static int write_trace(const char *path, const struct store_layer *merged, const struct store_filter *filters,
                       int count, const char *lines, struct error *error) {
    struct text old = {0}, text = {0};
    int status = access(path, F_OK) ? STATUS_OK : text_read(path, &old, error);
    for (int i = 0; i < merged->count; i++) {
        bool drawn = false;
        for (int j = 0; j < count; j++)
            drawn |= filters[j].index == merged->filter[i].index;
        append_lines_of(drawn ? lines : old.bytes, merged->filter[i].index, &text);
    }
    if (!status)
        status = durable_write(path, text.bytes, text.size, error);
    text_free(&old);
    text_free(&text);
    return status;
}

int store_commit_unit(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                      int count, const char *trace, struct error *error) {
    struct store_layer merged = {0};
    struct text text = {0};
    char path[DURABLE_PATH_SIZE];
    int status = make_layer_folders(store, layer, error);
    if (!status)
        status = publish_pictures(store, layer, filters, count, error);
    record_path(store, layer, unit, "txt", path);
    if (!status)
        status = merge(path, filters, count, &merged, error);
    if (!status && trace) {
        record_path(store, layer, unit, "csv", path);
        status = write_trace(path, &merged, filters, count, trace, error);
    }
    record_path(store, layer, unit, "txt", path);
    if (!status) {
        record_text(merged.filter, merged.count, &text);
        status = durable_write(path, text.bytes, text.size, error);
    }
    text_free(&text);
    store_layer_free(&merged);
    return status;
}

/* Reading back -------------------------------------------------------------------------------------------------- */

static int is_record(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && !strcmp(dot, ".txt");
}

static int is_trace(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot && !strcmp(dot, ".csv");
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
                   checksum(bytes.bytes, bytes.size) == filter->crc;
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

int store_read_layer(const struct store *store, const char *name, struct store_layer *layer, int *damaged,
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
            status = read_record(path, layer, &broken, error);
        *damaged += broken;
        free(entries[i]);
    }
    free(entries);
    *damaged += drop_damaged(store, layer);
    if (layer->count)
        qsort(layer->filter, layer->count, sizeof *layer->filter, by_index);
    return status;
}

void store_layer_free(struct store_layer *layer) { free(layer->filter); }

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
    int count = scandir(folder, &entries, is_trace, alphasort), status = STATUS_OK;
    for (int i = 0; i < count; i++) {
        char path[DURABLE_PATH_SIZE + 256];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!status)
            status = visit(path, context, error);
        free(entries[i]);
    }
    free(entries);
    return status;
}
