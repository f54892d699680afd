#include "coordinator.h"
#include "filteratlas/base/clock.h"

#include "filteratlas/atlas/trace.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/stop.h"

#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What is known of a rank and of what it is doing. */
struct peer {
    struct store_filter filter[SCHEDULE_MAX_BATCH];
    int filters;
    struct text trace;
    enum { PEER_STARTING, PEER_DRAWING, PEER_PUBLISHING, PEER_WAITING, PEER_ENDED } state;
    double since; /* when the order was given */
    double heard; /* when its last report came */
};

/* What is left to do for a layer. */
struct layer_state {
    int filters; /* that are not committed */
    enum { LAYER_UNPUBLISHED, LAYER_IN_WORK, LAYER_DONE } publication;
};

struct coordinator {
    const struct cluster *cluster;
    const struct drawing *drawing;
    const struct coordination *coordination;
    struct link *local;
    struct peer *peer; /* [ranks] */
    struct layer_state layer[VGG_MAX_LAYERS];
    int active;              /* ranks that have not been told to end */
    double seconds_per_cost; /* of the slowest unit so far, cost.h */
    double file_looked_for;  /* when */
    double looked;           /* when this thread last looked for reports */
    int signal;              /* the last one acted on */
    bool stopping;           /* nothing more is handed out */
    double drop_at;          /* while stopping, when units in flight are called off */
    int status;              /* the first failure; then nothing more is kept either */
    struct error error;
};

static bool is_busy(const struct peer *peer) { return peer->state == PEER_DRAWING || peer->state == PEER_PUBLISHING; }

/* Stopping ------------------------------------------------------------------------------------------------------ */

/* Notes the first failure and calls off what the ranks are drawing. */
static void call_off(struct coordinator *c, int status, const struct error *error) {
    if (c->status)
        return;
    c->status = status;
    c->error = *error;
    atomic_store(&c->local->cancelled, true);
    for (int rank = 1; rank < c->cluster->ranks; rank++)
        if (is_busy(&c->peer[rank]))
            MPI_Send(NULL, 0, MPI_BYTE, rank, TAG_CANCEL, MPI_COMM_WORLD);
}

/* From now on nothing is handed out; units in flight may go on for `grace` seconds. The first reason is kept. */
static void stop(struct coordinator *c, double grace, const char *reason) {
    if (!c->stopping)
        error_set(&c->error, STATUS_STOPPED,
                  "%s: stopped before the atlas was complete, nothing finished is lost; run the same "
                  "command again to go on",
                  reason);
    c->stopping = true;
    c->drop_at = fmin(c->drop_at, clock_now() + grace);
}

/* A second signal while stopping means: at once. */
static void stop_for_signal(struct coordinator *c, int signal) {
    static const double sigterm_grace = 1; /* mpirun kills about 2 s after it has passed on SIGTERM */
    double grace = c->coordination->stop.grace;
    if (grace < 0)
        grace = signal == SIGTERM ? sigterm_grace : INFINITY;
    stop(c, c->signal && c->signal != signal ? 0 : grace, stop_signal_name(signal));
    c->signal = signal;
}

static void look_for_stop_file(struct coordinator *c, double now) {
    const char *file = c->coordination->stop.file;
    if (now - c->file_looked_for < 0.5)
        return;
    c->file_looked_for = now;
    if (unlink(file) == 0)
        stop(c, INFINITY, file);
}

/* While this thread itself stood still, since the job was suspended (Slurm's suspend, Ctrl-Z) or a file system kept it
 * waiting, it heard nobody: that time is nobody's silence. */
static void forgive_own_gap(struct coordinator *c, double now) {
    static const double usual = 1; /* longest time between two looks otherwise */
    double gap = now - c->looked;
    for (int rank = 0; rank < c->cluster->ranks && gap > usual; rank++)
        c->peer[rank].heard += gap;
    c->looked = now;
}

/* A rank that neither goes on nor answers can't be reached any more, so the job ends here. */
static void check_silence(const struct coordinator *c, double now) {
    for (int rank = 0; rank < c->cluster->ranks; rank++) {
        double silent = now - c->peer[rank].heard;
        if (!is_busy(&c->peer[rank]) || silent < c->coordination->stop.silence)
            continue;
        fprintf(stderr,
                "filteratlas: rank %d on %s: no sign of life for %.0f s; what is finished is kept, run the same "
                "command again\n",
                rank, c->cluster->hosts[rank], silent);
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
    }
}

static void check_stop(struct coordinator *c) {
    double now = clock_now();
    if (stop_signal() && stop_signal() != c->signal)
        stop_for_signal(c, stop_signal());
    if (now >= c->coordination->stop.deadline)
        stop(c, 0, "time limit");
    look_for_stop_file(c, now);
    forgive_own_gap(c, now);
    check_silence(c, now);
    if (c->stopping && now >= c->drop_at && !c->status) {
        struct error stopped = c->error;
        call_off(c, STATUS_STOPPED, &stopped);
    }
}

/* Units ---------------------------------------------------------------------------------------------------------- */

/* Whether there is a unit for a rank that would be finished in time. */
static bool next_unit(struct coordinator *c, int rank, struct unit *unit) {
    double margin = 1.1; /* for a unit that takes a little longer than the slowest so far */
    if (!schedule_next(c->coordination->schedule, rank, unit))
        return false;
    if (clock_now() + margin * unit->cost * c->seconds_per_cost < c->coordination->stop.deadline)
        return true;
    stop(c, INFINITY, "time limit");
    return false;
}

static bool is_unpublished(const struct coordinator *c, int layer) {
    return c->coordination->publish[layer] && c->layer[layer].publication == LAYER_UNPUBLISHED;
}

/* Only ranks of rank 0's node see the store. */
static bool may_publish(const struct coordinator *c, int rank) { return c->cluster->leader[rank] == 0; }

/* The next order for a rank; false if it must wait, for a layer to be finished. */
static bool next_order(struct coordinator *c, int rank, struct order *order) {
    bool more = false;
    *order = (struct order){.kind = ORDER_END};
    if (c->status || c->stopping)
        return true;
    for (int l = 0; l < c->drawing->net->layers && may_publish(c, rank); l++) {
        more |= is_unpublished(c, l);
        if (is_unpublished(c, l) && !c->layer[l].filters) {
            c->layer[l].publication = LAYER_IN_WORK;
            *order = (struct order){.kind = ORDER_PUBLISH, .unit.layer = l};
            return true;
        }
    }
    if (next_unit(c, rank, &order->unit))
        order->kind = ORDER_DRAW;
    return order->kind == ORDER_DRAW || c->stopping || !more;
}

static void serve(struct coordinator *c, int rank) {
    static const int states[] = {
        [ORDER_END] = PEER_ENDED, [ORDER_DRAW] = PEER_DRAWING, [ORDER_PUBLISH] = PEER_PUBLISHING};
    struct order order;
    struct peer *peer = &c->peer[rank];
    if (!next_order(c, rank, &order)) {
        peer->state = PEER_WAITING;
        return;
    }
    peer->state = states[order.kind];
    peer->since = peer->heard = clock_now();
    peer->filters = 0;
    text_free(&peer->trace);
    c->active -= order.kind == ORDER_END;
    if (rank == 0)
        mailbox_answer(c->local->mailbox, &order);
    else
        MPI_Send(&order, sizeof order, MPI_BYTE, rank, TAG_ORDER, MPI_COMM_WORLD);
}

/* Something has changed: there may be orders for those that wait. */
static void serve_waiting(struct coordinator *c) {
    for (int rank = 0; rank < c->cluster->ranks; rank++)
        if (c->peer[rank].state == PEER_WAITING)
            serve(c, rank);
}

static int keep_filter(struct coordinator *c, int rank, struct report *report, struct error *error) {
    struct peer *peer = &c->peer[rank];
    const char *layer = c->drawing->net->layer[report->unit.layer].name;
    report->filter.rank = rank;
    int status = STATUS_OK;
    if (!report->filter.dead)
        status = store_put_picture(c->coordination->store, layer, &report->filter,
                                   report->body + report->iterations * sizeof(float), report->png_size, error);
    if (status)
        return status;
    peer->filter[peer->filters++] = report->filter;
    trace_append(&peer->trace, layer, report->filter.index, c->drawing->job->epochs,
                 (const float *)(const void *)report->body, report->iterations);
    c->coordination->progress(c->coordination->context, layer, &report->filter);
    return STATUS_OK;
}

static int commit(struct coordinator *c, int rank, const struct unit *unit, struct error *error) {
    struct peer *peer = &c->peer[rank];
    c->seconds_per_cost = fmax(c->seconds_per_cost, (clock_now() - peer->since) / unit->cost);
    c->layer[unit->layer].filters -= peer->filters;
    return store_commit_unit(c->coordination->store, c->drawing->net->layer[unit->layer].name, unit->index,
                             peer->filter, peer->filters, peer->trace.size ? peer->trace.bytes : NULL, error);
}

static void note_published(struct coordinator *c, const struct report *report) {
    c->layer[report->unit.layer].publication = LAYER_DONE;
    text_append(&c->coordination->lines[report->unit.layer], "%s", report->body);
}

/* Reports -------------------------------------------------------------------------------------------------------- */

static void take_report(struct coordinator *c, int rank, struct report *report) {
    struct error error;
    int status = STATUS_OK;
    c->peer[rank].heard = clock_now();
    switch (report->kind) {
    case REPORT_READY:
        serve(c, rank);
        break;
    case REPORT_FILTER:
        status = c->status ? STATUS_OK : keep_filter(c, rank, report, &error);
        break;
    case REPORT_DONE:
        status = c->status ? STATUS_OK : commit(c, rank, &report->unit, &error);
        break;
    case REPORT_PUBLISHED:
        note_published(c, report);
        break;
    case REPORT_FAILED:
        error = report->error;
        status = error.status;
        break;
    case REPORT_SIGNAL:
        if (report->signal != c->signal)
            stop_for_signal(c, report->signal);
        break;
    case REPORT_ALIVE:
        break;
    }
    if (status)
        call_off(c, status, &error);
    free(report);
}

/* The next report of any rank, NULL if none is there. */
static struct report *poll_reports(struct coordinator *c, int *rank) {
    int arrived, size;
    MPI_Status status;
    *rank = 0;
    struct report *report = mailbox_take(c->local->mailbox);
    if (report)
        return report;
    MPI_Iprobe(MPI_ANY_SOURCE, TAG_REPORT, MPI_COMM_WORLD, &arrived, &status);
    if (!arrived)
        return NULL;
    MPI_Get_count(&status, MPI_BYTE, &size);
    *rank = status.MPI_SOURCE;
    report = malloc((size_t)size);
    if (!report)
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
    MPI_Recv(report, size, MPI_BYTE, *rank, TAG_REPORT, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return report;
}

static void coordinate(struct coordinator *c) {
    while (c->active) {
        int rank;
        check_stop(c);
        serve_waiting(c);
        struct report *report = poll_reports(c, &rank);
        if (report) {
            take_report(c, rank, report);
            continue;
        }
        c->coordination->progress(c->coordination->context, NULL, NULL);
        link_pause();
    }
}

static bool is_complete(const struct coordinator *c) {
    for (int l = 0; l < c->drawing->net->layers; l++)
        if (c->layer[l].filters || (c->coordination->publish[l] && c->layer[l].publication != LAYER_DONE))
            return false;
    return true;
}

int coordinator_run(const struct cluster *cluster, const struct drawing *drawing,
                    const struct coordination *coordination, struct link *local, struct error *error) {
    struct coordinator c = {.cluster = cluster,
                            .drawing = drawing,
                            .coordination = coordination,
                            .local = local,
                            .active = cluster->ranks,
                            .looked = clock_now(),
                            .drop_at = INFINITY};
    c.peer = calloc(cluster->ranks, sizeof *c.peer);
    if (!c.peer) {
        fprintf(stderr, "filteratlas: rank 0: out of memory; use fewer ranks on its node\n");
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for units by now */
    }
    const struct unit_list *list = coordination->schedule->list;
    for (int u = 0; u < list->count; u++)
        c.layer[list->unit[u].layer].filters += __builtin_popcountll(list->unit[u].wanted);
    coordinate(&c);
    if (!c.status && c.stopping && !is_complete(&c))
        c.status = STATUS_STOPPED;
    for (int rank = 0; rank < cluster->ranks; rank++)
        text_free(&c.peer[rank].trace);
    free(c.peer);
    *error = c.error;
    return c.status;
}
