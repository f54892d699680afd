#include "filteratlas/cluster/coordinator.h"
#include "awake.h"
#include "filteratlas/cluster/stop.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum peer_state {
    PEER_STARTING,
    PEER_DRAWING,
    PEER_PUBLISHING,
    PEER_ANSWERED, /* is done with its order and will ask for the next */
    PEER_WAITING,
    PEER_ENDING,
    PEER_ENDED
};

/* What is known of a rank and of what it is doing. Times are those that rank 0 was awake. */
struct peer {
    enum peer_state state;
    struct unit unit;  /* that it draws or publishes */
    bool tables;       /* or that it makes the tables */
    uint64_t received; /* filters of the unit that have come in */
    size_t bytes;      /* of these */
    bool dead;         /* one of them is: the unit says nothing about the rank's speed */
    double since;      /* when the order was given, or when it began to wait */
    double heard;      /* when anything came from it */
    double moved;      /* when its work last got on */
    uint64_t progress;
    double trial;            /* seconds per cost that it has found at the start, 0: unknown */
    double seconds_per_cost; /* of its slowest unit so far, 0: none yet */
};

/* What is left to do for a layer. */
struct layer_state {
    int filters; /* that are not committed */
    enum { LAYER_UNPUBLISHED, LAYER_IN_WORK, LAYER_DONE } publication;
};

struct coordinator {
    struct coordinator_job job;
    int ranks;
    struct peer *peer;         /* [ranks] */
    struct layer_state *layer; /* [job.layers] */
    enum { TABLES_UNPUBLISHED, TABLES_IN_WORK, TABLES_DONE } tables;
    struct actions actions;
    double now;
    struct awake awake;
    double silence_looked_for; /* awake */
    int waiting, ended;        /* ranks in these states */
    bool news;                 /* there may be orders for ranks that wait */
    bool all_out;              /* every unit is handed out */
    int commits;               /* that have not come back */
    size_t queued;             /* bytes that have come in and are not committed */
    int signal;                /* the last one acted on */
    bool stopping;             /* nothing more is handed out */
    double drop_at;            /* while stopping, when units in flight are called off */
    double give_up_at;         /* when commits are */
    bool called_off;           /* ranks that draw have been told to cancel */
    bool files_called_off;     /* ranks that publish have */
    bool abandoned;            /* nothing is committed any more */
    bool ending, over;
    char line[96];
    double abort_at; /* a rank is lost; INFINITY: none is */
    int status;      /* the first failure */
    struct error error;
    struct coordinator_account account;
};

/* Whether it is the rank's turn, not the coordinator's. */
static bool is_busy(const struct peer *peer) { return peer->state <= PEER_ANSWERED; }

static bool disk_is_behind(const struct coordinator *c) { return c->queued >= c->job.queue_bytes; }

/* Actions -------------------------------------------------------------------------------------------------------- */

static struct action *act(struct coordinator *c, enum action_kind kind, int rank) {
    assert(c->actions.count < c->actions.capacity);
    struct action *action = &c->actions.action[c->actions.count++];
    *action = (struct action){.kind = kind, .rank = rank};
    return action;
}

static void order(struct coordinator *c, int rank, enum order_kind kind) {
    struct action *action = act(c, ACTION_ORDER, rank);
    action->order.kind = kind;
    if (kind == ORDER_DRAW || kind == ORDER_PUBLISH)
        action->order.unit = c->peer[rank].unit;
}

static void set_state(struct coordinator *c, int rank, enum peer_state state) {
    struct peer *peer = &c->peer[rank];
    c->waiting += (state == PEER_WAITING) - (peer->state == PEER_WAITING);
    c->ended += (state == PEER_ENDED) - (peer->state == PEER_ENDED);
    peer->state = state;
    peer->since = peer->moved = c->awake.seconds;
}

/* Stopping ------------------------------------------------------------------------------------------------------- */

/* Only ranks that work on something can be told; one that has not asked yet will find that nothing is left. */
static void cancel(struct coordinator *c, enum peer_state state) {
    for (int rank = 0; rank < c->ranks; rank++)
        if (c->peer[rank].state == state)
            order(c, rank, ORDER_CANCEL);
}

/* The next run makes layers' files anew, whatever was done of them. */
static void call_off_files(struct coordinator *c) {
    if (!c->files_called_off)
        cancel(c, PEER_PUBLISHING);
    c->files_called_off = true;
}

static void call_off(struct coordinator *c) {
    call_off_files(c);
    if (c->called_off)
        return;
    c->called_off = true;
    cancel(c, PEER_STARTING);
    cancel(c, PEER_DRAWING);
}

/* Notes the first failure and calls off what the ranks are doing. */
static void fail(struct coordinator *c, const struct error *error) {
    if (!c->status)
        c->error = *error;
    if (!c->status)
        c->status = error->status;
    call_off(c);
}

/* From now on nothing is handed out; units in flight may go on for `grace` seconds. The first reason is kept, and a
 * failure comes before it: then it is only the disk that is waited for no longer. */
static void stop(struct coordinator *c, double grace, double give_up_at, const char *reason) {
    if (!c->stopping && !c->status)
        stop_error(reason, &c->error);
    c->stopping = true;
    c->drop_at = fmin(c->drop_at, c->now + grace);
    c->give_up_at = fmin(c->give_up_at, give_up_at);
}

/* Either no unit would be finished in time, or it is time. */
static void stop_at_deadline(struct coordinator *c, double grace) { stop(c, grace, c->job.stop.limit, "time limit"); }

/* A second signal while stopping means: at once. What was drawn is still committed, if the disk takes it soon. */
static void stop_for_signal(struct coordinator *c, int signal) {
    static const double commit_grace = 0.5;
    double grace = c->job.stop.grace;
    if (signal == c->signal)
        return;
    if (grace < 0)
        grace = stop_signal_grace(signal);
    if (c->signal)
        grace = 0;
    c->signal = signal;
    call_off_files(c);
    stop(c, grace, c->now + grace + commit_grace, stop_signal_name(signal));
}

static void stop_for_file(struct coordinator *c) {
    call_off_files(c);
    stop(c, INFINITY, INFINITY, c->job.stop.file);
}

static const char *host(const struct coordinator *c, int rank) {
    return c->job.hosts ? c->job.hosts[rank] : "its host";
}

/* A rank that neither goes on nor answers can't be reached any more, so the job ends here, as soon as what has come in
 * is on the disk. */
static void lose(struct coordinator *c, int rank, double seconds, const char *what) {
    static const double commit_grace = 1;
    struct error error;
    error_set(&error, STATUS_FAILURE,
              "rank %d on %s: %s for %.0f s; what is finished is kept, run the same command again", rank, host(c, rank),
              what, seconds);
    c->abort_at = c->now + commit_grace;
    fail(c, &error);
}

static void check_silence(struct coordinator *c) {
    static const double every = 0.1;
    double awake = c->awake.seconds, silence = c->job.stop.silence;
    if (silence == INFINITY || awake - c->silence_looked_for < every)
        return;
    c->silence_looked_for = awake;
    for (int rank = 0; rank < c->ranks && c->abort_at == INFINITY; rank++) {
        const struct peer *peer = &c->peer[rank];
        if (peer->state == PEER_ENDED)
            continue;
        if (awake - peer->heard >= silence)
            lose(c, rank, awake - peer->heard, "no sign of life");
        else if (is_busy(peer) && awake - peer->moved >= silence)
            lose(c, rank, awake - peer->moved, "answers, but its work has not got on");
    }
}

static bool is_drawn(const struct coordinator *c) {
    for (int l = 0; l < c->job.layers; l++)
        if (c->layer[l].filters)
            return false;
    return true;
}

/* Once all is drawn and committed, the files may take what time there is. */
static void check_time(struct coordinator *c) {
    if (c->now >= (is_drawn(c) ? c->job.stop.limit : c->job.stop.deadline))
        stop_at_deadline(c, 0);
    if (c->stopping && c->now >= c->drop_at)
        call_off(c);
    if (c->stopping && c->now >= c->give_up_at)
        c->abandoned = true;
    check_silence(c);
}

/* Orders --------------------------------------------------------------------------------------------------------- */

/* Seconds for a nominal one, as far as they are known of this rank. */
static double speed(const struct peer *peer) {
    return peer->seconds_per_cost > 0 ? peer->seconds_per_cost : peer->trial;
}

/* Whether a unit begun now would be drawn and committed in time. */
static bool is_in_time(const struct coordinator *c, int rank, const struct unit *unit) {
    static const double margin = 1.1; /* for a unit that takes a little longer than the slowest so far */
    double drawn = c->now + margin * unit->cost * speed(&c->peer[rank]);
    return drawn < c->job.stop.deadline && drawn + c->account.commit < c->job.stop.limit;
}

static bool next_unit(struct coordinator *c, int rank) {
    struct unit *unit = &c->peer[rank].unit;
    if (c->all_out || disk_is_behind(c))
        return false;
    c->all_out = !schedule_next(c->job.schedule, rank, unit);
    if (c->all_out)
        return false;
    if (is_in_time(c, rank, unit))
        return true;
    stop_at_deadline(c, INFINITY);
    return false;
}

static bool is_unpublished(const struct coordinator *c, int layer) {
    return c->job.publish && c->job.publish[layer] && c->layer[layer].publication == LAYER_UNPUBLISHED;
}

/* Only ranks of rank 0's node see the store. */
static bool may_publish(const struct coordinator *c, int rank) { return c->job.leader[rank] == 0; }

static bool next_layer(struct coordinator *c, int rank) {
    for (int l = 0; l < c->job.layers && may_publish(c, rank); l++)
        if (is_unpublished(c, l) && !c->layer[l].filters) {
            c->layer[l].publication = LAYER_IN_WORK;
            c->peer[rank].unit = (struct unit){.layer = l};
            return true;
        }
    return false;
}

static bool layers_are_complete(const struct coordinator *c) {
    for (int l = 0; l < c->job.layers; l++)
        if (c->layer[l].filters || (c->job.publish && c->job.publish[l] && c->layer[l].publication != LAYER_DONE))
            return false;
    return true;
}

static bool next_tables(struct coordinator *c, int rank) {
    if (rank || !c->job.tables || c->tables != TABLES_UNPUBLISHED || !layers_are_complete(c))
        return false;
    c->tables = TABLES_IN_WORK;
    return true;
}

static void begin(struct coordinator *c, int rank, enum order_kind kind) {
    struct peer *peer = &c->peer[rank];
    set_state(c, rank, kind == ORDER_DRAW ? PEER_DRAWING : PEER_PUBLISHING);
    peer->tables = kind == ORDER_TABLES;
    peer->received = 0;
    peer->bytes = 0;
    peer->dead = false;
    order(c, rank, kind);
}

/* Gives a rank that waits its next order, if there is one. */
static void serve(struct coordinator *c, int rank) {
    if (c->status || c->stopping)
        return;
    if (next_layer(c, rank))
        begin(c, rank, ORDER_PUBLISH);
    else if (next_unit(c, rank))
        begin(c, rank, ORDER_DRAW);
    else if (next_tables(c, rank))
        begin(c, rank, ORDER_TABLES);
}

static void serve_waiting(struct coordinator *c) {
    for (int rank = 0; rank < c->ranks && c->news && c->waiting; rank++)
        if (c->peer[rank].state == PEER_WAITING)
            serve(c, rank);
    c->news = false;
}

/* Reports -------------------------------------------------------------------------------------------------------- */

static void protocol_broken(struct coordinator *c, int rank, const char *what) {
    struct error error;
    error_set(&error, STATUS_FAILURE, "rank %d on %s: %s; use the same build of filteratlas on all nodes", rank,
              host(c, rank), what);
    fail(c, &error);
}

static void take_ready(struct coordinator *c, int rank, const struct event *event) {
    struct peer *peer = &c->peer[rank];
    if (peer->state != PEER_STARTING && peer->state != PEER_ANSWERED)
        protocol_broken(c, rank, "asks for work that it has");
    if (peer->state == PEER_STARTING)
        peer->trial = event->seconds_per_cost;
    c->account.waited += event->waited;
    set_state(c, rank, PEER_WAITING);
    serve(c, rank);
}

static void take_filter(struct coordinator *c, int rank, const struct event *event) {
    struct peer *peer = &c->peer[rank];
    int bit = event->filter - peer->unit.index * c->job.schedule->list->batch;
    uint64_t filter = bit >= 0 && bit < ASCENT_MAX_BATCH ? (uint64_t)1 << bit : 0;
    if (peer->state != PEER_DRAWING || !(peer->unit.wanted & filter & ~peer->received)) {
        protocol_broken(c, rank, "sends a filter that it was not to draw");
        return;
    }
    peer->moved = c->awake.seconds;
    peer->received |= filter;
    peer->bytes += event->bytes;
    peer->dead |= !event->bytes;
    c->queued += event->bytes;
    c->account.most = c->queued > c->account.most ? c->queued : c->account.most;
}

/* Pictures that came in and will not be committed. */
static void forget_pictures(struct coordinator *c, struct peer *peer) {
    c->queued -= peer->bytes;
    peer->bytes = 0;
}

static void take_done(struct coordinator *c, int rank) {
    struct peer *peer = &c->peer[rank];
    bool is_whole = peer->state == PEER_DRAWING && peer->received == peer->unit.wanted;
    if (!is_whole)
        protocol_broken(c, rank, "has done a unit without all its filters");
    if (!peer->dead)
        peer->seconds_per_cost =
            fmax(peer->seconds_per_cost, (c->awake.seconds - peer->since) / fmax(peer->unit.cost, 1e-9));
    set_state(c, rank, PEER_ANSWERED);
    if (c->abandoned || !is_whole) {
        forget_pictures(c, peer);
        return;
    }
    c->commits++;
    c->account.commits++;
    act(c, ACTION_COMMIT, rank)->order.unit = peer->unit;
}

static void take_published(struct coordinator *c, int rank) {
    struct peer *peer = &c->peer[rank];
    if (peer->state != PEER_PUBLISHING)
        protocol_broken(c, rank, "has published what it was not to");
    else if (peer->tables)
        c->tables = TABLES_DONE;
    else
        c->layer[peer->unit.layer].publication = LAYER_DONE;
    set_state(c, rank, PEER_ANSWERED);
    c->news = true;
}

/* A rank that was told to cancel, or told by its own clock or a signal, says STATUS_STOPPED: that is no failure. */
static void take_failed(struct coordinator *c, int rank, const struct error *reason) {
    struct peer *peer = &c->peer[rank];
    struct error error = *reason;
    bool is_asked = peer->state == PEER_PUBLISHING ? c->files_called_off : c->called_off;
    if (peer->state == PEER_DRAWING)
        forget_pictures(c, peer);
    set_state(c, rank, PEER_ANSWERED);
    if (is_asked && reason->status == STATUS_STOPPED)
        return;
    if (rank)
        error_set(&error, reason->status, "rank %d on %s: %s", rank, host(c, rank), reason->message);
    fail(c, &error);
}

static void take_alive(struct coordinator *c, int rank, uint64_t progress) {
    struct peer *peer = &c->peer[rank];
    if (progress != peer->progress)
        peer->moved = c->awake.seconds;
    peer->progress = progress;
    if (peer->state < PEER_ENDING)
        order(c, rank, ORDER_HEARD);
}

static void take_commit(struct coordinator *c, const struct event *event) {
    struct layer_state *layer = &c->layer[event->unit.layer];
    bool was_behind = disk_is_behind(c);
    c->commits--;
    c->queued -= event->bytes;
    if (event->kind == EVENT_COMMIT_FAILED) {
        c->abandoned = true;
        fail(c, event->error);
        return;
    }
    layer->filters -= __builtin_popcountll(event->unit.wanted);
    c->account.commit = fmax(c->account.commit, event->waited);
    c->news = was_behind || !layer->filters;
}

static void take(struct coordinator *c, const struct event *event) {
    int rank = event->rank;
    if (event->kind >= EVENT_READY && event->kind <= EVENT_ENDED)
        c->peer[rank].heard = c->awake.seconds;
    switch (event->kind) {
    case EVENT_TIME:
        break;
    case EVENT_READY:
        take_ready(c, rank, event);
        break;
    case EVENT_FILTER:
        take_filter(c, rank, event);
        break;
    case EVENT_DONE:
        take_done(c, rank);
        break;
    case EVENT_PUBLISHED:
        take_published(c, rank);
        break;
    case EVENT_FAILED:
        take_failed(c, rank, event->error);
        break;
    case EVENT_ALIVE:
        take_alive(c, rank, event->progress);
        break;
    case EVENT_ENDED:
        set_state(c, rank, PEER_ENDED);
        break;
    case EVENT_SIGNAL:
        stop_for_signal(c, event->signal);
        break;
    case EVENT_STOP_FILE:
        stop_for_file(c);
        break;
    case EVENT_COMMITTED:
    case EVENT_COMMIT_FAILED:
        take_commit(c, event);
        break;
    }
}

/* The whole ------------------------------------------------------------------------------------------------------ */

static bool is_complete(const struct coordinator *c) {
    return layers_are_complete(c) && (!c->job.tables || c->tables == TABLES_DONE);
}

static bool disk_is_done(const struct coordinator *c) { return !c->commits || c->abandoned; }

static void end_ranks(struct coordinator *c) {
    c->ending = true;
    for (int rank = 0; rank < c->ranks; rank++) {
        set_state(c, rank, PEER_ENDING);
        order(c, rank, ORDER_END);
    }
}

static void end_if_over(struct coordinator *c) {
    bool nothing_left = c->status || c->stopping || is_complete(c);
    if (!c->ending && nothing_left && c->waiting == c->ranks && disk_is_done(c))
        end_ranks(c);
    if (c->ended == c->ranks) {
        c->over = true;
        act(c, ACTION_END, 0);
    } else if (c->abort_at < INFINITY && (disk_is_done(c) || c->now >= c->abort_at)) {
        c->over = true;
        act(c, ACTION_ABORT, 0);
    }
}

static void pass_time(struct coordinator *c, double time) {
    static const double worth_saying = 10;
    double before = c->awake.seconds, lost = awake_look(&c->awake, time);
    c->now = time;
    if (disk_is_behind(c) && !c->stopping)
        c->account.held += c->waiting * (c->awake.seconds - before);
    if (lost < worth_saying)
        return;
    snprintf(c->line, sizeof c->line, "stood still for %.0f s; going on", lost);
    act(c, ACTION_SAY, 0);
}

const struct actions *coordinator_step(struct coordinator *c, const struct event *event, double time) {
    assert(!c->over);
    c->actions.count = 0;
    pass_time(c, time);
    take(c, event);
    check_time(c);
    serve_waiting(c);
    end_if_over(c);
    return &c->actions;
}

int coordinator_make(const struct coordinator_job *job, double time, struct coordinator **coordinator,
                     struct error *error) {
    struct coordinator *c = *coordinator = calloc(1, sizeof *c);
    if (!c)
        return error_memory(error, sizeof *c, "the coordinator");
    *c = (struct coordinator){.job = *job,
                              .ranks = job->schedule->ranks,
                              .now = time,
                              .awake = {.looked = time, .most = job->stop.silence < INFINITY ? AWAKE_MOST : INFINITY},
                              .drop_at = INFINITY,
                              .give_up_at = INFINITY,
                              .abort_at = INFINITY};
    c->actions.capacity = 2 * c->ranks + 8; /* a cancel and an order or an end for each */
    c->actions.action = malloc((size_t)c->actions.capacity * sizeof *c->actions.action);
    c->peer = calloc((size_t)c->ranks, sizeof *c->peer);
    c->layer = calloc((size_t)job->layers + 1, sizeof *c->layer);
    if (!c->actions.action || !c->peer || !c->layer)
        return error_memory(error, (double)c->ranks * (sizeof *c->peer + 2 * sizeof *c->actions.action), "the ranks");
    const struct unit_list *list = job->schedule->list;
    for (int u = 0; u < list->count; u++)
        c->layer[list->unit[u].layer].filters += __builtin_popcountll(list->unit[u].wanted);
    return STATUS_OK;
}

void coordinator_free(struct coordinator *c) {
    if (!c)
        return;
    free(c->actions.action);
    free(c->peer);
    free(c->layer);
    free(c);
}

int coordinator_end(const struct coordinator *c, struct error *error) {
    *error = c->error;
    if (c->status)
        return c->status;
    return is_complete(c) ? STATUS_OK : STATUS_STOPPED;
}

const char *coordinator_line(const struct coordinator *c) { return c->line; }

struct coordinator_account coordinator_account(const struct coordinator *c) {
    return c->account;
}
