/* Loaded with LD_PRELOAD into a render: lets the k-th system call that changes files below a folder crash or fail.
 *
 *   FAULTS_FOLDER=DIR  the folder, as the program names it
 *   FAULTS_LOG=FILE    gets a line "CALL PATH" for every call that counts
 *   FAULTS_AT=K        from 1; without it nothing happens
 *   FAULTS_DO=...      exit: the process ends before the call, as if the power went; exit-after: right after it;
 *                      short: a write writes half of what it should; ENOSPC, EDQUOT, EIO, EROFS: it fails with that
 *   FAULTS_STAYS=1     an error comes back with every later call, as on a full disk, not this once
 *   FAULTS_FSYNC=MS    every fsync takes so many milliseconds longer, as on a busy or parallel file system
 *   FAULTS_READ=MS     so does every read of a file named *.h5
 *
 * Counted are open with O_CREAT, then write, pwrite and close, fsync, mkdir, rename, link, unlink of a file that is
 * there; of streams (libpng's) fopen, fwrite, fflush and fclose, since glibc writes them by calls that can't be caught.
 * Not the beats of locks (pwrite), which depend on how long a run takes. An error waits for a call that can have it:
 * nothing is short of space for an unlink. Rank 0 alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096, CRASHED = 99 };

/* What a call must do. */
struct fault {
    int error; /* fail with this */
    bool half; /* write half */
    bool after;
};

static char *opened[DESCRIPTORS]; /* [descriptor] path of a counted file */
static bool written[DESCRIPTORS];
static atomic_int calls;
static atomic_bool fired;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static bool is_counted(const char *path) {
    const char *folder = getenv("FAULTS_FOLDER"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    return path && folder && (!rank || !strcmp(rank, "0")) && !strncmp(path, folder, strlen(folder));
}

static void note_call(const char *call, const char *path) {
    char line[8192];
    const char *log = getenv("FAULTS_LOG");
    int descriptor = log ? REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    if (descriptor >= 0 && REAL(write)(descriptor, line, (size_t)length) < 0)
        abort();
    if (descriptor >= 0)
        REAL(close)(descriptor);
}

static int wanted_error(void) {
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EROFS", EROFS}};
    const char *what = getenv("FAULTS_DO");
    for (size_t i = 0; what && i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(what, errors[i].name))
            return errors[i].error;
    return 0;
}

static bool can_fail(const char *call, int error) {
    if (!strcmp(call, "fclose"))
        return false;
    return strcmp(call, "unlink") != 0 || (error != ENOSPC && error != EDQUOT);
}

/* Counts a call; what is to happen to it. */
static struct fault meet(const char *call, const char *path) {
    struct fault fault = {0};
    if (!is_counted(path))
        return fault;
    note_call(call, path);
    const char *at = getenv("FAULTS_AT"), *what = getenv("FAULTS_DO"), *stays = getenv("FAULTS_STAYS");
    int call_number = atomic_fetch_add(&calls, 1) + 1, error = wanted_error();
    if (!at || !what || call_number < atoi(at))
        return fault;
    bool first = call_number == atoi(at);
    if (first && !strcmp(what, "exit"))
        _exit(CRASHED);
    fault.after = first && !strcmp(what, "exit-after");
    fault.half = first && !strcmp(what, "short");
    if (error && can_fail(call, error) && (stays || !atomic_exchange(&fired, true)))
        fault.error = error;
    return fault;
}

static int finish(struct fault fault, int result) {
    if (fault.after)
        _exit(CRASHED);
    return result;
}

static int fail_with(int error) {
    errno = error;
    return -1;
}

static const char *path_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? opened[descriptor] : NULL;
}

static void remember(int descriptor, const char *path, bool writes) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS || !is_counted(path))
        return;
    free(opened[descriptor]);
    opened[descriptor] = strdup(path);
    written[descriptor] = writes;
}

static void forget(int descriptor) {
    if (!path_of(descriptor))
        return;
    free(opened[descriptor]);
    opened[descriptor] = NULL;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    struct fault fault = flags & O_CREAT ? meet("open", path) : (struct fault){0};
    if (fault.error)
        return fail_with(fault.error);
    int descriptor = finish(fault, REAL(open)(path, flags, mode));
    remember(descriptor, path, flags & O_CREAT);
    return descriptor;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    struct fault fault = meet("write", path_of(descriptor));
    if (fault.error)
        return fail_with(fault.error);
    ssize_t count = REAL(write)(descriptor, bytes, fault.half && size > 1 ? size / 2 : size);
    finish(fault, 0);
    return count;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    struct fault fault = meet("pwrite", path_of(descriptor) && written[descriptor] ? path_of(descriptor) : NULL);
    if (fault.error)
        return fail_with(fault.error);
    ssize_t count = REAL(pwrite)(descriptor, bytes, fault.half && size > 1 ? size / 2 : size, offset);
    finish(fault, 0);
    return count;
}

/* Sleeps for the milliseconds in an environment variable. */
static void wait_for_disk(const char *variable) {
    const char *milliseconds = getenv(variable);
    long delay = milliseconds ? atol(milliseconds) : 0;
    nanosleep(&(struct timespec){delay / 1000, delay % 1000 * 1000000}, NULL);
}

int fsync(int descriptor) {
    wait_for_disk("FAULTS_FSYNC");
    struct fault fault = meet("fsync", path_of(descriptor));
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(fsync)(descriptor));
}

static void wait_for_read(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path);
    if (length > 3 && !memcmp(path + length - 3, ".h5", 3))
        wait_for_disk("FAULTS_READ");
}

ssize_t read(int descriptor, void *bytes, size_t size) {
    wait_for_read(descriptor);
    return REAL(read)(descriptor, bytes, size);
}

ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
    wait_for_read(descriptor);
    return REAL(pread)(descriptor, bytes, size, offset);
}

int close(int descriptor) {
    struct fault fault = {0};
    if (path_of(descriptor) && written[descriptor])
        fault = meet("close", path_of(descriptor));
    forget(descriptor);
    int result = finish(fault, REAL(close)(descriptor));
    return fault.error ? fail_with(fault.error) : result;
}

int mkdir(const char *path, mode_t mode) {
    struct fault fault = is_counted(path) && access(path, F_OK) ? meet("mkdir", path) : (struct fault){0};
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(mkdir)(path, mode));
}

int rename(const char *from, const char *to) {
    struct fault fault = meet("rename", to);
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(rename)(from, to));
}

int link(const char *from, const char *to) {
    struct fault fault = meet("link", to);
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(link)(from, to));
}

int unlink(const char *path) {
    struct fault fault = is_counted(path) && !access(path, F_OK) ? meet("unlink", path) : (struct fault){0};
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(unlink)(path));
}

FILE *fopen(const char *path, const char *mode) {
    struct fault fault = *mode == 'w' ? meet("fopen", path) : (struct fault){0};
    if (fault.error) {
        errno = fault.error;
        return NULL;
    }
    FILE *file = REAL(fopen)(path, mode);
    finish(fault, 0);
    if (file && *mode == 'w')
        remember(fileno(file), path, true);
    return file;
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
    struct fault fault = meet("fwrite", path_of(fileno(file)));
    if (fault.error) {
        errno = fault.error;
        return 0;
    }
    size_t written_items = REAL(fwrite)(bytes, size, count, file);
    finish(fault, 0);
    return written_items;
}

int fflush(FILE *file) {
    struct fault fault = meet("fflush", file ? path_of(fileno(file)) : NULL);
    return fault.error ? fail_with(fault.error) : finish(fault, REAL(fflush)(file));
}

int fclose(FILE *file) {
    struct fault fault = meet("fclose", path_of(fileno(file)));
    forget(fileno(file));
    return finish(fault, REAL(fclose)(file));
}
