#include "image_list.h"

#include "filteratlas/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_DEPTH = 64 }; /* folders within folders: beyond lie circles */

static int append(struct image_list *list, const char *name, long long size, struct error *error) {
    if (list->count == (int)list->capacity) {
        size_t capacity = 2 * list->capacity + 256;
        void *larger = realloc(list->image, capacity * sizeof *list->image);
        if (!larger)
            return error_memory(error, (double)capacity * sizeof *list->image, "the names of images");
        list->image = larger;
        list->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy)
        return error_memory(error, (double)strlen(name), "the names of images");
    list->image[list->count++] = (struct examples_image){.name = copy, .size = size};
    return STATUS_OK;
}

static int read_folder(const char *name, int depth, struct image_list *list, struct error *error);

/* A link to a folder is not followed: it may lead back. */
static int take_entry(const char *name, int depth, struct image_list *list, struct error *error) {
    char path[2 * DURABLE_PATH_SIZE];
    struct stat link, found;
    snprintf(path, sizeof path, "%s/%s", list->folder, name);
    if (lstat(path, &link))
        return STATUS_OK; /* it has just been removed */
    if (S_ISDIR(link.st_mode))
        return read_folder(name, depth + 1, list, error);
    bool there = stat(path, &found) == 0;
    if (there && !S_ISREG(found.st_mode))
        return STATUS_OK;
    return append(list, name, there ? (long long)found.st_size : 0, error);
}

/* name: below list->folder, "" for itself. */
static int read_folder(const char *name, int depth, struct image_list *list, struct error *error) {
    char path[2 * DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", list->folder, name);
    DIR *folder = opendir(path);
    int status = STATUS_OK;
    if (!folder || depth > MOST_DEPTH)
        status = error_set(error, STATUS_USAGE, "--images: %s cannot be read: %s; give a folder that can", path,
                           folder ? "too deep" : strerror(errno));
    for (struct dirent *entry; !status && (entry = readdir(folder));) {
        char below[DURABLE_PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s%s%s", name, *name ? "/" : "", entry->d_name);
        status = take_entry(below, depth, list, error);
    }
    if (folder)
        closedir(folder);
    return status;
}

/* Names of one that isn't there have the size 0: it will be found out. */
static int read_lines(const char *file, struct image_list *list, struct error *error) {
    struct text text = {0};
    int status = text_read_regular(file, &text, error);
    char *rest = text.bytes;
    for (char *line; !status && (line = strsep(&rest, "\n"));) {
        char path[2 * DURABLE_PATH_SIZE];
        struct stat found;
        line[strcspn(line, "\r")] = 0;
        if (!*line)
            continue;
        snprintf(path, sizeof path, *line == '/' ? "%.0s%s" : "%s/%s", list->folder, line);
        status = append(list, line, stat(path, &found) ? 0 : (long long)found.st_size, error);
    }
    text_free(&text);
    return status;
}

static int by_name(const void *a, const void *b) {
    const struct examples_image *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void sort(struct image_list *list) {
    int kept = 0;
    if (list->count)
        qsort(list->image, list->count, sizeof *list->image, by_name);
    for (int i = 0; i < list->count; i++)
        if (kept && !strcmp(list->image[kept - 1].name, list->image[i].name))
            free(list->image[i].name);
        else
            list->image[kept++] = list->image[i];
    list->count = kept;
}

int image_list_read(const char *path, struct image_list *list, struct error *error) {
    struct stat found;
    int status;
    *list = (struct image_list){0};
    snprintf(list->folder, sizeof list->folder, "%s", path);
    if (stat(path, &found))
        return error_set(error, STATUS_USAGE, "--images %s: cannot be read: %s; give a folder of images, or a list",
                         path, strerror(errno));
    if (S_ISDIR(found.st_mode)) {
        status = read_folder("", 0, list, error);
    } else {
        char *slash = strrchr(list->folder, '/');
        snprintf(slash ? slash : list->folder, 2, slash ? "" : ".");
        status = read_lines(path, list, error);
    }
    sort(list);
    if (!status && !list->count)
        status =
            error_set(error, STATUS_USAGE, "--images %s: holds no files; give a folder of images, or a list", path);
    return status;
}

void image_list_free(struct image_list *list) {
    for (int i = 0; i < list->count; i++)
        free(list->image[i].name);
    free(list->image);
}
