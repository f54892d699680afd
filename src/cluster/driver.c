#include "driver.h"

#include "committer.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/text.h"
#include "filteratlas/cluster/coordinator.h"
#include "filteratlas/cluster/stop.h"
#include "tags.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* What has come in of the unit that a rank draws. */
struct incoming {
    struct report *first, *last;
    size_t bytes;
};

struct driver {
    const struct cluster *cluster;
    const struct drawing *drawing;
    const struct coordination *coordination;
    struct link *local;
    struct coordinator *coordinator;
    struct committer *committer;
    struct incoming *incoming; /* [ranks] */
    double now;
    int signal;             /* the last one told */
    double file_looked_for; /* when */
    bool file_taken;        /* the run stops for it */
    double beaten;          /* when rank 0's own sign of life was given */
    bool drawn;             /* nothing is left but the files of all layers */
    bool over;
};

/* Actions -------------------------------------------------------------------------------------------------------- */

static void drop_incoming(struct incoming *incoming) {
    report_free_all(incoming->first);
    *incoming = (struct incoming){0};
}

static void send_order(struct driver *d, int rank, const struct order *order) {
    if (order->kind == ORDER_DRAW)
        drop_incoming(&d->incoming[rank]);
    if (order->kind == ORDER_TABLES) {
        d->drawn = true;
        d->coordination->drawn(d->coordination->context);
    }
    if (rank)
        MPI_Send(order, sizeof *order, MPI_BYTE, rank, TAG_ORDER, MPI_COMM_WORLD);
    else if (order->kind != ORDER_HEARD)
        link_order(d->local, order);
}

/* Without memory for a commit the job can't go on, nor say more than that. */
static void no_memory(const char *what) {
    fprintf(stderr, "filteratlas: rank 0: out of memory: %s; use fewer ranks on its node\n", what);
    MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
}

static void commit(struct driver *d, int rank, const struct unit *unit) {
    struct commit *commit = calloc(1, sizeof *commit);
    struct incoming *incoming = &d->incoming[rank];
    if (!commit) {
        no_memory("a commit");
        return;
    }
    *commit = (struct commit){.unit = *unit, .rank = rank, .pictures = incoming->first, .bytes = incoming->bytes};
    *incoming = (struct incoming){0};
    committer_add(d->committer, commit);
}

static void end_all(struct driver *d) {
    struct error error;
    coordinator_end(d->coordinator, &error);
    fprintf(stderr, "filteratlas: %s\n", error.message);
    MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
}

static void carry_out(struct driver *d, const struct action *action) {
    switch (action->kind) {
    case ACTION_ORDER:
        send_order(d, action->rank, &action->order);
        break;
    case ACTION_COMMIT:
        commit(d, action->rank, &action->order.unit);
        break;
    case ACTION_SAY:
        d->coordination->say(d->coordination->context, coordinator_line(d->coordinator));
        break;
    case ACTION_ABORT:
        end_all(d);
        break;
    case ACTION_END:
        d->over = true;
        break;
    }
}

static void feed(struct driver *d, const struct event *event) {
    if (d->over)
        return;
    const struct actions *actions = coordinator_step(d->coordinator, event, d->now);
    for (int a = 0; a < actions->count; a++)
        carry_out(d, &actions->action[a]);
}

/* Events --------------------------------------------------------------------------------------------------------- */

static void keep_picture(struct driver *d, int rank, struct report *report) {
    struct incoming *incoming = &d->incoming[rank];
    report->next = NULL;
    if (incoming->first)
        incoming->last->next = report;
    else
        incoming->first = report;
    incoming->last = report;
    incoming->bytes += report->size;
    report->filter.rank = rank;
    d->coordination->progress(d->coordination->context, report->unit.layer, &report->filter);
}

static void take_report(struct driver *d, int rank, struct report *report) {
    const struct event event = {.kind = report->kind,
                                .rank = rank,
                                .filter = report->filter.index,
                                .bytes = report->size,
                                .seconds_per_cost = report->seconds_per_cost,
                                .waited = report->waited,
                                .progress = report->progress,
                                .signal = report->signal,
                                .error = &report->error};
    if (report->kind == EVENT_PUBLISHED && report->size)
        text_append(&d->coordination->lines[report->unit.layer], "%s", report->body);
    feed(d, &event);
    if (report->kind == EVENT_FILTER)
        keep_picture(d, rank, report);
    else
        free(report);
}

static bool take_local(struct driver *d) {
    struct report *report = link_take(d->local);
    if (report)
        take_report(d, 0, report);
    return report;
}

static bool take_remote(struct driver *d) {
    int arrived, size;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, TAG_REPORT, MPI_COMM_WORLD, &arrived, &status);
    if (!arrived)
        return false;
    MPI_Get_count(&status, MPI_BYTE, &size);
    struct report *report = malloc((size_t)size);
    if (!report) {
        no_memory("a picture");
        return false;
    }
    MPI_Recv(report, size, MPI_BYTE, status.MPI_SOURCE, TAG_REPORT, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    take_report(d, status.MPI_SOURCE, report);
    return true;
}

static bool take_commit(struct driver *d) {
    struct commit *commit = committer_take(d->committer);
    if (!commit)
        return false;
    feed(d, &(struct event){.kind = commit->status ? EVENT_COMMIT_FAILED : EVENT_COMMITTED,
                            .unit = commit->unit,
                            .bytes = commit->bytes,
                            .waited = d->now - commit->since,
                            .error = &commit->error});
    commit_free(commit);
    return true;
}

static void look_for_signal(struct driver *d) {
    if (stop_signal() == d->signal)
        return;
    d->signal = stop_signal();
    feed(d, &(struct event){.kind = EVENT_SIGNAL, .signal = d->signal});
}

static void look_for_stop_file(struct driver *d) {
    static const double every = 0.5;
    if (d->file_taken || d->now - d->file_looked_for < every)
        return;
    d->file_looked_for = d->now;
    d->file_taken = stop_take_file(d->coordination->stop.file);
    if (d->file_taken)
        feed(d, &(struct event){.kind = EVENT_STOP_FILE});
}

/* Rank 0's drawing thread has no relay to speak for it. */
static void beat(struct driver *d) {
    static const double every = 1;
    if (d->now - d->beaten < every)
        return;
    d->beaten = d->now;
    feed(d, &(struct event){.kind = EVENT_ALIVE, .progress = link_progress(d->local)});
}

static void drive(struct driver *d) {
    double last = d->now = clock_now();
    while (!d->over) {
        d->now = clock_now();
        look_for_signal(d);
        look_for_stop_file(d);
        beat(d);
        bool moved = take_local(d);
        moved |= take_remote(d);
        moved |= take_commit(d);
        if (moved) {
            last = d->now;
            continue;
        }
        feed(d, &(struct event){.kind = EVENT_TIME});
        if (!d->drawn)
            d->coordination->progress(d->coordination->context, 0, NULL);
        link_pause(d->now - last);
    }
}

static int prepare(struct driver *d, struct error *error) {
    const struct coordination *coordination = d->coordination;
    struct coordinator_job job = {.stop = coordination->stop,
                                  .schedule = coordination->schedule,
                                  .layers = d->drawing->layers->count,
                                  .publish = coordination->publish,
                                  .tables = true,
                                  .queue_bytes = coordination->queue_bytes,
                                  .leader = d->cluster->leader,
                                  .hosts = d->cluster->hosts};
    d->incoming = calloc((size_t)d->cluster->ranks, sizeof *d->incoming);
    if (!d->incoming)
        return error_memory(error, (double)d->cluster->ranks * sizeof *d->incoming, "the ranks");
    int status = coordinator_make(&job, clock_now(), &d->coordinator, error);
    if (!status)
        status =
            committer_start(coordination->store, d->drawing->layers, d->drawing->job->epochs, &d->committer, error);
    return status;
}

int driver_run(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct link *local, struct error *error) {
    struct driver d = {.cluster = cluster, .drawing = drawing, .coordination = coordination, .local = local};
    if (prepare(&d, error)) {
        fprintf(stderr, "filteratlas: rank 0 on %s: %s\n", cluster->host, error->message);
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for orders by now */
    }
    drive(&d);
    committer_end(d.committer);
    int status = coordinator_end(d.coordinator, error);
    *coordination->account = coordinator_account(d.coordinator);
    for (int rank = 0; rank < cluster->ranks; rank++)
        drop_incoming(&d.incoming[rank]);
    free(d.incoming);
    coordinator_free(d.coordinator);
    return status;
}
