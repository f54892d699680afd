/* Who holds a lock, as the lock's file tells it, and what can be known of him. */
#ifndef LOCK_OWNER_H
#define LOCK_OWNER_H

#include <stdbool.h>

enum { OWNER_HOST_SIZE = 256, OWNER_PLACE_SIZE = 160, OWNER_TEXT_SIZE = 512 };

struct owner {
    char host[OWNER_HOST_SIZE];
    long pid;
    unsigned long long start;     /* of the process, clock ticks since the boot; 0: not known */
    char place[OWNER_PLACE_SIZE]; /* boot and pid namespace, "-" if not known: where both are the same, so are pids */
    unsigned long beat;
};

/* This process. */
struct owner owner_find_self(void);

/* The text of a lock's file, of the same length at every beat; returns that. */
int owner_format(const struct owner *owner, char text[OWNER_TEXT_SIZE]);

enum owner_reading { OWNER_READ, OWNER_NO_FILE, OWNER_UNREADABLE };

/* Reads a lock's file. OWNER_UNREADABLE: it is being written, was cut short, or can't be looked at just now. */
enum owner_reading owner_read(const char *path, struct owner *owner);

/* Whether two are the same process; beats don't count. */
bool owner_is_same(const struct owner *a, const struct owner *b);

enum owner_verdict { OWNER_GONE, OWNER_LIVES, OWNER_UNKNOWN };

/* What this machine knows of him at once. A process of another user answers kill() with EPERM, so it is there; whether
 * it is he is for its start time to say, and OWNER_UNKNOWN where that can't be read, as under /proc's hidepid. */
enum owner_verdict owner_judge(const struct owner *owner, const struct owner *self);

#endif
