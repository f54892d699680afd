#include "filteratlas/base/thread.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

static bool has_room(size_t bytes) {
    void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack != MAP_FAILED)
        munmap(stack, bytes);
    return stack != MAP_FAILED;
}

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
    if (!has_room(stack))
        return error_set(
            error, STATUS_FAILURE,
            "out of memory: no room for a thread's stack of %.1f MB; raise the limit on memory (ulimit -v) "
            "or use fewer ranks on this node",
            (double)stack / 1e6);
    return error_set(error, STATUS_FAILURE,
                     "no further thread can be started: %s; raise the limit on processes (ulimit -u)", strerror(code));
}
