#include "trace_file.h"

#include "filteratlas/atlas/trace.h"
#include "filteratlas/base/checksum.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* FOLDER/NNNNN.txt -> FOLDER/NNNNN.CHECKSUM.csv */
static void make_path(const char *record_path, uint32_t checksum, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%.*s%08" PRIx32 ".csv", (int)(strlen(record_path) - strlen("txt")), record_path,
             checksum);
}

/* "trace BYTES CRC" of a record; false if it has no such line. */
static bool parse(const char *record, size_t *size, uint32_t *checksum) {
    const char *line = strstr(record, "\ntrace ");
    return line && sscanf(line + 1, "trace %zu %" SCNx32, size, checksum) == 2;
}

bool trace_file_of(const char *record_path, const char *record, char path[DURABLE_PATH_SIZE]) {
    size_t size;
    uint32_t checksum;
    if (!parse(record, &size, &checksum))
        return false;
    make_path(record_path, checksum, path);
    return true;
}

bool trace_file_matches(const char *record_path, const char *record) {
    size_t size;
    uint32_t checksum;
    char path[DURABLE_PATH_SIZE];
    struct text trace = {0};
    struct error ignored;
    if (!parse(record, &size, &checksum))
        return true;
    make_path(record_path, checksum, path);
    bool matches = text_read_regular(path, &trace, &ignored) == STATUS_OK && trace.size == size &&
                   checksum_crc32(trace.bytes, trace.size) == checksum;
    text_free(&trace);
    return matches;
}

void trace_append(struct text *text, const char *layer, int filter, int epochs, const float *loss, int count) {
    for (int i = 0; i < count; i++)
        text_append(text, "%s,%d,%d,%d,%.9g\n", layer, filter, i / epochs, i % epochs, loss[i]);
}

/* Appends those of a trace's lines that are of a filter. */
static void append_lines_of(const char *lines, int filter, struct text *text) {
    int index;
    for (const char *line = lines; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (sscanf(line, "%*[^,],%d,", &index) == 1 && index == filter)
            text_append(text, "%.*s\n", (int)strcspn(line, "\n"), line);
}

/* The path of the trace that the record on the disk names; false if there is no record, or it names none. */
static bool find(const char *record_path, char path[DURABLE_PATH_SIZE]) {
    struct text record = {0};
    struct error ignored;
    bool found = text_read_regular(record_path, &record, &ignored) == STATUS_OK &&
                 trace_file_of(record_path, record.bytes, path);
    text_free(&record);
    return found;
}

int trace_file_write(const char *record_path, const struct store_layer *merged, const struct store_filter *filters,
                     int count, const char *lines, struct text *text, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text old = {0};
    if (find(record_path, path)) {
        struct error ignored; /* one that is gone: its record doesn't count, so *merged has none of its filters */
        text_read_regular(path, &old, &ignored);
    }
    for (int i = 0; i < merged->count; i++) {
        bool drawn = false;
        for (int j = 0; j < count; j++)
            drawn |= filters[j].index == merged->filter[i].index;
        append_lines_of(drawn ? lines : old.bytes, merged->filter[i].index, text);
    }
    text_free(&old);
    if (!text->size)
        return STATUS_OK;
    make_path(record_path, checksum_crc32(text->bytes, text->size), path);
    return durable_write(path, text->bytes, text->size, error);
}

void trace_file_remove_others(const char *record_path) {
    char named[DURABLE_PATH_SIZE] = "", folder[DURABLE_PATH_SIZE], path[DURABLE_PATH_SIZE + 256];
    const char *name = strrchr(record_path, '/') + 1;
    int length = (int)(strlen(name) - strlen("txt"));
    find(record_path, named);
    snprintf(folder, sizeof folder, "%.*s", (int)(name - record_path), record_path);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (strncmp(entry->d_name, name, length) || !dot || strcmp(dot, ".csv") != 0)
            continue;
        snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        if (strcmp(path, named) != 0)
            unlink(path);
    }
    if (entries)
        closedir(entries);
}
