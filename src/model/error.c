#include "filteratlas/error.h"

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

int error_memory(struct error *error, double bytes, const char *what) {
    return error_set(error, STATUS_FAILURE,
                     "out of memory: %.0f MB for %s; use fewer ranks on this node or a smaller --size", bytes / 1e6,
                     what);
}
