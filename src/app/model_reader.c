#include "model_reader.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* What both threads know; the reading one's alone once it was abandoned. */
struct reading {
    const char *path, *config;
    bool with_top;
    struct model model;
    int status;
    struct error error;
    atomic_bool done;
};

static void *read_all(void *context) {
    struct reading *reading = context;
    reading->status = model_read(reading->path, reading->config, reading->with_top, &reading->model, &reading->error);
    atomic_store(&reading->done, true);
    return NULL;
}

int model_reader_read(const char *path, const char *config, bool with_top, const struct interrupt *interrupt,
                      struct model *model, bool *abandoned, struct error *error) {
    struct reading *reading = calloc(1, sizeof *reading);
    pthread_t thread;
    *abandoned = false;
    if (!reading)
        return error_memory(error, sizeof *reading, "reading the network");
    reading->path = path;
    reading->config = config;
    reading->with_top = with_top;
    int status = thread_start(&thread, 0, read_all, reading, error);
    if (status) {
        free(reading);
        return status;
    }
    for (double start = clock_now(); !atomic_load(&reading->done);) {
        if (!interrupt_goes_on(interrupt)) {
            *abandoned = true;
            pthread_detach(thread);
            return interrupt_check(interrupt, error);
        }
        clock_pause(fmin(1e-4 + (clock_now() - start) / 100, 0.02));
    }
    pthread_join(thread, NULL);
    *model = reading->model;
    *error = reading->status ? reading->error : *error;
    status = reading->status;
    free(reading);
    return status;
}
