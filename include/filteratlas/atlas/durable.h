/* Files that are there whole or not at all: written under a temporary name in the same folder, flushed to the disk,
 * then renamed. Used by the store and for every file of the atlas. Failures are STATUS_FAILURE and name the file. */
#ifndef FILTERATLAS_DURABLE_H
#define FILTERATLAS_DURABLE_H

#include "filteratlas/base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { DURABLE_PATH_SIZE = PATH_MAX };

/* FOLDER/NAME -> FOLDER/.NAME.part, the temporary name of a file. */
void durable_part(const char *path, char part[DURABLE_PATH_SIZE]);

/* Makes a folder; one that is there is fine. */
int durable_make_folder(const char *path, struct error *error);

/* Writes the bytes to the file's temporary name and flushes them. A part file that could not be written is removed. */
int durable_write_part(const char *path, const void *bytes, size_t size, struct error *error);

/* Flushes a part file that others have written and closed. */
int durable_sync_part(const char *path, struct error *error);

/* Gives the temporary file its name. Durable once durable_sync_folder has been called. */
int durable_rename(const char *path, struct error *error);

/* Whether errno means that a file system doesn't have a call (hard links, fsync of a folder), rather than that the call
 * went wrong. */
bool durable_is_unsupported(int code);

/* Flushes a folder's entries to the disk, where its file system can; durable_sync_above, those of the folder that a
 * file or folder is in, whose own path a message names. */
int durable_sync_folder(const char *folder, struct error *error);
int durable_sync_above(const char *path, struct error *error);

/* Removes a folder with all that is in it; one that isn't there is fine. */
int durable_remove_folder(const char *path, struct error *error);

/* All of it in one: the file at path has these bytes, or what it had before. */
int durable_write(const char *path, const void *bytes, size_t size, struct error *error);

#endif
