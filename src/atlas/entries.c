#include "entries.h"

#include "filteratlas/model/layers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Files by the entry itself: a link to one is not the store's. A layer may have been moved to another disk. */
static bool is_of_kind(const char *folder, const struct dirent *entry, enum entries_kind kind) {
    char path[PATH_MAX + 256];
    struct stat found;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == (kind == ENTRIES_FILES ? DT_REG : DT_DIR);
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (kind == ENTRIES_FILES)
        return lstat(path, &found) == 0 && S_ISREG(found.st_mode);
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

struct entries entries_read(const char *folder, enum entries_kind kind, bool (*wanted)(const char *name)) {
    struct entries all = {0};
    int found = scandir(folder, &all.entry, NULL, alphasort);
    if (found < 0 && errno != ENOENT && errno != ENOTDIR)
        all.code = errno;
    for (int i = 0; i < found; i++)
        if (wanted(all.entry[i]->d_name) && is_of_kind(folder, all.entry[i], kind))
            all.entry[all.count++] = all.entry[i];
        else
            free(all.entry[i]);
    return all;
}

void entries_free(struct entries *entries) {
    for (int i = 0; i < entries->count; i++)
        free(entries->entry[i]);
    free(entries->entry);
    *entries = (struct entries){0};
}

bool entries_may_be_layer(const char *name) { return name[0] != '.' && strlen(name) < LAYER_NAME_SIZE; }

/* Whether the name is a number as `format` writes it. */
static bool is_numbered(const char *name, const char *format) {
    char canonical[32];
    int number;
    if (sscanf(name, "%9d", &number) != 1 || number < 0)
        return false;
    snprintf(canonical, sizeof canonical, format, number);
    return !strcmp(name, canonical);
}

bool entries_is_record(const char *name) { return is_numbered(name, "%05d.txt"); }

bool entries_is_picture(const char *name) { return is_numbered(name, "%04d.png"); }
