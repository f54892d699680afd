/* What a file system takes for the commits of a run. */
#ifndef FILTERATLAS_DISK_H
#define FILTERATLAS_DISK_H

#include "filteratlas/base/error.h"

#include <stddef.h>

/* How long a commit takes: units that come in meanwhile are committed together. All 0: no time. */
struct commit_time {
    double batch;   /* seconds, whatever is in it */
    double picture; /* and for each picture in it */
};

/* Commits pictures of so many bytes for about a second, as a run does, in a folder of its own below `folder` or, if
 * that isn't there yet, below the nearest one above it; nothing of it stays. STATUS_USAGE if nothing can be made there.
 * For `plan`. */
int disk_measure(const char *folder, size_t picture_bytes, struct commit_time *time, struct error *error);

#endif
