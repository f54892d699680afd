#include "filteratlas/base/thread.h"

#include "filteratlas/base/room.h"

#include <string.h>

int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *context), void *context, struct error *error) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack)
        pthread_attr_setstacksize(&attributes, stack);
    pthread_attr_getstacksize(&attributes, &stack);
    int code = pthread_create(thread, &attributes, run, context);
    pthread_attr_destroy(&attributes);
    if (!code)
        return STATUS_OK;
    if (!room_exists(stack))
        return error_set(
            error, STATUS_FAILURE,
            "out of memory: no room for a thread's stack of %.1f MB; raise the limit on memory (ulimit -v) "
            "or use fewer ranks on this node",
            (double)stack / 1e6);
    return error_set(error, STATUS_FAILURE,
                     "no further thread can be started: %s; raise the limit on processes (ulimit -u)", strerror(code));
}
