#include "folder.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[PATH_MAX], before[PATH_MAX];
};

int folder_enter(void **state) {
    struct place *place = calloc(1, sizeof *place);
    const char *parent = getenv("TMPDIR");
    snprintf(place->folder, sizeof place->folder, "%s/filteratlas-test.XXXXXX", parent ? parent : "/tmp");
    *state = place;
    return !(getcwd(place->before, PATH_MAX) && mkdtemp(place->folder) && !chdir(place->folder));
}

static int remove_entry(const char *path, const struct stat *found, int type, struct FTW *position) {
    (void)found, (void)type, (void)position;
    return remove(path);
}

int folder_leave(void **state) {
    struct place *place = *state;
    int status = chdir(place->before) || nftw(place->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(place);
    return status;
}

struct text read_file(const char *path) {
    struct text text = {0};
    struct error error;
    if (text_read(path, &text, &error))
        fail_msg("%s", error.message);
    return text;
}
