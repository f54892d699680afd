#include "filteratlas/atlas/durable.h"

#include "filteratlas/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: cannot be %s: %s; %s", path, what, strerror(errno),
                     error_write_remedy(errno));
}

/* What a file system answers that doesn't have the call at all (exFAT, vboxsf, gcsfuse, some network file systems): all
 * that it can promise is what it has done already. Space, quota, the disk and the network are another matter. */
bool durable_is_unsupported(int code) {
    static const int codes[] = {EINVAL, EOPNOTSUPP, ENOTSUP, ENOSYS, ENOTTY, EBADF, EPERM, EACCES, EMLINK, EXDEV};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (code == codes[i])
            return true;
    return false;
}

/* fsync, for all that is to be said of the file system. Returns 0 or -1 with errno. */
static int flush(int descriptor) {
    int result = fsync(descriptor);
    return result && durable_is_unsupported(errno) ? 0 : result;
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

/* Flushes a folder; `path` is what the message names. */
static int sync_folder(const char *folder, const char *path, struct error *error) {
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) /* one that may be written to but not read can't be flushed */
        return errno == EACCES ? STATUS_OK : failed("flushed", path, error);
    int status = flush(descriptor) ? failed("flushed", path, error) : STATUS_OK;
    close(descriptor);
    return status;
}

int durable_sync_above(const char *path, struct error *error) {
    char above[DURABLE_PATH_SIZE];
    folder_of(path, above);
    return sync_folder(above, path, error);
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
    int descriptor = file_create(part);
    if (descriptor < 0)
        return failed("written", errno == ENOTEMPTY ? part : path, error);
    int status = STATUS_OK;
    if (write_all(descriptor, bytes, size) || flush(descriptor))
        status = failed("written", path, error);
    if (close(descriptor) && !status)
        status = failed("written", path, error);
    int code = errno;
    if (status)
        unlink(part);
    errno = code; /* for a caller with words of its own */
    return status;
}

int durable_sync_part(const char *path, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    int descriptor = open(part, O_RDWR);
    if (descriptor < 0)
        return failed("flushed", path, error);
    int status = flush(descriptor) ? failed("flushed", path, error) : STATUS_OK;
    if (close(descriptor) && !status)
        status = failed("flushed", path, error);
    return status;
}

int durable_rename(const char *path, struct error *error) {
    char part[DURABLE_PATH_SIZE];
    durable_part(path, part);
    return rename(part, path) ? failed("renamed into place", path, error) : STATUS_OK;
}

int durable_sync_folder(const char *folder, struct error *error) { return sync_folder(folder, folder, error); }

int durable_write(const char *path, const void *bytes, size_t size, struct error *error) {
    int status = durable_write_part(path, bytes, size, error);
    if (!status)
        status = durable_rename(path, error);
    return status ? status : durable_sync_above(path, error);
}

static int remove_entry(const char *path, const struct stat *found, int type, struct FTW *position) {
    (void)found, (void)type, (void)position;
    return remove(path);
}

int durable_remove_folder(const char *path, struct error *error) {
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return error_set(error, STATUS_FAILURE, "%s: cannot be removed: %s; remove it and run the command again", path,
                         strerror(errno));
    return STATUS_OK;
}
