/* Files in folders where others have been: under a name that is ours may stand a pipe, a link or a folder. */
#ifndef FILTERATLAS_FILE_H
#define FILTERATLAS_FILE_H

#include <stdio.h>

/* A regular file to read, also behind a link; a pipe is not waited for. NULL with errno, 0 if it is of another kind. */
FILE *file_open_regular(const char *path);

/* A new file to write, in place of whatever has that name: a link is replaced, not followed. Returns its descriptor, or
 * -1 with errno: ENOTEMPTY where a folder that isn't empty is in the way, EEXIST where a device is. */
int file_create(const char *path);

/* The same as a stream, or NULL. */
FILE *file_create_stream(const char *path);

#endif
