#include "filteratlas/distribute.h"

#include "filteratlas/text.h"
#include "link.h"
#include "worker.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* What has come in of the unit a rank is drawing. */
struct pending {
    struct store_filter filter[SCHEDULE_MAX_BATCH];
    int filters;
    struct text trace;
    bool drawing;
};

struct coordinator {
    const struct cluster *cluster;
    const struct drawing *drawing;
    const struct coordination *coordination;
    struct pending *pending; /* [ranks] */
    struct link *local;      /* rank 0's own drawing thread */
    int active;              /* ranks that have not been told to end */
    int status;              /* the first failure; then nothing more is handed out or kept */
    struct error error;
};

static void answer(struct coordinator *c, int rank, const struct unit *unit) {
    static const struct unit none = {.layer = -1};
    c->pending[rank].drawing = unit != NULL;
    c->active -= unit == NULL;
    unit = unit ? unit : &none;
    if (rank == 0)
        mailbox_answer(c->local->mailbox, unit);
    else
        MPI_Send(unit, sizeof *unit, MPI_BYTE, rank, TAG_UNIT, MPI_COMM_WORLD);
}

/* Notes the first failure and calls off what the ranks are drawing. */
static void call_off(struct coordinator *c, int status, const struct error *error) {
    if (c->status)
        return;
    c->status = status;
    c->error = *error;
    atomic_store(&c->local->cancelled, true);
    for (int rank = 1; rank < c->cluster->ranks; rank++)
        if (c->pending[rank].drawing)
            MPI_Send(NULL, 0, MPI_BYTE, rank, TAG_CANCEL, MPI_COMM_WORLD);
}

static void append_trace(const struct coordinator *c, const struct report *report, struct text *trace) {
    const float *loss = (const float *)(const void *)report->body;
    int epochs = c->drawing->job->epochs;
    for (int i = 0; i < report->iterations; i++)
        text_append(trace, "%s,%d,%d,%d,%.9g\n", c->drawing->net->layer[report->unit.layer].name, report->filter.index,
                    i / epochs, i % epochs, loss[i]);
}

static int keep_filter(struct coordinator *c, int rank, struct report *report, struct error *error) {
    struct pending *pending = &c->pending[rank];
    const char *layer = c->drawing->net->layer[report->unit.layer].name;
    report->filter.rank = rank;
    int status = STATUS_OK;
    if (!report->filter.dead)
        status = store_put_picture(c->coordination->store, layer, &report->filter,
                                   report->body + report->iterations * sizeof(float), report->png_size, error);
    if (status)
        return status;
    pending->filter[pending->filters++] = report->filter;
    append_trace(c, report, &pending->trace);
    c->coordination->progress(c->coordination->context, layer, &report->filter);
    return STATUS_OK;
}

static int commit(struct coordinator *c, int rank, const struct unit *unit, struct error *error) {
    struct pending *pending = &c->pending[rank];
    return store_commit_unit(c->coordination->store, c->drawing->net->layer[unit->layer].name, unit->index,
                             pending->filter, pending->filters, pending->trace.size ? pending->trace.bytes : NULL,
                             error);
}

static void take_report(struct coordinator *c, int rank, struct report *report) {
    struct error error;
    int status = STATUS_OK;
    switch (report->kind) {
    case REPORT_READY:
        c->pending[rank].filters = 0;
        text_free(&c->pending[rank].trace);
        answer(c, rank, c->status ? NULL : schedule_next(c->coordination->schedule, rank));
        break;
    case REPORT_FILTER:
        status = c->status ? STATUS_OK : keep_filter(c, rank, report, &error);
        break;
    case REPORT_DONE:
        status = c->status ? STATUS_OK : commit(c, rank, &report->unit, &error);
        break;
    case REPORT_FAILED:
        error = report->error;
        status = error.status;
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
        struct report *report = poll_reports(c, &rank);
        if (report) {
            take_report(c, rank, report);
            continue;
        }
        c->coordination->progress(c->coordination->context, NULL, NULL);
        link_pause();
    }
}

struct drawing_thread {
    const struct drawing *drawing;
    struct link *link;
};

static void *draw_beside(void *context) {
    struct drawing_thread *thread = context;
    worker_run(thread->drawing, thread->link);
    return NULL;
}

static int run_rank_0(struct coordinator *c, struct error *error) {
    struct mailbox mailbox;
    struct link link = {.mailbox = &mailbox};
    struct drawing_thread thread = {c->drawing, &link};
    pthread_t id;
    mailbox_init(&mailbox);
    c->local = &link;
    c->active = c->cluster->ranks;
    c->pending = calloc(c->cluster->ranks, sizeof *c->pending);
    if (!c->pending || pthread_create(&id, NULL, draw_beside, &thread)) {
        fprintf(stderr, "filteratlas: rank 0 has no memory for its drawing thread; use fewer ranks on its node\n");
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for units by now */
    }
    coordinate(c);
    pthread_join(id, NULL);
    free(c->pending);
    mailbox_destroy(&mailbox);
    *error = c->error;
    return c->status;
}

int distribute(const struct cluster *cluster, const struct drawing *drawing, const struct coordination *coordination,
               struct error *error) {
    int status = STATUS_OK;
    if (cluster->rank == 0) {
        struct coordinator coordinator = {.cluster = cluster, .drawing = drawing, .coordination = coordination};
        status = run_rank_0(&coordinator, error);
    } else {
        struct link link = {0};
        worker_run(drawing, &link);
        link_cancelled(&link); /* a cancel may still be under way to a rank that was done by itself */
    }
    return cluster_agree(cluster, status, error);
}
