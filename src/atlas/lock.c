#include "filteratlas/lock.h"

#include "filteratlas/clock.h"
#include "filteratlas/durable.h"
#include "filteratlas/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOST_SIZE = 256, PLACE_SIZE = 128, OWNER_TEXT_SIZE = 512 };

static const double BEAT_SECONDS = 2, DEAD_SECONDS = 20, ENDING_SECONDS = 3, PATIENCE_SECONDS = 600;

/* Who holds a lock. */
struct owner {
    char host[HOST_SIZE];
    long pid;
    unsigned long long start;
    char place[PLACE_SIZE];
    unsigned long beat;
};

struct lock {
    struct owner self;
    int count;
    char (*path)[DURABLE_PATH_SIZE]; /* [count] */
    pthread_t heart;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool ending;
    atomic_bool lost;
};

/* Start time of a process, field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks and brackets. 0 if
 * there is none, or a zombie, which may last where the first process of a container reaps nothing. */
static unsigned long long start_time(long pid) {
    char path[64], line[1024], condition = 0;
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end)
        sscanf(end + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &condition,
               &start);
    fclose(file);
    return condition == 'Z' || condition == 'X' ? 0 : start;
}

/* The kernel's boot and this process's pid namespace: where both are the same, pids mean the same. */
static void find_place(char place[PLACE_SIZE]) {
    char boot[64] = "unknown", namespace[48] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (file && fscanf(file, "%63s", boot) != 1)
        snprintf(boot, sizeof boot, "unknown");
    if (file)
        fclose(file);
    if (readlink("/proc/self/ns/pid", namespace, sizeof namespace - 1) < 0)
    namespace[0] = 0;
    snprintf(place, PLACE_SIZE, "%s/%s", boot, namespace);
}

static struct owner find_self(void) {
    struct owner self = {.pid = (long)getpid(), .start = start_time((long)getpid())};
    gethostname(self.host, sizeof self.host - 1);
    find_place(self.place);
    return self;
}

static int format_owner(const struct owner *owner, char text[OWNER_TEXT_SIZE]) {
    return snprintf(text, OWNER_TEXT_SIZE, "%s %ld %llu %s %010lu\n", owner->host, owner->pid, owner->start,
                    owner->place, owner->beat);
}

static bool read_owner(const char *path, struct owner *owner) {
    struct text text = {0};
    struct error ignored;
    *owner = (struct owner){0};
    bool whole = text_read(path, &text, &ignored) == STATUS_OK &&
                 sscanf(text.bytes, "%255s %ld %llu %127s %lu", owner->host, &owner->pid, &owner->start, owner->place,
                        &owner->beat) == 5;
    text_free(&text);
    return whole;
}

static bool is_same(const struct owner *a, const struct owner *b) {
    return !strcmp(a->host, b->host) && a->pid == b->pid && a->start == b->start && !strcmp(a->place, b->place);
}

/* Taking -------------------------------------------------------------------------------------------------------- */

enum verdict { OWNER_GONE, OWNER_LIVES, OWNER_UNKNOWN };

/* What can be known of an owner at once. */
static enum verdict judge_at_once(const struct owner *owner, const struct owner *self) {
    if (strcmp(owner->place, self->place) != 0)
        return OWNER_UNKNOWN;
    bool exists = kill((pid_t)owner->pid, 0) == 0 || errno == EPERM;
    return exists && start_time(owner->pid) == owner->start ? OWNER_LIVES : OWNER_GONE;
}

/* Watches a lock until its owner is known to live or not. */
static enum verdict judge(const char *path, const struct owner *owner, const struct owner *self) {
    enum verdict verdict = judge_at_once(owner, self);
    for (double start = clock_now(); verdict == OWNER_UNKNOWN; clock_pause(0.2)) {
        struct owner again;
        if (!read_owner(path, &again) || !is_same(&again, owner))
            return OWNER_GONE;
        if (again.beat != owner->beat)
            return OWNER_LIVES;
        if (clock_now() - start > DEAD_SECONDS)
            return OWNER_GONE;
    }
    return verdict;
}

/* *made: whether the lock is ours now. It is written elsewhere first: what others see of it is whole. */
static int try_link(const char *path, const struct owner *self, bool *made, struct error *error) {
    char own[DURABLE_PATH_SIZE], part[DURABLE_PATH_SIZE], text[OWNER_TEXT_SIZE];
    snprintf(own, sizeof own, "%s.%s.%ld", path, self->host, self->pid);
    int length = format_owner(self, text), status = durable_write_part(own, text, (size_t)length, error);
    if (status)
        return status;
    durable_part(own, part);
    *made = link(part, path) == 0;
    if (!*made && errno != EEXIST)
        status = error_set(error, STATUS_FAILURE, "%s: cannot be made: %s; check the folder and run again", path,
                           strerror(errno));
    unlink(part);
    return status;
}

/* Removes a lock whose owner is dead (or, with dead NULL, that can't be read). Only the holder of PATH.break does so,
 * and only a dead owner's lock is ever removed by others: so what it finds there is what it removes. */
static int put_away(const char *path, const struct owner *dead, const struct owner *self, struct error *error) {
    char breaker[DURABLE_PATH_SIZE];
    struct owner found;
    bool made = false;
    snprintf(breaker, sizeof breaker, "%s.break", path);
    int status = try_link(breaker, self, &made, error);
    if (status)
        return status;
    if (made) {
        bool readable = read_owner(path, &found);
        if (dead ? readable && is_same(&found, dead) : !readable)
            unlink(path);
        unlink(breaker);
    } else if (!read_owner(breaker, &found) || judge(breaker, &found, self) == OWNER_GONE) {
        unlink(breaker); /* its maker died within these few lines */
    }
    return STATUS_OK;
}

/* A lock that can't be read was just released, or was cut short by a crash: then it goes after a while. */
static int wait_for_readable(const char *path, const struct owner *self, double *readable, struct error *error) {
    clock_pause(0.05);
    if (access(path, F_OK))
        *readable = clock_now();
    return clock_now() - *readable > DEAD_SECONDS ? put_away(path, NULL, self, error) : STATUS_OK;
}

/* *dead: the last owner found dead, whose further locks need no watching. */
static int take_one(const char *folder, const char *name, const char *path, const struct owner *self,
                    const struct lock_patience *patience, struct owner *dead, struct error *error) {
    double start = clock_now(), readable = start;
    for (;;) {
        struct owner owner;
        bool made = false;
        int status = try_link(path, self, &made, error);
        if (status || made)
            return status;
        if (!read_owner(path, &owner)) {
            status = wait_for_readable(path, self, &readable, error);
            if (status)
                return status;
            continue;
        }
        readable = clock_now();
        if (is_same(&owner, dead) || judge(path, &owner, self) == OWNER_GONE) {
            struct owner left;
            if (read_owner(path, &left) && is_same(&left, &owner))
                *dead = owner; /* and not one that has just released it */
            status = put_away(path, &owner, self, error);
            if (status)
                return status;
        } else if (patience && patience->goes_on && !patience->goes_on(patience->context))
            return error_set(error, STATUS_STOPPED, "stopped");
        else if (clock_now() - start > (patience ? PATIENCE_SECONDS : ENDING_SECONDS))
            return error_set(error, STATUS_FAILURE,
                             "%s: %s is being written by process %ld on %s; wait for it, or give other --layers or "
                             "another --out",
                             folder, name, owner.pid, owner.host);
        else
            clock_pause(0.1);
    }
}

/* Keeping ------------------------------------------------------------------------------------------------------- */

static void beat_one(struct lock *lock, const char *path) {
    struct owner found;
    char text[OWNER_TEXT_SIZE];
    if (!read_owner(path, &found) || !is_same(&found, &lock->self)) {
        atomic_store(&lock->lost, true);
        return;
    }
    int length = format_owner(&lock->self, text), descriptor = open(path, O_WRONLY);
    if (descriptor < 0)
        return; /* a full or flaky file system: the next beat may come through */
    if (pwrite(descriptor, text, (size_t)length, 0) < 0)
        lock->self.beat--;
    close(descriptor);
}

static void *beat(void *context) {
    struct lock *lock = context;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->ending) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += (time_t)BEAT_SECONDS;
        pthread_cond_timedwait(&lock->ended, &lock->mutex, &until);
        lock->self.beat++;
        for (int i = 0; i < lock->count && !lock->ending; i++)
            beat_one(lock, lock->path[i]);
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

static void give_back(const struct lock *lock, int count) {
    struct owner found;
    for (int i = 0; i < count; i++)
        if (read_owner(lock->path[i], &found) && is_same(&found, &lock->self))
            unlink(lock->path[i]);
}

static int take_all(const char *folder, const char *const *names, const struct lock_patience *patience,
                    struct lock *lock, struct error *error) {
    struct owner dead = {0};
    for (int i = 0; i < lock->count; i++) {
        snprintf(lock->path[i], sizeof *lock->path, "%s/units/.%s.lock", folder, names[i]);
        int status = take_one(folder, names[i], lock->path[i], &lock->self, patience, &dead, error);
        if (status) {
            give_back(lock, i);
            return status;
        }
    }
    return STATUS_OK;
}

int lock_take(const char *folder, const char *const *names, int count, const struct lock_patience *patience,
              struct lock **lock, struct error *error) {
    char units[DURABLE_PATH_SIZE];
    snprintf(units, sizeof units, "%s/units", folder);
    int status = durable_make_folder(units, error);
    struct lock *l = calloc(1, sizeof *l);
    *lock = NULL;
    if (!status && (!l || !(l->path = calloc((size_t)count + 1, sizeof *l->path))))
        status = error_memory(error, count * (double)sizeof *l->path, "locks");
    if (!status) {
        l->self = find_self();
        l->count = count;
        status = take_all(folder, names, patience, l, error);
    }
    if (status) {
        if (l)
            free(l->path);
        free(l);
        return status;
    }
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->ended, NULL);
    if (pthread_create(&l->heart, NULL, beat, l)) {
        give_back(l, count);
        free(l->path);
        free(l);
        return error_set(error, STATUS_FAILURE, "no further thread can be started; raise the limit on processes");
    }
    *lock = l;
    return STATUS_OK;
}

bool lock_is_lost(const struct lock *lock) { return lock && atomic_load(&lock->lost); }

void lock_release(struct lock *lock) {
    if (!lock)
        return;
    pthread_mutex_lock(&lock->mutex);
    lock->ending = true;
    pthread_cond_broadcast(&lock->ended);
    pthread_mutex_unlock(&lock->mutex);
    pthread_join(lock->heart, NULL);
    give_back(lock, lock->count);
    free(lock->path);
    free(lock);
}
