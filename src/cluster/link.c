#include "link.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t report_room(int iterations) { return sizeof(struct report) + iterations * sizeof(float); }

struct report *report_around(void *bytes, enum event_kind kind, const struct unit *unit, int iterations, size_t size) {
    struct report *report = bytes;
    memset(report, 0, report_room(iterations));
    report->kind = kind;
    if (unit)
        report->unit = *unit;
    report->iterations = iterations;
    report->size = size;
    return report;
}

struct report *report_make(enum event_kind kind, const struct unit *unit, int iterations, size_t size) {
    void *bytes = calloc(1, report_room(iterations) + size);
    return bytes ? report_around(bytes, kind, unit, iterations, size) : NULL;
}

size_t report_size(const struct report *report) { return report_room(report->iterations) + report->size; }

void report_free_all(struct report *first) {
    for (struct report *next; first; first = next) {
        next = first->next;
        free(first);
    }
}

void link_init(struct link *link) {
    *link = (struct link){0};
    pthread_mutex_init(&link->mutex, NULL);
    pthread_cond_init(&link->changed, NULL);
}

void link_destroy(struct link *link) {
    report_free_all(link->first);
    pthread_mutex_destroy(&link->mutex);
    pthread_cond_destroy(&link->changed);
}

void link_send(struct link *link, struct report *report) {
    report->next = NULL;
    pthread_mutex_lock(&link->mutex);
    if (link->first)
        link->last->next = report;
    else
        link->first = report;
    link->last = report;
    pthread_mutex_unlock(&link->mutex);
}

void link_say(struct link *link, enum event_kind kind, const struct unit *unit, const struct error *error) {
    struct report *report = report_make(kind, unit, 0, 0);
    if (!report)
        abort(); /* a kilobyte that isn't there: the pictures' memory was given back by now */
    if (error)
        report->error = *error;
    link_send(link, report);
}

struct order link_receive(struct link *link) {
    pthread_mutex_lock(&link->mutex);
    while (!link->answered)
        pthread_cond_wait(&link->changed, &link->mutex);
    link->answered = false;
    struct order order = link->answer;
    pthread_mutex_unlock(&link->mutex);
    return order;
}

bool link_goes_on(void *context) {
    struct link *link = context;
    atomic_fetch_add_explicit(&link->steps, 1, memory_order_relaxed);
    return !atomic_load(&link->cancelled);
}

int link_start(struct link *link, void *(*draw)(void *context), void *context, struct error *error) {
    return thread_start(&link->drawing, 0, draw, context, error);
}

struct report *link_take(struct link *link) {
    pthread_mutex_lock(&link->mutex);
    struct report *report = link->first;
    if (report)
        link->first = report->next;
    pthread_mutex_unlock(&link->mutex);
    return report;
}

void link_order(struct link *link, const struct order *order) {
    atomic_store(&link->cancelled, order->kind == ORDER_CANCEL);
    if (order->kind == ORDER_CANCEL)
        return;
    pthread_mutex_lock(&link->mutex);
    link->answer = *order;
    link->answered = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
}

uint64_t link_progress(const struct link *link) {
    struct timespec used = {0};
    clockid_t clock;
    if (!pthread_getcpuclockid(link->drawing, &clock))
        clock_gettime(clock, &used);
    return atomic_load(&link->steps) + (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

void link_pause(double quiet) { clock_pause(fmin(fmax(quiet / 100, 50e-6), 2e-3)); }
