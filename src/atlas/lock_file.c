#include "lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_lock(const char *folder, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: no lock can be made in it: %s; %s", folder, strerror(errno),
                     error_write_remedy(errno));
}

/* Through a descriptor that stays open: it is the file, whatever happens to its name. A network file system shows other
 * machines what was flushed, so a beat is. */
static int write_owner(int descriptor, const struct owner *self) {
    char text[OWNER_TEXT_SIZE];
    int length = owner_format(self, text);
    ssize_t written = pwrite(descriptor, text, (size_t)length, 0);
    if (written >= 0 && written < length)
        errno = ENOSPC;
    if (written < length)
        return -1;
    return fdatasync(descriptor) && !durable_is_unsupported(errno) ? -1 : 0;
}

void lock_file_abandon(struct lock_file *file) {
    if (*file->own)
        unlink(file->own);
    *file->own = 0;
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

int lock_file_prepare(const char *folder, const char *path, const struct owner *self, struct lock_file *file,
                      struct error *error) {
    char name[DURABLE_PATH_SIZE], text[OWNER_TEXT_SIZE];
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(name, sizeof name, "%s.%s.%ld", path, self->host, self->pid);
    int length = owner_format(self, text);
    file->descriptor = -1;
    file->linkless = false; /* so far as is known */
    *file->own = 0;
    if (durable_write_part(name, text, (size_t)length, error))
        return cannot_lock(folder, error);
    durable_part(name, file->own);
    file->descriptor = open(file->own, O_RDWR | O_CLOEXEC);
    if (file->descriptor >= 0)
        return STATUS_OK;
    int status = cannot_lock(folder, error);
    lock_file_abandon(file);
    return status;
}

/* Without hard links: others may see the file before its owner stands in it, and wait for that. */
static int create(const char *folder, const struct owner *self, struct lock_file *file, bool *made,
                  struct error *error) {
    lock_file_abandon(file);
    file->linkless = true;
    file->descriptor = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    *made = file->descriptor >= 0;
    if (!*made)
        return errno == EEXIST ? STATUS_OK : cannot_lock(folder, error);
    if (!write_owner(file->descriptor, self))
        return STATUS_OK;
    int status = cannot_lock(folder, error);
    unlink(file->path);
    lock_file_abandon(file);
    *made = false;
    return status;
}

/* An answer to link() may be lost on its way from a file server, and the call be made twice: then it fails although the
 * name is there, and the number of links tells (open(2)). */
static bool is_linked(int descriptor) {
    struct stat found;
    return fstat(descriptor, &found) == 0 && found.st_nlink == 2;
}

int lock_file_make(const char *folder, const struct owner *self, struct lock_file *file, bool *made,
                   struct error *error) {
    if (file->linkless)
        return create(folder, self, file, made, error);
    *made = link(file->own, file->path) == 0;
    int code = errno;
    if (!*made && durable_is_unsupported(code))
        return create(folder, self, file, made, error);
    *made = *made || is_linked(file->descriptor);
    errno = code;
    if (!*made)
        return code == EEXIST ? STATUS_OK : cannot_lock(folder, error);
    unlink(file->own);
    *file->own = 0;
    return STATUS_OK;
}

/* Whether the name is still that of our file: nobody else writes our name into one. A folder that can't be looked at
 * just now says nothing. */
static bool is_ours(const struct lock_file *file, const struct owner *self) {
    struct owner found;
    switch (owner_read(file->path, &found)) {
    case OWNER_READ:
        return owner_is_same(&found, self);
    case OWNER_NO_FILE:
        return false;
    default:
        return true;
    }
}

bool lock_file_beat(const struct lock_file *file, const struct owner *self) {
    if (!is_ours(file, self))
        return false;
    /* On a full or flaky file system the next beat may come through. */
    return !write_owner(file->descriptor, self) || errno != ESTALE;
}

void lock_file_remove(struct lock_file *file, const struct owner *self) {
    struct owner found;
    if (file->descriptor >= 0 && owner_read(file->path, &found) == OWNER_READ && owner_is_same(&found, self))
        unlink(file->path);
    lock_file_abandon(file);
}
