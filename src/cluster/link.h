/* Between the two threads of a rank: the one that draws and the main one, which alone may call MPI and so carries what
 * the other has to say. The main thread is never busy for long, whatever the drawing thread does. No MPI in here. */
#ifndef LINK_H
#define LINK_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/cluster/coordinator.h"
#include "filteratlas/cluster/schedule.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a rank has to say: an event of coordinator.h about it, in `kind`, with what belongs to it. Plain data. */
struct report {
    enum event_kind kind; /* EVENT_READY ... EVENT_SIGNAL */
    struct unit unit;
    struct store_filter filter;
    int iterations;    /* losses behind the head */
    size_t size;       /* bytes behind the losses: of the PNG file, 0 for a dead filter, or of a line for people */
    int signal;        /* of EVENT_SIGNAL */
    uint64_t progress; /* of EVENT_ALIVE */
    double seconds_per_cost; /* of EVENT_READY */
    double waited;           /* of EVENT_READY */
    struct error error;
    struct report *next; /* in a list */
    char body[];         /* float [iterations], then the bytes */
};

/* Bytes in front of what is behind the losses. */
size_t report_room(int iterations);

/* A report with room for its body; the caller frees it. NULL without memory. */
struct report *report_make(enum event_kind kind, const struct unit *unit, int iterations, size_t size);

/* Makes a report of memory from malloc whose first report_room bytes are free and where the `size` bytes stand behind
 * them. */
struct report *report_around(void *bytes, enum event_kind kind, const struct unit *unit, int iterations, size_t size);

/* All of it, head and body. */
size_t report_size(const struct report *report);

/* Frees a whole list. */
void report_free_all(struct report *first);

struct link {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct report *first, *last; /* sent and not taken yet */
    bool answered;
    struct order answer;
    pthread_t drawing;
    atomic_bool cancelled;
    atomic_ulong steps; /* of the work in hand */
};

void link_init(struct link *link);
void link_destroy(struct link *link);

/* The drawing thread's side -----------------------------------------------------------------------------------------
 */

/* Sends a report, which is the link's from then on. */
void link_send(struct link *link, struct report *report);

/* Sends a report without a body. */
void link_say(struct link *link, enum event_kind kind, const struct unit *unit, const struct error *error);

/* Waits for the answer to EVENT_READY. */
struct order link_receive(struct link *link);

/* To be called often while at work, as an interrupt's question: false when the work has been called off. */
bool link_goes_on(void *link);

/* The main thread's side --------------------------------------------------------------------------------------------
 */

/* Starts the drawing thread. */
int link_start(struct link *link, void *(*draw)(void *context), void *context, struct error *error);

/* The next report, which the caller frees; NULL if there is none. */
struct report *link_take(struct link *link);

/* Hands over an order. ORDER_CANCEL takes effect at once; it is forgotten with the next order. */
void link_order(struct link *link, const struct order *order);

/* A number that changes while the drawing thread gets on: steps of its work, and the milliseconds of its processor
 * time, since the step of a huge picture takes long. */
uint64_t link_progress(const struct link *link);

/* Sleeps between two looks, when nothing has happened for `quiet` seconds: for a hundredth of that, so that what comes
 * next is late by no more, but for 0.05 to 2 ms, so that looking costs next to nothing. */
void link_pause(double quiet);

#endif
