#include "filteratlas/atlas/lock.h"

#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"
#include "lock_file.h"
#include "lock_owner.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HEART_STACK = 256 << 10 };

static const double BEAT_SECONDS = 2, DEAD_SECONDS = 20, STILL_SECONDS = 10, SAY_SECONDS = 1, POLL_SECONDS = 0.1;

struct lock {
    struct owner self;
    int count;              /* of the files that are ours */
    struct lock_file *file; /* [wanted] */
    pthread_t heart;
    pthread_mutex_t mutex; /* of count, self.beat and ending */
    pthread_cond_t ended;
    bool ending;
    atomic_bool lost;
    _Atomic double beaten; /* when, seconds of the monotonic clock */
};

/* Keeping ------------------------------------------------------------------------------------------------------- */

static void beat_all(struct lock *lock) {
    lock->self.beat++;
    for (int i = 0; i < lock->count; i++)
        if (!lock_file_beat(&lock->file[i], &lock->self))
            atomic_store(&lock->lost, true);
    atomic_store(&lock->beaten, clock_now());
}

static void *beat(void *context) {
    struct lock *lock = context;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->ending) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)BEAT_SECONDS;
        pthread_cond_timedwait(&lock->ended, &lock->mutex, &until);
        if (!lock->ending)
            beat_all(lock);
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

/* From now on every file that is counted is kept alive. */
static int start_heart(struct lock *lock, struct error *error) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* the system's clock may be set in between */
    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_store(&lock->beaten, clock_now());
    return thread_start(&lock->heart, HEART_STACK, beat, lock, error);
}

static void keep(struct lock *lock) {
    pthread_mutex_lock(&lock->mutex);
    lock->count++;
    pthread_mutex_unlock(&lock->mutex);
}

/* A process that was stopped for long may be running again before its heart is: then it looks for itself. */
bool lock_is_lost(const struct lock *lock) {
    if (!lock)
        return false;
    struct lock *own = (struct lock *)lock; /* what is known of it changes, not what it is */
    if (clock_now() - atomic_load(&lock->beaten) > STILL_SECONDS) {
        pthread_mutex_lock(&own->mutex);
        beat_all(own);
        pthread_mutex_unlock(&own->mutex);
    }
    return atomic_load(&lock->lost);
}

bool lock_is_linkless(const struct lock *lock) {
    for (int i = 0; lock && i < lock->count; i++)
        if (lock->file[i].linkless)
            return true;
    return false;
}

/* Watching ------------------------------------------------------------------------------------------------------ */

/* What is seen of a lock's file from one look to the next. */
struct watch {
    const struct owner *self;
    struct owner seen;
    bool beats;        /* it did, while it was looked at */
    double still;      /* seconds since the last change */
    double unreadable; /* seconds since it could be read */
    struct owner dead; /* the last owner found dead, whose further locks need no watching */
};

/* Sleeps between two looks. Returns the seconds that count as waited: few where this process itself was stopped. */
static double pause_between(struct watch *watch) {
    double start = clock_now();
    clock_pause(POLL_SECONDS);
    double waited = fmin(clock_now() - start, 10 * POLL_SECONDS);
    watch->still += waited;
    watch->unreadable += waited;
    return waited;
}

static enum owner_verdict observe(struct watch *watch, const struct owner *owner) {
    enum owner_verdict verdict = owner_judge(owner, watch->self);
    watch->unreadable = 0;
    if (verdict != OWNER_UNKNOWN)
        return verdict;
    if (owner_is_same(owner, &watch->dead))
        return OWNER_GONE;
    bool same = owner_is_same(owner, &watch->seen), changed = !same || owner->beat != watch->seen.beat;
    watch->beats = same && (watch->beats || changed);
    watch->still = changed ? 0 : watch->still;
    watch->seen = *owner;
    if (watch->still > DEAD_SECONDS)
        return OWNER_GONE;
    return watch->beats ? OWNER_LIVES : OWNER_UNKNOWN;
}

/* Whether the file is what was found dead: of that owner, or (NULL) of nobody that can be read. */
static bool is_the_dead(const char *path, const struct owner *dead) {
    struct owner found;
    enum owner_reading reading = owner_read(path, &found);
    return dead ? reading == OWNER_READ && owner_is_same(&found, dead) : reading == OWNER_UNREADABLE;
}

/* Taking -------------------------------------------------------------------------------------------------------- */

/* An attempt to take one lock. */
struct attempt {
    const char *folder, *name;
    const struct lock_patience *patience;
    struct lock_file *file;
    struct watch *watch;
    struct watch breaker; /* of PATH.break */
    double waited;        /* seconds */
    bool said;
};

/* A sentence on what is waited for, once. */
static void say(struct attempt *attempt, const char *format, const struct owner *owner) {
    char sentence[DURABLE_PATH_SIZE + OWNER_TEXT_SIZE];
    if (attempt->said || attempt->waited < SAY_SECONDS || !attempt->patience->say)
        return;
    snprintf(sentence, sizeof sentence, format, attempt->folder, owner->pid, owner->host, attempt->name);
    attempt->patience->say(sentence);
    attempt->said = true;
}

static int wait_on(struct attempt *attempt, struct error *error) {
    int status = interrupt_check(attempt->patience->interrupt, error);
    if (status)
        return status;
    double waited = pause_between(attempt->watch);
    attempt->waited += waited;
    attempt->breaker.still += waited;
    attempt->breaker.unreadable += waited;
    return STATUS_OK;
}

/* Removes PATH.break of a process that died within the few lines in which it had it. Others may be at it: it is moved
 * away first, by one of them, and if it was a new one, made meanwhile, put back. */
static void remove_breaker(const char *path, const struct owner *dead, const struct owner *self) {
    char grave[DURABLE_PATH_SIZE];
    snprintf(grave, sizeof grave, "%s.%s.%ld", path, self->host, self->pid);
    if (!is_the_dead(path, dead) || rename(path, grave))
        return;
    if (!is_the_dead(grave, dead) && link(grave, path))
        return; /* and the name is taken again: its maker finds its own gone */
    unlink(grave);
}

/* Another process is breaking the lock; it has died if it takes long. */
static int wait_for_breaker(struct attempt *attempt, const char *path, struct error *error) {
    struct owner found;
    enum owner_reading reading = owner_read(path, &found);
    if (reading == OWNER_READ && observe(&attempt->breaker, &found) == OWNER_GONE)
        remove_breaker(path, &found, attempt->watch->self);
    else if (reading == OWNER_UNREADABLE && attempt->breaker.unreadable > DEAD_SECONDS)
        remove_breaker(path, NULL, attempt->watch->self);
    return wait_on(attempt, error);
}

static int cannot_remove(const char *path, struct error *error) {
    return error_set(error, STATUS_FAILURE, "%s: cannot be removed: %s; remove it and run the same command again", path,
                     strerror(errno));
}

/* Removes a lock whose owner is dead (or, with dead NULL, that can't be read). Only the holder of PATH.break does so,
 * and only a dead owner's lock is ever removed by others: so what it finds there is what it removes. */
static int put_away(struct attempt *attempt, const struct owner *dead, struct error *error) {
    const struct owner *self = attempt->watch->self;
    char path[DURABLE_PATH_SIZE];
    struct lock_file breaker;
    bool made = false;
    snprintf(path, sizeof path, "%s.break", attempt->file->path);
    int status = lock_file_prepare(attempt->folder, path, self, &breaker, error);
    if (!status)
        status = lock_file_make(attempt->folder, self, &breaker, &made, error);
    if (made && is_the_dead(attempt->file->path, dead) && unlink(attempt->file->path) && errno != ENOENT)
        status = cannot_remove(attempt->file->path, error);
    if (made)
        lock_file_remove(&breaker, self);
    else
        lock_file_abandon(&breaker);
    return status || made ? status : wait_for_breaker(attempt, path, error);
}

/* The lock of an owner that is there. */
static int meet(struct attempt *attempt, const struct owner *owner, struct error *error) {
    switch (observe(attempt->watch, owner)) {
    case OWNER_GONE:
        if (is_the_dead(attempt->file->path, owner))
            attempt->watch->dead = *owner; /* and not one that has just released it */
        return put_away(attempt, owner, error);
    case OWNER_LIVES:
        if (attempt->waited > fmax(attempt->patience->seconds, LOCK_ENDING_SECONDS))
            return error_set(error, STATUS_FAILURE,
                             "%s: %s is being written by process %ld on %s; wait for it, or give other --layers or "
                             "another --out",
                             attempt->folder, attempt->name, owner->pid, owner->host);
        if (attempt->patience->seconds > LOCK_ENDING_SECONDS)
            say(attempt, "%s: waiting for process %ld on %s, which is writing %s", owner);
        break;
    default:
        say(attempt, "%s: looking for up to 20 s whether process %ld on %s, which was writing %s, is alive", owner);
    }
    return wait_on(attempt, error);
}

static int take_one(struct attempt *attempt, struct error *error) {
    for (;;) {
        struct owner owner;
        bool made = false;
        int status = lock_file_make(attempt->folder, attempt->watch->self, attempt->file, &made, error);
        if (status || made)
            return status;
        switch (owner_read(attempt->file->path, &owner)) {
        case OWNER_READ:
            status = meet(attempt, &owner, error);
            break;
        case OWNER_NO_FILE: /* just released; a network file system may be late to show that */
            attempt->watch->unreadable = 0;
            clock_pause(1e-3);
            status = interrupt_check(attempt->patience->interrupt, error);
            break;
        default: /* being written, or cut short by a crash: then it goes after a while */
            status =
                attempt->watch->unreadable > DEAD_SECONDS ? put_away(attempt, NULL, error) : wait_on(attempt, error);
        }
        if (status)
            return status;
    }
}

static void lock_path(const char *folder, const char *name, char path[DURABLE_PATH_SIZE]) {
    snprintf(path, DURABLE_PATH_SIZE, "%s/units/.%s.lock", folder, name);
}

bool lock_exists(const char *folder, const char *name) {
    char path[DURABLE_PATH_SIZE];
    lock_path(folder, name, path);
    return access(path, F_OK) == 0;
}

static int take_all(const char *folder, const char *const *names, int count, const struct lock_patience *patience,
                    struct lock *lock, struct error *error) {
    struct watch watch = {.self = &lock->self};
    int status = STATUS_OK;
    for (int i = 0; i < count && !status; i++) {
        char path[DURABLE_PATH_SIZE];
        struct attempt attempt = {folder, names[i], patience, &lock->file[i], &watch, {.self = &lock->self}, 0, false};
        lock_path(folder, names[i], path);
        watch.still = watch.unreadable = 0;
        status = lock_file_prepare(folder, path, &lock->self, &lock->file[i], error);
        if (!status)
            status = take_one(&attempt, error);
        if (status)
            lock_file_abandon(&lock->file[i]);
        else
            keep(lock);
    }
    return status;
}

static struct lock *make(int count) {
    struct lock *lock = calloc(1, sizeof *lock);
    if (lock && !(lock->file = calloc((size_t)count + 1, sizeof *lock->file))) {
        free(lock);
        lock = NULL;
    }
    return lock;
}

/* Each lock keeps its file open, and a network may have more layers than a process may open files until it asks. */
static void make_room_for(int count) {
    enum { OTHERS = 256 };
    struct rlimit limit;
    rlim_t wanted = (rlim_t)count + OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int lock_take(const char *folder, const char *const *names, int count, const struct lock_patience *patience,
              struct lock **lock, struct error *error) {
    static const struct lock_patience little = {0};
    char units[DURABLE_PATH_SIZE];
    *lock = NULL;
    snprintf(units, sizeof units, "%s/units", folder);
    int status = durable_make_folder(units, error);
    if (status)
        return status;
    struct lock *l = make(count);
    if (!l)
        return error_memory(error, count * (double)sizeof *l->file, "locks");
    l->self = owner_find_self();
    make_room_for(count);
    status = start_heart(l, error);
    if (status) {
        free(l->file);
        free(l);
        return status;
    }
    status = take_all(folder, names, count, patience ? patience : &little, l, error);
    if (status)
        lock_release(l);
    else
        *lock = l;
    return status;
}

void lock_release(struct lock *lock) {
    if (!lock)
        return;
    pthread_mutex_lock(&lock->mutex);
    lock->ending = true;
    pthread_cond_broadcast(&lock->ended);
    pthread_mutex_unlock(&lock->mutex);
    pthread_join(lock->heart, NULL);
    pthread_mutex_destroy(&lock->mutex);
    pthread_cond_destroy(&lock->ended);
    for (int i = 0; i < lock->count; i++)
        lock_file_remove(&lock->file[i], &lock->self);
    free(lock->file);
    free(lock);
}

/* All locks of a store ------------------------------------------------------------------------------------------- */

static int is_lock(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] == '.' && dot != entry->d_name && !strcmp(dot, ".lock");
}

static int watch_one(const char *path, struct watch *watch, const struct interrupt *interrupt, bool *held,
                     struct error *error) {
    struct owner owner;
    enum owner_verdict verdict = OWNER_UNKNOWN;
    watch->still = 0;
    while (verdict == OWNER_UNKNOWN && owner_read(path, &owner) == OWNER_READ) {
        int status = interrupt_check(interrupt, error);
        if (status)
            return status;
        verdict = observe(watch, &owner);
        if (verdict == OWNER_UNKNOWN)
            pause_between(watch);
    }
    if (verdict == OWNER_GONE)
        watch->dead = owner;
    *held = verdict == OWNER_LIVES && !owner_is_same(&owner, watch->self);
    return STATUS_OK;
}

int lock_find_any(const char *folder, const char *except, const struct interrupt *interrupt, bool *held,
                  struct error *error) {
    char units[DURABLE_PATH_SIZE], spared[DURABLE_PATH_SIZE];
    const struct owner self = owner_find_self();
    struct watch watch = {.self = &self};
    struct dirent **entries = NULL;
    snprintf(units, sizeof units, "%s/units", folder);
    lock_path(folder, except, spared);
    int count = scandir(units, &entries, is_lock, alphasort), status = STATUS_OK;
    *held = false;
    for (int i = 0; i < count; i++) {
        char path[DURABLE_PATH_SIZE + 256];
        snprintf(path, sizeof path, "%s/%s", units, entries[i]->d_name);
        if (!status && !*held && strcmp(path, spared) != 0)
            status = watch_one(path, &watch, interrupt, held, error);
        free(entries[i]);
    }
    free(entries);
    return status;
}
