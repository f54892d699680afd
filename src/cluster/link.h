/* The line between a drawing rank and the coordinator: MPI messages, or on rank 0 itself a mailbox between two threads.
 */
#ifndef LINK_H
#define LINK_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/cluster/schedule.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* What the coordinator wants a rank to do. Plain data. */
struct order {
    enum { ORDER_END, ORDER_DRAW, ORDER_PUBLISH } kind;
    struct unit unit; /* to draw; of ORDER_PUBLISH only the layer counts */
};

/* What a drawing rank has to say. */
enum report_kind {
    REPORT_READY,     /* asks for an order */
    REPORT_FILTER,    /* a filter is drawn: head, trace, PNG file */
    REPORT_DONE,      /* the unit is complete */
    REPORT_PUBLISHED, /* the layer's files are made: a line for people in the body */
    REPORT_FAILED,    /* the order could not be carried out: error */
    REPORT_ALIVE,     /* a sign of life */
    REPORT_SIGNAL     /* the rank was asked to stop: signal */
};

struct report {
    enum report_kind kind;
    struct unit unit;
    struct store_filter filter;
    int iterations;  /* losses behind the head */
    size_t png_size; /* bytes behind the losses: of the PNG file, 0 for a dead filter, or of the line */
    int signal;
    struct error error;
    char body[]; /* float [iterations], then the PNG file */
};

/* A report with room for its body; the caller frees it. NULL without memory. */
struct report *report_make(enum report_kind kind, const struct unit *unit, int iterations, size_t png_size);
size_t report_size(const struct report *report);

/* Mailbox between rank 0's two threads; one report and one answer at a time. */
struct mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct report *report; /* NULL: empty */
    bool answered;
    struct order answer;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_destroy(struct mailbox *mailbox);

/* Coordinator's side of the mailbox: takes the report if there is one, which the caller frees; gives the answer. */
struct report *mailbox_take(struct mailbox *mailbox);
void mailbox_answer(struct mailbox *mailbox, const struct order *order);

/* The drawing rank's end. */
struct link {
    struct mailbox *mailbox; /* NULL for MPI */
    atomic_bool cancelled;
    int signal;  /* the last one reported */
    double told; /* when the last report was sent, seconds of the monotonic clock */
};

/* Sends and frees a report. */
void link_send(struct link *link, struct report *report);

/* Sends a report without a body. */
void link_say(struct link *link, enum report_kind kind, const struct unit *unit, const struct error *error);

/* Waits for the answer to REPORT_READY. */
struct order link_receive(struct link *link);

/* To be called often while drawing: gives a sign of life now and then, passes on a signal, and tells whether the
 * coordinator has called the drawing off. */
bool link_cancelled(struct link *link);

enum { TAG_REPORT = 1, TAG_ORDER, TAG_CANCEL };

/* Sleeps between two polls. */
void link_pause(void);

#endif
