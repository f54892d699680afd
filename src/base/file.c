#include "filteratlas/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *file_open_regular(const char *path) {
    struct stat found;
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    bool known = fstat(descriptor, &found) == 0, regular = known && S_ISREG(found.st_mode);
    FILE *file = regular ? fdopen(descriptor, "rb") : NULL;
    int code = known && !regular ? 0 : errno;
    if (!file)
        close(descriptor);
    errno = code;
    return file;
}

/* Whether a name that was taken is free now; else errno says what stands against that. A device stays where it is. */
static bool has_made_way(const char *path) {
    struct stat found;
    if (errno != EEXIST || (lstat(path, &found) == 0 && (S_ISCHR(found.st_mode) || S_ISBLK(found.st_mode))))
        return false;
    return remove(path) == 0 || errno == ENOENT;
}

int file_create(const char *path) {
    static const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int descriptor = open(path, flags, 0666);
    return descriptor < 0 && has_made_way(path) ? open(path, flags, 0666) : descriptor;
}

FILE *file_create_stream(const char *path) {
    FILE *file = fopen(path, "wbxe");
    return !file && has_made_way(path) ? fopen(path, "wbxe") : file;
}
