#include "relay.h"

#include "awake.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/stop.h"
#include "tags.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

struct relay {
    const struct cluster *cluster;
    struct link *link;
    double silence;
    struct awake awake;
    struct report *sending; /* on its way, NULL: none is */
    MPI_Request request;
    int signal;    /* the last one reported */
    double beaten; /* awake, when the last sign of life was sent */
    double heard;  /* awake, when rank 0 was heard of, while an answer is due; else now */
    bool due;      /* a sign of life has no answer yet */
    bool ended;
};

/* A rank 0 that stands still keeps its ranks waiting for orders for ever. The lowest rank says so. */
static void check_silence(struct relay *relay) {
    double silent = relay->awake.seconds - relay->heard;
    double patience = relay->silence + (relay->cluster->rank > 1);
    if (!relay->due || silent < patience)
        return;
    fprintf(stderr,
            "filteratlas: rank 0 on %s: no sign of life for %.0f s; what is finished is kept, run the same command "
            "again\n",
            relay->cluster->first_host, silent);
    MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
}

static struct report *small_report(enum event_kind kind) {
    struct report *report = report_make(kind, NULL, 0, 0);
    if (!report)
        abort(); /* as link_say */
    return report;
}

static struct report *sign_of_life(struct relay *relay) {
    struct report *report = small_report(EVENT_ALIVE);
    report->progress = link_progress(relay->link);
    relay->beaten = relay->heard = relay->awake.seconds;
    relay->due = true;
    return report;
}

/* What is to be sent next. No sign of life goes out while one is unanswered: to a rank 0 that stands still they would
 * pile up. */
static struct report *next_report(struct relay *relay) {
    static const double beat = 1;
    if (stop_signal() != relay->signal) {
        struct report *report = small_report(EVENT_SIGNAL);
        report->signal = relay->signal = stop_signal();
        return report;
    }
    if (!relay->due && relay->awake.seconds - relay->beaten >= beat)
        return sign_of_life(relay);
    return link_take(relay->link);
}

/* Returns whether anything has moved. */
static bool send_reports(struct relay *relay) {
    int sent = 1;
    if (relay->sending)
        MPI_Test(&relay->request, &sent, MPI_STATUS_IGNORE);
    if (!sent)
        return false;
    bool was_last = relay->sending && relay->sending->kind == EVENT_ENDED, moved = relay->sending;
    free(relay->sending);
    relay->sending = relay->ended || was_last ? NULL : next_report(relay);
    relay->ended |= was_last;
    if (!relay->sending)
        return moved;
    MPI_Isend(relay->sending, (int)report_size(relay->sending), MPI_BYTE, 0, TAG_REPORT, MPI_COMM_WORLD,
              &relay->request);
    return true;
}

static bool receive_order(struct relay *relay) {
    struct order order;
    int arrived;
    MPI_Iprobe(0, TAG_ORDER, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
    if (!arrived)
        return false;
    MPI_Recv(&order, sizeof order, MPI_BYTE, 0, TAG_ORDER, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    relay->heard = relay->awake.seconds;
    if (order.kind == ORDER_HEARD)
        relay->due = false;
    else
        link_order(relay->link, &order);
    return true;
}

void relay_run(const struct cluster *cluster, struct link *link, double silence) {
    double last = clock_now();
    struct relay relay = {
        .cluster = cluster, .link = link, .silence = silence, .awake = {.looked = last, .most = AWAKE_MOST}};
    while (!relay.ended) {
        double now = clock_now();
        awake_look(&relay.awake, now);
        bool moved = receive_order(&relay);
        moved |= send_reports(&relay);
        check_silence(&relay);
        if (moved)
            last = now;
        else
            link_pause(now - last);
    }
}
