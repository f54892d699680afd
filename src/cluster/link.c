#include "link.h"
#include "filteratlas/base/clock.h"

#include "filteratlas/cluster/stop.h"

#include <mpi.h>
#include <stdlib.h>
#include <time.h>

static const long PAUSE = 2000000;     /* nanoseconds; a unit takes seconds */
static const double ALIVE_SECONDS = 1; /* between two signs of life */

void link_pause(void) { nanosleep(&(struct timespec){0, PAUSE}, NULL); }

struct report *report_make(enum report_kind kind, const struct unit *unit, int iterations, size_t png_size) {
    struct report *report = calloc(1, sizeof *report + iterations * sizeof(float) + png_size);
    if (!report)
        return NULL;
    report->kind = kind;
    if (unit)
        report->unit = *unit;
    report->iterations = iterations;
    report->png_size = png_size;
    return report;
}

size_t report_size(const struct report *report) {
    return sizeof *report + report->iterations * sizeof(float) + report->png_size;
}

void mailbox_init(struct mailbox *mailbox) {
    *mailbox = (struct mailbox){0};
    pthread_mutex_init(&mailbox->mutex, NULL);
    pthread_cond_init(&mailbox->changed, NULL);
}

void mailbox_destroy(struct mailbox *mailbox) {
    pthread_mutex_destroy(&mailbox->mutex);
    pthread_cond_destroy(&mailbox->changed);
}

static void mailbox_put(struct mailbox *mailbox, struct report *report) {
    pthread_mutex_lock(&mailbox->mutex);
    while (mailbox->report)
        pthread_cond_wait(&mailbox->changed, &mailbox->mutex);
    mailbox->report = report;
    pthread_mutex_unlock(&mailbox->mutex);
}

struct report *mailbox_take(struct mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->mutex);
    struct report *report = mailbox->report;
    mailbox->report = NULL;
    pthread_cond_broadcast(&mailbox->changed);
    pthread_mutex_unlock(&mailbox->mutex);
    return report;
}

void mailbox_answer(struct mailbox *mailbox, const struct order *order) {
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->answer = *order;
    mailbox->answered = true;
    pthread_cond_broadcast(&mailbox->changed);
    pthread_mutex_unlock(&mailbox->mutex);
}

static struct order mailbox_wait(struct mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->mutex);
    while (!mailbox->answered)
        pthread_cond_wait(&mailbox->changed, &mailbox->mutex);
    mailbox->answered = false;
    struct order order = mailbox->answer;
    pthread_mutex_unlock(&mailbox->mutex);
    return order;
}

void link_send(struct link *link, struct report *report) {
    link->told = clock_now();
    if (link->mailbox) {
        mailbox_put(link->mailbox, report);
        return;
    }
    MPI_Send(report, (int)report_size(report), MPI_BYTE, 0, TAG_REPORT, MPI_COMM_WORLD);
    free(report);
}

void link_say(struct link *link, enum report_kind kind, const struct unit *unit, const struct error *error) {
    struct report *report = report_make(kind, unit, 0, 0);
    if (!report)
        abort(); /* a kilobyte that isn't there: the pictures' memory was given back by now */
    if (error)
        report->error = *error;
    report->signal = link->signal;
    link_send(link, report);
}

/* Rank 0's main thread sees signals to its process by itself. */
static void pass_on_signal(struct link *link) {
    if (link->mailbox || stop_signal() == link->signal)
        return;
    link->signal = stop_signal();
    link_say(link, REPORT_SIGNAL, NULL, NULL);
}

/* Polls, since a blocking receive keeps a core busy: at the end of a run many ranks wait for the last one. */
static struct order wait_for_message(struct link *link) {
    struct order order;
    int arrived = 0;
    while (!arrived) {
        pass_on_signal(link);
        MPI_Iprobe(0, TAG_ORDER, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
        if (!arrived)
            link_pause();
    }
    MPI_Recv(&order, sizeof order, MPI_BYTE, 0, TAG_ORDER, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return order;
}

struct order link_receive(struct link *link) {
    return link->mailbox ? mailbox_wait(link->mailbox) : wait_for_message(link);
}

bool link_cancelled(struct link *link) {
    int arrived = 0;
    pass_on_signal(link);
    if (clock_now() - link->told > ALIVE_SECONDS)
        link_say(link, REPORT_ALIVE, NULL, NULL);
    if (!link->mailbox)
        MPI_Iprobe(0, TAG_CANCEL, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
    if (arrived) {
        MPI_Recv(NULL, 0, MPI_BYTE, 0, TAG_CANCEL, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        atomic_store(&link->cancelled, true);
    }
    return atomic_load(&link->cancelled);
}
