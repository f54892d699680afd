/* Opening a store: the folder, its job.txt, and whose both are. */
#include "filteratlas/atlas/store.h"

#include "entries.h"
#include "filteratlas/atlas/picture_file.h"
#include "filteratlas/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* job.txt ------------------------------------------------------------------------------------------------------- */

/* "name = value" lines; others are nobody's. */
static void split(struct store_job *job) {
    char *rest = job->text.bytes;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *equals = strstr(line, " = ");
        if (!equals)
            continue;
        *equals = 0;
        job->entry[job->count++] = (struct store_entry){line, equals + 3};
    }
}

int store_read_job(const char *folder, struct store_job *job, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/job.txt", folder);
    int status = text_read_regular(path, &job->text, error);
    if (status)
        return status;
    int lines = 1;
    for (size_t i = 0; i < job->text.size; i++)
        lines += job->text.bytes[i] == '\n';
    job->entry = calloc((size_t)lines, sizeof *job->entry);
    if (!job->entry)
        return error_memory(error, lines * (double)sizeof *job->entry, "job.txt");
    status = sha256_bytes(job->text.bytes, job->text.size, job->digest, error);
    split(job);
    return status;
}

void store_job_free(struct store_job *job) {
    text_free(&job->text);
    free(job->entry);
    *job = (struct store_job){0};
}

static const char *find(const struct store_entry *entry, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(entry[i].name, name))
            return entry[i].value;
    return NULL;
}

const char *store_job_value(const struct store_job *job, const char *name) {
    return find(job->entry, job->count, name);
}

static bool is_among(const char *name, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

void store_job_differences(const struct store_job *found, const struct store_entry *wanted, int entries,
                           const char *const *except, struct text *differences) {
    for (int i = 0; i < entries; i++) {
        const char *value = store_job_value(found, wanted[i].name);
        if (is_among(wanted[i].name, except))
            continue;
        if (!value)
            text_append(differences, ", %s (not there, now %s)", wanted[i].name, wanted[i].value);
        else if (strcmp(value, wanted[i].value) != 0)
            text_append(differences, ", %s (%s there, now %s)", wanted[i].name, value, wanted[i].value);
    }
    for (int i = 0; i < found->count; i++) /* options at their default now */
        if (!find(wanted, entries, found->entry[i].name) && !is_among(found->entry[i].name, except))
            text_append(differences, ", %s (%s there, now the default)", found->entry[i].name, found->entry[i].value);
}

/* The folder ---------------------------------------------------------------------------------------------------- */

static int unusable(const char *path, struct error *error) {
    if (errno == ENOSPC || errno == EDQUOT || errno == EIO) /* nothing that another --out would be the answer to */
        return error_set(error, STATUS_FAILURE, "%s: cannot be written: %s; %s", path, strerror(errno),
                         error_write_remedy(errno));
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

static int set_folder(const char *folder, struct store *store, struct error *error) {
    *store = (struct store){.lock = NULL};
    if (strlen(folder) >= sizeof store->folder)
        return error_set(error, STATUS_USAGE, "%.40s...: the name of the output folder is too long", folder);
    strcpy(store->folder, folder);
    size_t length = strlen(folder);
    while (length > 1 && store->folder[length - 1] == '/')
        store->folder[--length] = 0;
    return STATUS_OK;
}

/* Whether a folder of DIR/KIND has a file of such a name, or may have one that can't be seen. */
static bool has_file(const struct store *store, const char *kind, bool (*wanted)(const char *name)) {
    char top[DURABLE_PATH_SIZE], path[DURABLE_PATH_SIZE + 256];
    snprintf(top, sizeof top, "%s/%s", store->folder, kind);
    struct entries layers = entries_read(top, ENTRIES_FOLDERS, entries_may_be_layer);
    bool found = layers.code != 0;
    for (int i = 0; i < layers.count && !found; i++) {
        snprintf(path, sizeof path, "%s/%s", top, layers.entry[i]->d_name);
        struct entries files = entries_read(path, ENTRIES_FILES, wanted);
        found = files.count > 0 || files.code;
        entries_free(&files);
    }
    entries_free(&layers);
    return found;
}

/* Whether something was drawn. Pictures without a record are what a process that was killed leaves: they count too, for
 * a picture of one job must not lie among those of another. */
static bool is_drawn(const struct store *store) {
    return (store->begun && exists(store->folder, store->begun)) || has_file(store, "units", entries_is_record) ||
           has_file(store, "filters", entries_is_picture);
}

/* Whose it is ---------------------------------------------------------------------------------------------------- */

static const char JOB_LOCK[] = "job";

static int lock_job(const struct store *store, const struct lock_patience *patience, struct lock **lock,
                    struct error *error) {
    static const char *const names[] = {JOB_LOCK};
    struct lock_patience long_one = patience ? *patience : (struct lock_patience){0};
    long_one.seconds = LOCK_LONG_SECONDS; /* who has it keeps it for moments */
    return lock_take(store->folder, names, 1, &long_one, lock, error);
}

/* The job there, and what differs between it and the one wanted; "" if nothing does. *there: whether there is one. */
static int compare(const struct store *store, const struct store_entry *wanted, int entries, struct store_job *found,
                   bool *there, struct text *differences, struct error *error) {
    static const char *const none[] = {NULL};
    *there = exists(store->folder, "job.txt");
    int status = *there ? store_read_job(store->folder, found, error) : STATUS_OK;
    if (!status && *there)
        store_job_differences(found, wanted, entries, none, differences);
    return status;
}

static void format_job(const struct store_entry *job, int entries, struct text *text) {
    for (int i = 0; i < entries; i++)
        text_append(text, "%s = %s\n", job[i].name, job[i].value);
}

static int write_job(const struct store *store, const struct store_entry *job, int entries, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text text = {0};
    snprintf(path, sizeof path, "%s/job.txt", store->folder);
    format_job(job, entries, &text);
    int status = durable_write(path, text.bytes, text.size, error);
    text_free(&text);
    return status;
}

/* With the job's lock: makes job.txt, or that of a job that never drew anything anew. */
static int claim(const struct store *store, const struct store_entry *job, int entries,
                 const struct lock_patience *patience, struct error *error) {
    struct store_job found = {0};
    struct text differences = {0};
    bool there, held = false;
    int status = compare(store, job, entries, &found, &there, &differences, error);
    bool free_to_take = !is_drawn(store) && (!there || differences.size);
    if (!status && free_to_take && there)
        status = lock_find_any(store->folder, JOB_LOCK, patience ? patience->interrupt : NULL, &held, error);
    if (!status && free_to_take && !held)
        status = write_job(store, job, entries, error);
    store_job_free(&found);
    text_free(&differences);
    return status;
}

static int claim_alone(const struct store *store, const struct store_entry *job, int entries,
                       const struct lock_patience *patience, struct error *error) {
    struct lock *lock;
    int status = lock_job(store, patience, &lock, error);
    if (!status)
        status = claim(store, job, entries, patience, error);
    lock_release(lock);
    return status;
}

/* A VGG's mosaics have had one prefix from the first; other networks' have their name. */
static void name_mosaics(const struct store_job *job, struct store *store) {
    static const char *const usual[] = {"VGG11", "VGG13", "VGG16", "VGG19", NULL};
    const char *network = store_job_value(job, "network");
    snprintf(store->prefix, sizeof store->prefix, "%s", !network || is_among(network, usual) ? "vgg" : network);
}

static void note_job(const struct store_job *job, struct store *store) {
    strcpy(store->job_digest, job->digest);
    name_mosaics(job, store);
}

static int read_job(struct store *store, struct error *error) {
    struct store_job job = {0};
    int status = store_read_job(store->folder, &job, error);
    if (!status)
        note_job(&job, store);
    store_job_free(&job);
    return status;
}

/* Whether the job there is the one wanted. What is noted of it is of the job that was compared: the next moment another
 * may stand there. */
static int check_job(struct store *store, const struct store_entry *job, int entries, struct error *error) {
    struct store_job found = {0};
    struct text differences = {0};
    bool there;
    int status = compare(store, job, entries, &found, &there, &differences, error);
    if (!status && !there)
        status = error_set(error, STATUS_USAGE, "%s: holds pictures but no job.txt; give another --out", store->folder);
    if (!status && differences.size)
        status = error_set(error, STATUS_OTHER_JOB, "%s: holds another job, which differs in %s; give another --out",
                           store->folder, differences.bytes + 2);
    if (there)
        note_job(&found, store);
    store_job_free(&found);
    text_free(&differences);
    return status;
}

/* What the first whole picture of a layer that says whose it is says of its job. */
enum whose { NOBODYS, THIS_JOBS, ANOTHER_JOBS };

static enum whose whose_pictures(const struct store *store, const char *layer) {
    struct store_layer records = {0};
    struct store_damage damage = {0};
    struct error none;
    enum whose whose = NOBODYS;
    store_read_records(store, layer, &records, &damage, &none);
    for (int i = 0; i < records.count && whose == NOBODYS; i++) {
        char path[DURABLE_PATH_SIZE];
        int filter = records.filter[i].index;
        store_picture_path(store, layer, filter, path);
        if (!records.filter[i].dead && picture_file_matches(path, &records.filter[i]) &&
            picture_file_is_of(path, layer, filter, NULL))
            whose = picture_file_is_of(path, layer, filter, store->job_digest) ? THIS_JOBS : ANOTHER_JOBS;
    }
    store_layer_free(&records);
    store_damage_free(&damage);
    return whose;
}

static int find_whose(const struct store *store, enum whose *whose, struct error *error) {
    struct store_names names;
    int status = store_layers(store, &names, error);
    *whose = NOBODYS;
    for (int l = 0; l < names.count && *whose == NOBODYS; l++)
        *whose = whose_pictures(store, names.name[l]);
    store_names_free(&names);
    return status;
}

/* Whether job.txt is what it was when the pictures were drawn: they name its digest. */
static int check_unchanged(const struct store *store, struct error *error) {
    enum whose whose;
    int status = find_whose(store, &whose, error);
    if (!status && whose == ANOTHER_JOBS)
        status =
            error_set(error, STATUS_USAGE,
                      "%s/job.txt: is damaged, the pictures were drawn with another one; put back a copy of it, or "
                      "run render with the options that they were drawn with",
                      store->folder);
    return status;
}

/* A job.txt that is gone or damaged, and a job that is the pictures' own, as their digest shows: it is written anew. */
static bool restore_job(const struct store *store, const struct store_entry *job, int entries,
                        const struct lock_patience *patience) {
    struct store wanted = *store;
    struct text text = {0};
    struct error none;
    enum whose whose;
    format_job(job, entries, &text);
    bool theirs = !sha256_bytes(text.bytes, text.size, wanted.job_digest, &none) &&
                  !find_whose(&wanted, &whose, &none) && whose == THIS_JOBS;
    text_free(&text);
    if (!theirs || write_job(store, job, entries, &none))
        return false;
    char sentence[DURABLE_PATH_SIZE + 64];
    snprintf(sentence, sizeof sentence, "%s/job.txt: was damaged or missing, and is written anew", store->folder);
    if (patience && patience->say)
        patience->say(sentence);
    return true;
}

static int check_whole_job(struct store *store, const struct store_entry *job, int entries, struct error *error) {
    struct error changed;
    int status = check_job(store, job, entries, error);
    if ((!status || status == STATUS_OTHER_JOB) && check_unchanged(store, &changed)) {
        *error = changed;
        status = changed.status;
    }
    return status;
}

/* Several renders may be starting in the same folder: the job's lock decides which of them writes job.txt. A folder
 * with pictures is only looked at. Neither that it holds another job nor that it holds this one is to be said of one
 * whose job.txt was changed: new pictures would name it, and the old ones another. */
int store_open_other(const char *folder, const char *begun, const struct store_entry *job, int entries,
                     const struct lock_patience *patience, struct store *store, struct error *error) {
    int status = set_folder(folder, store, error);
    store->begun = begun;
    if (!status)
        status = make_folders(store->folder, error);
    if (status)
        return status;
    if (!is_drawn(store) && check_job(store, job, entries, error))
        status = claim_alone(store, job, entries, patience, error);
    if (!status)
        status = check_whole_job(store, job, entries, error);
    if (status && status != STATUS_OTHER_JOB && restore_job(store, job, entries, patience))
        status = check_whole_job(store, job, entries, error);
    return status;
}

int store_open(const char *folder, const struct store_entry *job, int entries, const struct lock_patience *patience,
               struct store *store, struct error *error) {
    return store_open_other(folder, NULL, job, entries, patience, store, error);
}

int store_open_existing(const char *folder, struct store *store, struct error *error) {
    int status = set_folder(folder, store, error);
    if (status)
        return status;
    if (access(folder, F_OK))
        return error_set(error, STATUS_USAGE, "%s: no such folder; give the --out of a render", folder);
    if (read_job(store, error))
        return error_set(error, STATUS_USAGE,
                         "%s: holds no atlas (no readable job.txt in it); give the --out of a render", folder);
    return check_unchanged(store, error);
}

/* Whether job.txt is still the one that was opened: before the layers' locks were taken, another job could take a
 * folder in which nothing was drawn. Now none can, for it would see them. */
static int confirm(const struct store *store, const struct lock_patience *patience, struct error *error) {
    struct store now = *store;
    struct lock *lock = NULL;
    int status = is_drawn(store) ? STATUS_OK : lock_job(store, patience, &lock, error);
    if (!status)
        status = read_job(&now, error);
    if (!status && strcmp(now.job_digest, store->job_digest) != 0)
        status = error_set(error, STATUS_OTHER_JOB, "%s: another job was begun in it just now; give another --out",
                           store->folder);
    lock_release(lock);
    return status;
}

int store_begin(struct store *store, const char *const *layers, int count, const struct lock_patience *patience,
                struct lock **lock, struct error *error) {
    int status = lock_take(store->folder, layers, count, patience, lock, error);
    store->lock = *lock;
    return status ? status : confirm(store, patience, error);
}
