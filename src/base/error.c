#include "filteratlas/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *error, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    for (char *c = error->message; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    error->status = status;
    return status;
}

const char *error_write_remedy(int code) {
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return "make room and run the same command again";
    case EFBIG:
        return "raise the limit on the size of files (ulimit -f), or use a file system that holds larger ones, and run "
               "the same command again";
    case EMFILE:
        return "raise the limit on open files (ulimit -n) and run the same command again";
    default:
        return "put that right and run the same command again";
    }
}

int error_memory(struct error *error, double bytes, const char *what) {
    return error_set(error, STATUS_FAILURE,
                     "out of memory: %.0f MB for %s; use fewer ranks on this node, a smaller --batch or a smaller "
                     "--size",
                     bytes / 1e6, what);
}
