#include "filteratlas/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: cannot be %s: %s; put that right and run the same command again", path,
                     what, strerror(errno));
}

static void folder_of(const char *path, char folder[DURABLE_PATH_SIZE]) {
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, DURABLE_PATH_SIZE, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(folder, DURABLE_PATH_SIZE, ".");
}

void durable_part(const char *path, char part[DURABLE_PATH_SIZE]) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    snprintf(part, DURABLE_PATH_SIZE, "%.*s.%s.part", (int)(name - path), path, name);
}

int durable_sync_above(const char *path, struct error *error) {
    char above[DURABLE_PATH_SIZE];
    folder_of(path, above);
    return durable_sync_folder(above, error);
}

int durable_make_folder(const char *path, struct error *error) {
    struct stat found;
    if (mkdir(path, 0777) == 0)
        return durable_sync_above(path, error);
    if (errno == EEXIST && stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return STATUS_OK;
    return failed("made a folder", path, error);
}

static int write_all(int descriptor, const char *bytes, size_t size) {
    while (size) {
        ssize_t written = write(descriptor, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

int durable_write_part(const char *path, const void *bytes, size_t size, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    int descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0)
        return failed("written", path, error);
    int status = STATUS_OK;
    if (write_all(descriptor, bytes, size) || fsync(descriptor))
        status = failed("written", path, error);
    if (close(descriptor) && !status)
        status = failed("written", path, error);
    if (status)
        unlink(part);
    return status;
}

int durable_sync_part(const char *path, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    int descriptor = open(part, O_RDWR);
    if (descriptor < 0)
        return failed("flushed", path, error);
    int status = fsync(descriptor) ? failed("flushed", path, error) : STATUS_OK;
    if (close(descriptor) && !status)
        status = failed("flushed", path, error);
    return status;
}

int durable_publish(const char *path, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    return rename(part, path) ? failed("renamed into place", path, error) : STATUS_OK;
}

int durable_sync_folder(const char *folder, struct error *error) {
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) /* one that may be written to but not read can't be flushed */
        return errno == EACCES ? STATUS_OK : failed("flushed", folder, error);
    /* Some network file systems refuse fsync on a folder with EINVAL: there the rename itself is what they promise. */
    int status = fsync(descriptor) && errno != EINVAL ? failed("flushed", folder, error) : STATUS_OK;
    close(descriptor);
    return status;
}

int durable_write(const char *path, const void *bytes, size_t size, struct error *error) {
    int status = durable_write_part(path, bytes, size, error);
    if (!status)
        status = durable_publish(path, error);
    return status ? status : durable_sync_above(path, error);
}
