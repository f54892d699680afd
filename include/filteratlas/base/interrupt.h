/* How long work is told to stop half-way: a question that it asks now and then, handed down as an argument. */
#ifndef FILTERATLAS_INTERRUPT_H
#define FILTERATLAS_INTERRUPT_H

#include "filteratlas/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct interrupt {
    bool (*goes_on)(void *context); /* false: stop, as soon as that loses nothing */
    void *context;
};

/* Whether to go on; interrupt NULL: always. */
static inline bool interrupt_goes_on(const struct interrupt *interrupt) {
    return !interrupt || interrupt->goes_on(interrupt->context);
}

/* The same as a status: STATUS_OK or STATUS_STOPPED. */
int interrupt_check(const struct interrupt *interrupt, struct error *error);

#endif
