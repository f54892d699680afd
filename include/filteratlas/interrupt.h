/* How long work is told to stop half-way: a question that it asks now and then. */
#ifndef FILTERATLAS_INTERRUPT_H
#define FILTERATLAS_INTERRUPT_H

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

#endif
