/* Opening a store: the folder and its job.txt; and reading that back. */
#include "filteratlas/store.h"

#include "filteratlas/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end && end[1] ? end + 1 : NULL;
}

/* Entries that the store's job has and this one has not: options at their default now. */
static void append_surplus(const char *found, const struct store_entry *job, int entries, struct text *differences) {
    for (const char *line = *found ? found : NULL; line; line = next_line(line)) {
        int length = (int)strcspn(line, "\n"), name = 0;
        while (name < length && strncmp(line + name, " = ", 3))
            name++;
        bool known = false;
        for (int i = 0; i < entries; i++)
            known |= strlen(job[i].name) == (size_t)name && !strncmp(line, job[i].name, (size_t)name);
        int value = name + 3 < length ? name + 3 : length;
        if (!known)
            text_append(differences, ", %.*s (%.*s there, now the default)", name, line, length - value, line + value);
    }
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
    append_surplus(found, job, entries, &differences);
    int status = STATUS_OK;
    if (differences.size)
        status = error_set(error, STATUS_OTHER_JOB, "%s: holds another job, which differs in %s; give another --out",
                           folder, differences.bytes + 2);
    text_free(&differences);
    return status;
}

/* Notes what the store's users want to know of its job.txt. */
static int note_job(const struct text *found, struct store *store, struct error *error) {
    int length;
    store->rescues = find_value(found->bytes, "dead", &length) != NULL;
    return sha256_bytes(found->bytes, found->size, store->job_digest, error);
}

static int unusable(const char *path, struct error *error) {
    if (errno == ENOSPC || errno == EDQUOT || errno == EIO) /* nothing that another --out would be the answer to */
        return error_set(error, STATUS_FAILURE,
                         "%s: cannot be written: %s; put that right and run the same command again", path,
                         strerror(errno));
    return error_set(error, STATUS_USAGE, "%s: cannot be used as the output folder: %s; give another --out", path,
                     strerror(errno));
}

static bool exists(const char *folder, const char *name) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static int make_one(const char *path, struct error *error) {
    if (mkdir(path, 0777) == 0)
        return durable_sync_above(path, error);
    return errno == EEXIST ? STATUS_OK : unusable(path, error);
}

/* Makes the folder and those above it. */
static int make_folders(const char *folder, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int status = make_one(path, error);
        if (status)
            return status;
        *slash = '/';
    }
    struct stat found;
    int status = make_one(path, error);
    if (status)
        return status;
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
    store->goes_on = NULL;
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
        status = note_job(&found, store, error);
    text_free(&wanted);
    text_free(&found);
    return status;
}

int store_open_existing(const char *folder, struct store *store, struct error *error) {
    struct text found = {0};
    char path[DURABLE_PATH_SIZE];
    store->lock = NULL;
    store->goes_on = NULL;
    int status = set_folder(folder, store, error);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s/job.txt", store->folder);
    if (access(folder, F_OK))
        status = error_set(error, STATUS_USAGE, "%s: no such folder; give the --out of a render", folder);
    else if (text_read(path, &found, error))
        status = error_set(error, STATUS_USAGE,
                           "%s: holds no atlas (no readable job.txt in it); give the --out of a render", folder);
    else
        status = note_job(&found, store, error);
    text_free(&found);
    return status;
}

int store_read_job(const struct store *store, struct text *text, struct store_entry *entries, int most, int *count,
                   struct error *error) {
    char path[DURABLE_PATH_SIZE];
    *count = 0;
    snprintf(path, sizeof path, "%s/job.txt", store->folder);
    int status = text_read(path, text, error);
    if (status)
        return status;
    char *rest = text->bytes;
    for (char *line; (line = strsep(&rest, "\n")) && *count < most;) {
        char *equals = strstr(line, " = ");
        if (!equals)
            continue;
        *equals = 0;
        entries[(*count)++] = (struct store_entry){line, equals + 3};
    }
    return STATUS_OK;
}
