/* What a run promises, held against what the coordinator does. */
#include "world.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const double COMMITS = 0.5; /* seconds that they are given after the end of units in flight */

static bool is_full(const struct world *w, int layer) {
    for (int f = 0; f < w->shelf->filters; f++)
        if (!w->shelf->times[layer][f])
            return false;
    return true;
}

static bool all_is_done(const struct world *w) {
    for (int l = 0; l < w->shelf->layers; l++)
        if (!is_full(w, l) || (w->job.publish[l] && w->published[l] != 1))
            return false;
    return w->tables;
}

/* Seconds that rank 0 has slept through by now. */
static double slept(const struct world *w) {
    const struct trouble *t = &w->trouble;
    double seconds = 0;
    if (t->all_from < w->now)
        seconds += fmin(t->all_to, w->now) - t->all_from + 1;
    if (t->one == 0 && t->one_from < w->now)
        seconds += fmin(t->one_to, w->now) - t->one_from;
    return seconds;
}

/* What messages, looks around and beats take, at most. */
static double slack(const struct world *w) { return 1.5 + 6 * w->trouble.latency; }

static void fall_due(struct world *w, double when) { w->drop_due = fmin(w->drop_due, when); }

/* Events -------------------------------------------------------------------------------------------------------------
 */

static void hear_signal(struct world *w, int signal) {
    double grace = w->job.stop.grace;
    if (signal == w->last_signal)
        return;
    if (grace < 0)
        grace = signal == SIGTERM || signal == SIGHUP ? 0.5 : INFINITY;
    grace = w->last_signal ? 0 : grace;
    fall_due(w, w->now + grace);
    w->give_up = fmin(w->give_up, w->now + grace + COMMITS);
    w->last_signal = signal;
    w->stop_told = fmin(w->stop_told, w->now);
}

static void hear_filter(struct world *w, const struct event *event) {
    int bit = event->filter - w->rank[event->rank].order.unit.index * w->list.batch;
    w->received[event->rank] |= (uint64_t)1 << bit;
    w->incoming[event->rank] += event->bytes;
}

void judge_event(struct world *w, const struct event *event) {
    const struct order *order = &w->rank[event->rank].order;
    switch (event->kind) {
    case EVENT_FILTER:
        hear_filter(w, event);
        break;
    case EVENT_FAILED:
        w->failure_told |= event->error->status != STATUS_STOPPED;
        w->incoming[event->rank] = 0;
        break;
    case EVENT_COMMIT_FAILED:
        w->failure_told = w->disk_told = true;
        w->queued -= event->bytes;
        break;
    case EVENT_COMMITTED:
        w->queued -= event->bytes;
        w->left -= __builtin_popcountll(event->unit.wanted);
        break;
    case EVENT_PUBLISHED:
        if (order->kind == ORDER_TABLES)
            w->tables = true;
        else
            w->published[order->unit.layer] = true;
        break;
    case EVENT_SIGNAL:
        hear_signal(w, event->signal);
        break;
    case EVENT_STOP_FILE:
        w->stop_told = fmin(w->stop_told, w->now);
        break;
    default:
        break;
    }
    if (w->now >= (w->left ? w->job.stop.deadline : w->job.stop.limit)) {
        fall_due(w, w->now);
        w->give_up = fmin(w->give_up, w->job.stop.limit);
        w->stop_told = fmin(w->stop_told, w->now);
    }
}

/* Actions ------------------------------------------------------------------------------------------------------------
 */

static int find_unit(const struct world *w, const struct unit *unit) {
    for (int u = 0; u < w->list.count; u++)
        if (w->list.unit[u].layer == unit->layer && w->list.unit[u].index == unit->index)
            return u;
    return -1;
}

static bool may_hand_out(struct world *w, int rank, const char *what) {
    if (w->stop_told < w->now || w->failure_told)
        world_wrong(w, "%s is handed out to rank %d after the end was due", what, rank);
    return !*w->wrong;
}

static void judge_draw(struct world *w, int rank, const struct unit *unit) {
    const struct rank *r = &w->rank[rank];
    int u = find_unit(w, unit);
    if (!may_hand_out(w, rank, "a unit"))
        return;
    if (u < 0 || !unit->wanted || unit->wanted & ~w->list.unit[u].wanted)
        world_wrong(w, "rank %d is to draw what nobody wants", rank);
    else if (unit->wanted & w->handed[u])
        world_wrong(w, "rank %d is to draw what another does", rank);
    else if (w->queued >= w->job.queue_bytes)
        world_wrong(w, "rank %d is to draw while %zu bytes wait for the disk", rank, w->queued);
    else if (r->trial > 0 && w->now + 0.7 * unit->cost * r->speed >= w->job.stop.deadline)
        world_wrong(w, "rank %d begins what can't be finished by the deadline", rank);
    if (u >= 0)
        w->handed[u] |= unit->wanted;
}

static void judge_publish(struct world *w, int rank, int layer) {
    may_hand_out(w, rank, "a layer");
    if (w->leader[rank] || !w->job.publish[layer])
        world_wrong(w, "rank %d is to publish layer %d", rank, layer);
    else if (!is_full(w, layer))
        world_wrong(w, "layer %d is published before all of it is committed", layer);
    else if (w->ordered[layer])
        world_wrong(w, "layer %d is published again", layer);
    w->ordered[layer] = true;
}

static void judge_tables(struct world *w, int rank) {
    may_hand_out(w, rank, "the tables");
    for (int l = 0; l < w->shelf->layers; l++)
        if (!is_full(w, l) || (w->job.publish[l] && !w->published[l]))
            world_wrong(w, "tables before layer %d is complete", l);
    if (rank || w->tables)
        world_wrong(w, "tables again, or by rank %d", rank);
}

static void judge_cancel(struct world *w, int rank) {
    struct error ignored;
    bool fails = w->failure_told || coordinator_end(w->coordinator, &ignored) == STATUS_FAILURE;
    bool draws = w->rank[rank].state != RANK_WORKING || w->rank[rank].order.kind == ORDER_DRAW;
    if (fails || w->now >= w->drop_due - 1e-6 || (w->stop_told <= w->now && !draws))
        return;
    /* An order to publish may be on its way still. */
    if (w->stop_told <= w->now && w->rank[rank].state == RANK_ASKING)
        return;
    world_wrong(w, "rank %d is called off before its time", rank);
}

static void judge_commit(struct world *w, int rank, const struct unit *unit) {
    if (unit->wanted != w->received[rank] || !unit->wanted)
        world_wrong(w, "a commit of rank %d is not what came in", rank);
    w->queued += w->incoming[rank];
}

void judge_action(struct world *w, const struct action *action) {
    int rank = action->rank;
    if (action->kind == ACTION_COMMIT)
        judge_commit(w, rank, &action->order.unit);
    if (action->kind != ACTION_ORDER)
        return;
    switch (action->order.kind) {
    case ORDER_DRAW:
        judge_draw(w, rank, &action->order.unit);
        break;
    case ORDER_PUBLISH:
        judge_publish(w, rank, action->order.unit.layer);
        break;
    case ORDER_TABLES:
        judge_tables(w, rank);
        break;
    case ORDER_CANCEL:
        judge_cancel(w, rank);
        break;
    default:
        break;
    }
}

/* The end ------------------------------------------------------------------------------------------------------------
 */

static bool names_a_reason(const char *message) {
    return strstr(message, "SIG") == message || strstr(message, "stop:") == message ||
           strstr(message, "time limit") == message;
}

static void judge_status(struct world *w) {
    bool complete = all_is_done(w);
    if (w->status == STATUS_OK && !complete)
        world_wrong(w, "status 0, but not all is drawn and published");
    else if (w->status == STATUS_OK && w->failure_told)
        world_wrong(w, "status 0 after a failure");
    else if (w->status == STATUS_STOPPED && complete)
        world_wrong(w, "status 75, but all is done");
    else if (w->status == STATUS_STOPPED && w->failure_told)
        world_wrong(w, "status 75 after a failure");
    else if (w->status == STATUS_STOPPED && !names_a_reason(w->error.message))
        world_wrong(w, "stopped without a reason: %.80s", w->error.message);
    else if (w->status == STATUS_STOPPED && w->stop_told == INFINITY && w->job.stop.deadline == INFINITY)
        world_wrong(w, "stopped, and nobody asked for it");
    else if (w->status == STATUS_FAILURE && names_a_reason(w->error.message))
        world_wrong(w, "failed, but says that it was stopped: %.80s", w->error.message);
    else if (w->waiting && !w->disk_told && w->now < w->give_up - 1e-6)
        world_wrong(w, "ended while %d commits were on their way to the disk", w->waiting);
    else if (w->status == STATUS_FAILURE && !w->failure_told)
        world_wrong(w, "failed, and nothing had: %.80s", w->error.message);
}

/* After units in flight were due to be called off: one layer of one picture, and the last commits. */
static void judge_stop(struct world *w) {
    const struct trouble *t = &w->trouble;
    double due = w->drop_due + w->layer_seconds + COMMITS + slack(w) + slept(w);
    if (w->drop_due >= w->job.stop.deadline)
        due = fmax(due, w->job.stop.limit + slack(w) + slept(w));
    if (t->one_from < w->now || t->dies < w->now || t->sticks < w->now)
        return; /* judged by the time that a lost rank is given */
    if (w->ended > due)
        world_wrong(w, "ended %.1f s after units in flight were due to be called off", w->ended - w->drop_due);
}

/* A rank that does not answer from some time on, or does not get on, ends the job soon. */
static void judge_loss(struct world *w) {
    const struct trouble *t = &w->trouble;
    double patience = w->job.stop.silence + 3 + slack(w) + slept(w);
    if (w->rank[t->victim].dead && w->rank[t->victim].state != RANK_ENDED && w->ended > t->dies + patience)
        world_wrong(w, "rank %d died at %.1f, the job at %.1f", t->victim, t->dies, w->ended);
    /* nobody misses it while all sleep */
    double together = fmax(fmin(t->one_to, t->all_to) - fmax(t->one_from, t->all_from), 0);
    bool sleeps = t->one && t->one_to - t->one_from - together > w->job.stop.silence + 3 + slack(w);
    if (sleeps && w->rank[t->one].state != RANK_ENDED && w->ended > t->one_from + patience)
        world_wrong(w, "rank %d stood still at %.1f, the job ended at %.1f", t->one, t->one_from, w->ended);
    if (w->idle_from > 0 && w->ended > w->idle_from + patience + slept(w))
        world_wrong(w, "rank %d hung at %.1f, the job ended at %.1f", t->stuck, w->idle_from, w->ended);
}

/* Since when a rank that died, or hung, at `when` had given no sign: it may have happened in its sleep. */
static double silent_since(const struct world *w, int rank, double when) {
    const struct trouble *t = &w->trouble;
    bool in_sleep = rank == t->one && t->one_from < when && when <= t->one_to;
    return in_sleep ? t->one_from : when;
}

static void judge_abort(struct world *w) {
    const struct trouble *t = &w->trouble;
    double silence = w->job.stop.silence, margin = 2.3 + 2 * t->latency;
    int rank;
    if (w->failure_told || w->status != STATUS_FAILURE)
        return;
    if (sscanf(w->error.message, "rank %d on", &rank) != 1 || rank < 0 || rank >= w->ranks) {
        world_wrong(w, "ended at once without a rank: %.80s", w->error.message);
        return;
    }
    bool died = rank == t->victim && w->now - silent_since(w, rank, t->dies) >= silence - margin;
    bool slept_long = rank && rank == t->one && fmin(w->now, t->one_to) - t->one_from >= silence - margin;
    bool stuck =
        rank == t->stuck && w->idle_from > 0 && w->now - silent_since(w, rank, w->idle_from) >= silence - margin;
    if (!died && !slept_long && !stuck)
        world_wrong(w, "rank %d was well: %.80s", rank, w->error.message);
}

void judge_end(struct world *w) {
    const struct trouble *t = &w->trouble;
    if (*w->wrong)
        return;
    judge_loss(w);
    if (w->outcome == OUTCOME_END) {
        judge_status(w);
        judge_stop(w);
    } else if (w->outcome == OUTCOME_ABORT) {
        judge_abort(w);
        judge_stop(w);
    } else if (w->outcome == OUTCOME_RANK &&
               !(t->one == 0 && w->now - t->one_from >= w->job.stop.silence - 2.3 - 2 * t->latency)) {
        world_wrong(w, "a rank missed rank 0, which was well");
    }
}
