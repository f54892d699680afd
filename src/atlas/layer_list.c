#include "filteratlas/atlas/layer_list.h"

#include "filteratlas/base/text.h"
#include "layer_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void list_path(const struct store *store, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/layers.csv", store->folder);
}

/* Writing ------------------------------------------------------------------------------------------------------- */

/* As RFC 4180 quotes a field. */
static void append_quoted(struct text *text, const char *field) {
    text_append(text, "\"");
    for (const char *c = field; *c; c++)
        text_append(text, *c == '"' ? "\"%c" : "%c", *c);
    text_append(text, "\"");
}

static void format(const struct layers *layers, struct text *text) {
    text_append(text, "layer,name,class,filters\n");
    for (int l = 0; l < layers->count; l++) {
        const struct layer *layer = &layers->layer[l];
        text_append(text, "%s,", layer->name);
        append_quoted(text, layer->own_name);
        text_append(text, ",%s,%d\n", layer->class_name, layer->filters);
    }
}

static bool is_there(const char *path, const struct text *wanted) {
    struct text found = {0};
    struct error none;
    bool there = !text_read_regular(path, &found, &none) && !strcmp(found.bytes, wanted->bytes);
    text_free(&found);
    return there;
}

/* Several runs may be at it, each with the locks of its own layers. */
static int write_alone(const struct store *store, const char *path, const struct text *wanted,
                       const struct lock_patience *patience, struct error *error) {
    static const char *const names[] = {"layers.csv"};
    struct lock_patience long_one = *patience;
    struct lock *lock;
    long_one.seconds = LOCK_LONG_SECONDS; /* who has it keeps it for moments */
    int status = lock_take(store->folder, names, 1, &long_one, &lock, error);
    if (!status && !is_there(path, wanted))
        status = durable_write(path, wanted->bytes, wanted->size, error);
    lock_release(lock);
    return status;
}

int layer_list_write(const struct store *store, const struct layers *layers, const struct lock_patience *patience,
                     struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text wanted = {0};
    if (layers->vgg)
        return STATUS_OK;
    list_path(store, path);
    format(layers, &wanted);
    int status = is_there(path, &wanted) ? STATUS_OK : write_alone(store, path, &wanted, patience, error);
    text_free(&wanted);
    return status;
}

/* Reading ------------------------------------------------------------------------------------------------------- */

/* A name and its line in the list. */
struct place {
    int line;
    char name[STORE_NAME_SIZE];
};

static int find_line(const char *list, const char *name) {
    size_t length = strlen(name);
    int number = 0;
    for (const char *line = strchr(list, '\n'); line; line = strchr(line, '\n'), number++) { /* behind the header */
        line++;
        if (!strncmp(line, name, length) && line[length] == ',')
            return number;
    }
    return number;
}

static int by_line(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : strcmp(x->name, y->name);
}

int layer_order_sort(const struct store *store, struct store_names *names, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text list = {0};
    struct error none;
    list_path(store, path);
    if (text_read_regular(path, &list, &none))
        return STATUS_OK;
    struct place *places = malloc(((size_t)names->count + 1) * sizeof *places);
    for (int i = 0; places && i < names->count; i++) {
        places[i].line = find_line(list.bytes, names->name[i]);
        strcpy(places[i].name, names->name[i]);
    }
    text_free(&list);
    if (!places)
        return error_memory(error, names->count * (double)sizeof *places, "names");
    qsort(places, (size_t)names->count, sizeof *places, by_line);
    for (int i = 0; i < names->count; i++)
        strcpy(names->name[i], places[i].name);
    free(places);
    return STATUS_OK;
}
