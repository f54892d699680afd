#include "lock_owner.h"

#include "filteratlas/base/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Start time of a process, field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks and brackets. 0 if
 * it can't be read. Read of the process's first thread, which started with it: under qemu-user a process sees something
 * else in its own /proc/PID/stat than others do. *ended: a zombie, which may last where the first process of a
 * container reaps nothing. */
static unsigned long long start_time(long pid, bool *ended) {
    char path[64], line[1024], condition = 0;
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/stat", pid, pid);
    FILE *file = fopen(path, "r");
    *ended = false;
    if (!file)
        return 0;
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end)
        sscanf(end + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &condition,
               &start);
    fclose(file);
    *ended = condition == 'Z' || condition == 'X';
    return start;
}

static void find_place(char place[OWNER_PLACE_SIZE]) {
    char boot[64] = "", names[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    bool known = file && fscanf(file, "%63s", boot) == 1;
    if (file)
        fclose(file);
    known = readlink("/proc/self/ns/pid", names, sizeof names - 1) > 0 && known;
    if (known)
        snprintf(place, OWNER_PLACE_SIZE, "%s/%s", boot, names);
    else
        snprintf(place, OWNER_PLACE_SIZE, "-");
}

struct owner owner_find_self(void) {
    bool ended;
    struct owner self = {.pid = (long)getpid(), .start = start_time((long)getpid(), &ended)};
    if (gethostname(self.host, sizeof self.host - 1) || !*self.host)
        snprintf(self.host, sizeof self.host, "unknown");
    find_place(self.place);
    return self;
}

int owner_format(const struct owner *owner, char text[OWNER_TEXT_SIZE]) {
    return snprintf(text, OWNER_TEXT_SIZE, "%s %ld %llu %s %010lu\n", owner->host, owner->pid, owner->start,
                    owner->place, owner->beat);
}

static enum owner_reading parse(const char *line, struct owner *owner) {
    int fields =
        sscanf(line, "%255s %ld %llu %159s %lu", owner->host, &owner->pid, &owner->start, owner->place, &owner->beat);
    return fields == 5 && owner->pid > 0 ? OWNER_READ : OWNER_UNREADABLE;
}

enum owner_reading owner_read(const char *path, struct owner *owner) {
    struct text text = {0};
    struct error ignored;
    struct stat entry;
    *owner = (struct owner){0};
    errno = 0;
    enum owner_reading reading = OWNER_UNREADABLE;
    if (text_read_regular(path, &text, &ignored) == STATUS_OK)
        reading = parse(text.bytes, owner);
    else if (errno == ENOENT && lstat(path, &entry)) /* and no link to nowhere */
        reading = OWNER_NO_FILE;
    text_free(&text);
    return reading;
}

bool owner_is_same(const struct owner *a, const struct owner *b) {
    return !strcmp(a->host, b->host) && a->pid == b->pid && a->start == b->start && !strcmp(a->place, b->place);
}

enum owner_verdict owner_judge(const struct owner *owner, const struct owner *self) {
    bool ended;
    if (strcmp(owner->place, self->place) != 0 || !strcmp(owner->place, "-"))
        return OWNER_UNKNOWN;
    if (kill((pid_t)owner->pid, 0) && errno == ESRCH)
        return OWNER_GONE;
    unsigned long long start = start_time(owner->pid, &ended);
    if (ended)
        return OWNER_GONE;
    if (!start || !owner->start)
        return OWNER_UNKNOWN;
    return start == owner->start ? OWNER_LIVES : OWNER_GONE;
}
