/* Starting a thread, and saying why there is none. */
#ifndef FILTERATLAS_THREAD_H
#define FILTERATLAS_THREAD_H

#include "filteratlas/base/error.h"

#include <pthread.h>
#include <stddef.h>

/* pthread_create with a stack of `stack` bytes (0: the usual size). The system gives the same errno for a stack that
 * finds no memory and for a process too many; STATUS_FAILURE says which of them it was. */
int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *context), void *context, struct error *error);

#endif
