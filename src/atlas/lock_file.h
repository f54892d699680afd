/* The file of a lock: how it is made by one process alone, and looked after through one descriptor. */
#ifndef LOCK_FILE_H
#define LOCK_FILE_H

#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/error.h"
#include "lock_owner.h"

#include <stdbool.h>

struct lock_file {
    char path[DURABLE_PATH_SIZE];
    char own[DURABLE_PATH_SIZE]; /* where it is written before it gets its name, "" if it isn't */
    int descriptor;              /* -1: none */
    bool linkless;               /* the file system has no hard links */
};

/* Names the file and writes it elsewhere, for lock_file_make to link; `folder` is what a message names. */
int lock_file_prepare(const char *folder, const char *path, const struct owner *self, struct lock_file *file,
                      struct error *error);

/* Tries to make the lock. *made: whether it is ours now. */
int lock_file_make(const char *folder, const struct owner *self, struct lock_file *file, bool *made,
                   struct error *error);

/* Gives up what was prepared, not what was made. */
void lock_file_abandon(struct lock_file *file);

/* Writes a beat. False if the file's name is another process's by now, or gone. */
bool lock_file_beat(const struct lock_file *file, const struct owner *self);

/* Removes the file, if it is still ours, and closes it. */
void lock_file_remove(struct lock_file *file, const struct owner *self);

#endif
