/* What of a folder of the store is the store's own. Anything may lie beside it (Thumbs.db, a copy, a pipe, a link):
 * what has another name or is of another kind than the store's own files is not seen. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include <dirent.h>
#include <stdbool.h>

enum entries_kind { ENTRIES_FILES, ENTRIES_FOLDERS };

struct entries {
    struct dirent **entry;
    int count;
    int code; /* errno, if there is such a folder but it can't be read; else 0 */
};

/* The regular files, or the folders and links to folders, in `folder` of whose name `wanted` says so, sorted by name;
 * none if the folder isn't there. Release with entries_free. */
struct entries entries_read(const char *folder, enum entries_kind kind, bool (*wanted)(const char *name));
void entries_free(struct entries *entries);

/* Whether a folder of this name may be a layer's: not hidden, not too long. */
bool entries_may_be_layer(const char *name);

/* Whether the name is that of a record, NNNNN.txt with its unit's number, or of a picture, NNNN.png. */
bool entries_is_record(const char *name);
bool entries_is_picture(const char *name);

#endif
