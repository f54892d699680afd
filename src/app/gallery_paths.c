#include "gallery_paths.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Characters of both up to the end of the last component that they share. */
static size_t shared_length(const char *a, const char *b) {
    size_t shared = 0, i = 0;
    for (;; i++) {
        bool ends = (!a[i] || a[i] == '/') && (!b[i] || b[i] == '/');
        if (ends)
            shared = i;
        if (a[i] != b[i] || !a[i])
            return shared;
    }
}

static void append_encoded(struct text *link, const char *path) {
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        bool plain = (c < 128 && isalnum(c)) || strchr("-._~/", c);
        text_append(link, plain ? "%c" : "%%%02X", c);
    }
}

void gallery_link(const char *from, const char *to, struct text *link) {
    from = strcmp(from, "/") ? from : ""; /* "/" is the one path that ends with a slash */
    to = strcmp(to, "/") ? to : "";
    size_t shared = shared_length(from, to);
    text_append(link, "%s", "");
    for (const char *slash = strchr(from + shared, '/'); slash; slash = strchr(slash + 1, '/'))
        text_append(link, "../");
    if (to[shared]) {
        append_encoded(link, to + shared + 1);
        text_append(link, "/");
    }
}

/* The last `components` of a path; all of it, without the slash before, if it has no more. */
static const char *last_of(const char *path, int components) {
    const char *at = path + strlen(path);
    while (at > path + 1 && !(at[-1] == '/' && --components == 0))
        at--;
    return at;
}

void gallery_name(const char *const *paths, int count, int which, struct text *name) {
    int longest = (int)strlen(paths[which]);
    for (int components = 1; components <= longest; components++) {
        const char *own = last_of(paths[which], components);
        bool unique = true;
        for (int i = 0; i < count; i++)
            unique &= i == which || strcmp(own, last_of(paths[i], components)) != 0;
        if (unique || own == paths[which] + 1) {
            text_append(name, "%s", own);
            return;
        }
    }
    text_append(name, "%s", paths[which]);
}
