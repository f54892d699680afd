/* The tables of the examples and the parts of images. */
#include "filteratlas/atlas/examples.h"

#include "filteratlas/base/file.h"
#include "filteratlas/base/sha256.h"
#include "filteratlas/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A field of a table (RFC 4180). */
static void append_field(struct text *text, const char *field) {
    if (!strpbrk(field, ",\"\r\n")) {
        text_append(text, "%s", field);
        return;
    }
    text_append(text, "\"");
    for (; *field; field++)
        text_append(text, *field == '"' ? "\"\"" : "%c", *field);
    text_append(text, "\"");
}

static void append_examples(struct text *text, const struct examples *examples, const struct examples_layer *layer) {
    for (int f = 0; f < layer->filters; f++)
        for (int i = 0; i < examples->count[layer->first + f]; i++) {
            const struct example *e = &examples->list[(size_t)(layer->first + f) * examples->top + i];
            text_append(text, "%s,%d,%d,", layer->name, f, i + 1);
            append_field(text, examples->image[e->image].name);
            text_append(text, ",%d,%d,%.9g\n", e->row, e->column, e->activation);
        }
}

static int write_table(const char *folder, const char *name, struct text *text, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int status = durable_write(path, text->bytes, text->size, error);
    text_free(text);
    return status;
}

int examples_write_tables(const char *folder, const struct examples *examples, struct error *error) {
    struct text lists = {0}, answers = {0};
    int seen = 0;
    for (int i = 0; i < examples->images; i++)
        seen += examples->image[i].seen;
    text_append(&lists, "layer,filter,place,image,row,column,activation\n");
    text_append(&answers, "layer,filter,images,answered\n");
    for (int l = 0; l < examples->layers; l++) {
        const struct examples_layer *layer = &examples->layer[l];
        append_examples(&lists, examples, layer);
        for (int f = 0; f < layer->filters; f++)
            text_append(&answers, "%s,%d,%d,%d\n", layer->name, f, seen, examples->answered[layer->first + f]);
    }
    int status = write_table(folder, "examples.csv", &lists, error);
    struct error another;
    int second = write_table(folder, "examples/answers.csv", &answers, status ? &another : error);
    return status ? status : second;
}

int examples_write_skipped(const char *folder, const struct examples_skipped *skipped, int count, struct error *error) {
    struct text text = {0};
    text_append(&text, "image,why\n");
    for (int i = 0; i < count; i++) {
        append_field(&text, skipped[i].name);
        text_append(&text, ",");
        append_field(&text, skipped[i].why);
        text_append(&text, "\n");
    }
    return write_table(folder, "examples/skipped.csv", &text, error);
}

/* Parts ---------------------------------------------------------------------------------------------------------- */

int examples_hash(const char *name, char hash[EXAMPLES_HASH_SIZE], struct error *error) {
    char digits[SHA256_HEX_SIZE] = "";
    int status = sha256_bytes(name, strlen(name), digits, error);
    snprintf(hash, EXAMPLES_HASH_SIZE, "%s", digits);
    return status;
}

static const struct examples_layer *layer_of(const struct examples *examples, int filter) {
    int l = 0;
    while (filter >= examples->layer[l].first + examples->layer[l].filters)
        l++;
    return &examples->layer[l];
}

int examples_part_path(const char *folder, const struct examples *examples, int filter, int image,
                       char path[DURABLE_PATH_SIZE], struct error *error) {
    const struct examples_layer *layer = layer_of(examples, filter);
    char hash[EXAMPLES_HASH_SIZE];
    int status = examples_hash(examples->image[image].name, hash, error);
    snprintf(path, DURABLE_PATH_SIZE, "%s/examples/%s/%04d_%s.jpg", folder, layer->name, filter - layer->first, hash);
    return status;
}

int examples_make_folders(const char *folder, const struct examples *examples, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/examples", folder);
    int status = durable_make_folder(path, error);
    for (int l = 0; l < examples->layers && !status; l++) {
        snprintf(path, sizeof path, "%s/examples/%s", folder, examples->layer[l].name);
        status = durable_make_folder(path, error);
    }
    return status;
}

bool examples_has_part(const char *path) {
    struct stat found;
    return lstat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_size > 0;
}

static int failed(const char *path, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: cannot be written: %s; %s", path, strerror(errno),
                     error_write_remedy(errno));
}

int examples_write_part(const char *path, const void *bytes, size_t size, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    FILE *file = file_create_stream(part);
    if (!file)
        return failed(path, error);
    bool whole = fwrite(bytes, 1, size, file) == size;
    if (fclose(file) || !whole) {
        int status = failed(path, error);
        unlink(part);
        return status;
    }
    return durable_rename(path, error);
}

enum { PART_NAME_SIZE = 32 };

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* The names of a layer's parts, in order; *names [*count][PART_NAME_SIZE], which the caller frees. */
static int list_parts(const struct examples *examples, const struct examples_layer *layer,
                      char (**names)[PART_NAME_SIZE], int *count, struct error *error) {
    size_t most = (size_t)layer->filters * examples->top;
    int status = STATUS_OK;
    *count = 0;
    *names = malloc((most ? most : 1) * sizeof **names);
    if (!*names)
        return error_memory(error, (double)most * sizeof **names, "the names of examples");
    for (int f = 0; f < layer->filters; f++)
        for (int i = 0; i < examples->count[layer->first + f] && !status; i++) {
            const struct example *e = &examples->list[(size_t)(layer->first + f) * examples->top + i];
            char hash[EXAMPLES_HASH_SIZE];
            status = examples_hash(examples->image[e->image].name, hash, error);
            snprintf((*names)[(*count)++], PART_NAME_SIZE, "%04d_%s.jpg", f, hash);
        }
    qsort(*names, *count, sizeof **names, by_text);
    return status;
}

static bool may_be_part(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".jpg") || (name[0] == '.' && !strcmp(dot, ".part")));
}

static void remove_strangers(const char *path, char (*names)[PART_NAME_SIZE], int count) {
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (may_be_part(entry->d_name) && !bsearch(entry->d_name, names, count, sizeof *names, by_text))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

/* One call for some ten thousand small files, where the system has it; else one per folder does what it can. */
static int flush_parts(const char *folder, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/examples", folder);
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = descriptor < 0 ? -1 : syncfs(descriptor);
    int status = result && !durable_is_unsupported(errno) ? failed(path, error) : STATUS_OK;
    if (descriptor >= 0)
        close(descriptor);
    return status;
}

int examples_settle_parts(const char *folder, const struct examples *examples, struct error *error) {
    int status = flush_parts(folder, error);
    for (int l = 0; l < examples->layers && !status; l++) {
        char path[DURABLE_PATH_SIZE], (*names)[PART_NAME_SIZE];
        int count;
        snprintf(path, sizeof path, "%s/examples/%s", folder, examples->layer[l].name);
        status = list_parts(examples, &examples->layer[l], &names, &count, error);
        if (!status)
            remove_strangers(path, names, count);
        free(names);
    }
    return status;
}
