#include "filteratlas/cluster/simulate.h"

#include "committer.h"
#include "filteratlas/cluster/coordinator.h"

#include <math.h>
#include <stdlib.h>

/* A rank and when it is done with its order. */
struct moment {
    double when;
    int rank;
};

/* A unit on its way to the disk. */
struct pending {
    struct unit unit;
    double since;
};

struct play {
    const struct simulated_run *run;
    struct schedule schedule;
    struct coordinator *coordinator;
    int *leader;         /* [ranks] */
    struct order *order; /* [ranks] that each is at; ORDER_CANCEL before the first */
    struct moment *heap; /* [ranks] of those at work, earliest first */
    int working;
    struct pending *pending; /* [filters of the list] */
    int waiting;             /* of them */
    int batch;               /* the first of them, that are being written */
    double written;          /* when */
    double now;
    double drawn; /* when the last unit came in */
    bool over;
    struct simulation *simulation;
};

/* Ranks at work ---------------------------------------------------------------------------------------------------- */

static bool is_before(const struct moment *a, const struct moment *b) {
    return a->when != b->when ? a->when < b->when : a->rank < b->rank;
}

static void swap(struct moment *a, struct moment *b) {
    struct moment c = *a;
    *a = *b;
    *b = c;
}

static void work_until(struct play *play, int rank, double when) {
    int at = play->working++;
    play->heap[at] = (struct moment){when, rank};
    for (; at && is_before(&play->heap[at], &play->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&play->heap[at], &play->heap[(at - 1) / 2]);
}

static int take_earliest(struct play *play) {
    int rank = play->heap[0].rank;
    play->heap[0] = play->heap[--play->working];
    for (int at = 0, child; (child = 2 * at + 1) < play->working; at = child) {
        child += child + 1 < play->working && is_before(&play->heap[child + 1], &play->heap[child]);
        if (!is_before(&play->heap[child], &play->heap[at]))
            break;
        swap(&play->heap[child], &play->heap[at]);
    }
    return rank;
}

/* The disk --------------------------------------------------------------------------------------------------------- */

static int pictures(const struct unit *unit) { return __builtin_popcountll(unit->wanted); }

static size_t bytes(const struct play *play, const struct unit *unit) {
    return (size_t)(pictures(unit) * play->run->picture_bytes);
}

/* As the committer does it: what has come in by the time the disk is free is written together. */
static void write_batch(struct play *play) {
    if (play->batch || !play->waiting)
        return;
    play->batch = play->waiting < COMMITTER_MOST_UNITS ? play->waiting : COMMITTER_MOST_UNITS;
    play->written = play->now + play->run->commit.batch;
    for (int i = 0; i < play->batch; i++)
        play->written += pictures(&play->pending[i].unit) * play->run->commit.picture;
}

/* Events ----------------------------------------------------------------------------------------------------------- */

static void carry_out(struct play *play, const struct action *action) {
    int rank = action->rank;
    switch (action->kind) {
    case ACTION_ORDER: {
        double seconds =
            action->order.kind == ORDER_DRAW ? play->run->seconds(play->run->context, &action->order.unit) : 0;
        play->order[rank] = action->order;
        play->simulation->busy += seconds;
        play->simulation->pieces += action->order.kind == ORDER_DRAW;
        work_until(play, rank, play->now + seconds);
        break;
    }
    case ACTION_COMMIT:
        play->pending[play->waiting++] = (struct pending){action->order.unit, play->now};
        break;
    default:
        play->over = true;
    }
}

static void feed(struct play *play, const struct event *event) {
    const struct actions *actions = coordinator_step(play->coordinator, event, play->now);
    for (int a = 0; a < actions->count; a++)
        carry_out(play, &actions->action[a]);
    write_batch(play);
}

static void send_unit(struct play *play, int rank, const struct unit *unit) {
    int filters[ASCENT_MAX_BATCH], count = unit_filters(unit, play->run->list->batch, filters);
    for (int i = 0; i < count; i++)
        feed(play,
             &(struct event){
                 .kind = EVENT_FILTER, .rank = rank, .filter = filters[i], .bytes = bytes(play, unit) / (size_t)count});
    feed(play, &(struct event){.kind = EVENT_DONE, .rank = rank});
}

static void finish_order(struct play *play) {
    int rank = take_earliest(play);
    struct order order = play->order[rank];
    if (order.kind == ORDER_DRAW) {
        play->drawn = play->now;
        send_unit(play, rank, &order.unit);
    }
    feed(play, &(struct event){.kind = order.kind == ORDER_END ? EVENT_ENDED : EVENT_READY, .rank = rank});
}

static void finish_batch(struct play *play) {
    int count = play->batch;
    for (int i = 0; i < count; i++) {
        struct pending done = play->pending[i];
        size_t each = bytes(play, &done.unit) / (size_t)pictures(&done.unit);
        feed(play, &(struct event){.kind = EVENT_COMMITTED,
                                   .unit = done.unit,
                                   .bytes = each * (size_t)pictures(&done.unit),
                                   .waited = play->now - done.since});
    }
    play->waiting -= count;
    for (int i = 0; i < play->waiting; i++)
        play->pending[i] = play->pending[count + i];
    play->batch = 0;
    write_batch(play);
}

static void play_on(struct play *play) {
    double free = play->batch ? play->written : INFINITY, done = play->working ? play->heap[0].when : INFINITY;
    play->now = fmin(free, done);
    if (free <= done)
        finish_batch(play);
    else
        finish_order(play);
}

/* The whole -------------------------------------------------------------------------------------------------------- */

static int prepare(struct play *play, struct error *error) {
    const struct unit_list *list = play->run->list;
    size_t ranks = (size_t)play->run->ranks, filters = (size_t)unit_list_filters(list) + 1;
    play->order = malloc(ranks * sizeof *play->order);
    play->heap = malloc(ranks * sizeof *play->heap);
    play->leader = calloc(ranks, sizeof *play->leader);
    play->pending = malloc(filters * sizeof *play->pending);
    if (!play->order || !play->heap || !play->leader || !play->pending)
        return error_memory(error, (double)(ranks * sizeof *play->order + filters * sizeof *play->pending),
                            "the simulation");
    int status = schedule_make(list, play->run->ranks, &play->schedule, error);
    struct coordinator_job job = {
        .stop = {.deadline = INFINITY, .limit = INFINITY, .grace = -1, .silence = INFINITY},
        .schedule = &play->schedule,
        .queue_bytes = COORDINATOR_QUEUE_BYTES,
        .leader = play->leader,
    };
    for (int u = 0; u < list->count; u++)
        job.layers = list->unit[u].layer + 1 > job.layers ? list->unit[u].layer + 1 : job.layers;
    return status ? status : coordinator_make(&job, 0, &play->coordinator, error);
}

int simulate(const struct simulated_run *run, struct simulation *simulation, struct error *error) {
    struct play play = {.run = run, .simulation = simulation};
    *simulation = (struct simulation){0};
    int status = prepare(&play, error);
    for (int rank = 0; rank < run->ranks && !status; rank++) {
        play.order[rank] = (struct order){.kind = ORDER_CANCEL};
        work_until(&play, rank, 0);
    }
    while (!status && !play.over)
        play_on(&play);
    simulation->seconds = play.now;
    if (!status)
        simulation->disk = play.now - play.drawn + coordinator_account(play.coordinator).held / run->ranks;
    coordinator_free(play.coordinator);
    schedule_free(&play.schedule);
    free(play.order);
    free(play.heap);
    free(play.leader);
    free(play.pending);
    return status;
}
