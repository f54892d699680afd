#include "world.h"

#include <assert.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TURN = 0.25;    /* between two looks of rank 0 around, when nothing happens */
static const double PATIENCE = 1e5; /* seconds after which a job hangs */
enum { MOST_BATCH_UNITS = 64 };

void world_wrong(struct world *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!*w->wrong)
        vsnprintf(w->wrong, sizeof w->wrong, format, arguments);
    va_end(arguments);
}

/* Happenings ------------------------------------------------------------------------------------------------------- */

static bool is_before(const struct happening *a, const struct happening *b) {
    return a->time != b->time ? a->time < b->time : a->number < b->number;
}

static void swap(struct happening *a, struct happening *b) {
    struct happening c = *a;
    *a = *b;
    *b = c;
}

/* Numbers say what comes first at one time; what is put off keeps its own, so that messages keep their order. */
static void put(struct world *w, struct happening happening) {
    if (w->happenings == w->capacity) {
        w->capacity = 2 * w->capacity + 64;
        w->heap = realloc(w->heap, (size_t)w->capacity * sizeof *w->heap);
        if (!w->heap)
            abort();
    }
    int at = w->happenings++;
    w->heap[at] = happening;
    for (; at && is_before(&w->heap[at], &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&w->heap[at], &w->heap[(at - 1) / 2]);
}

static void happen(struct world *w, double time, struct happening happening) {
    happening.time = time;
    happening.number = w->number++;
    if (time < INFINITY)
        put(w, happening);
}

static struct happening next_happening(struct world *w) {
    struct happening next = w->heap[0];
    w->heap[0] = w->heap[--w->happenings];
    for (int at = 0, child; (child = 2 * at + 1) < w->happenings; at = child) {
        child += child + 1 < w->happenings && is_before(&w->heap[child + 1], &w->heap[child]);
        if (!is_before(&w->heap[child], &w->heap[at]))
            break;
        swap(&w->heap[child], &w->heap[at]);
    }
    return next;
}

/* Ranks ------------------------------------------------------------------------------------------------------------ */

/* Messages of a pair keep their order. */
static double arrival(struct world *w, double *last) {
    double latency = random_between(&w->random, 1e-4, w->trouble.latency);
    return *last = fmax(w->now + latency, *last);
}

static void report(struct world *w, int rank, struct event event) {
    event.rank = rank;
    happen(w, arrival(w, &w->rank[rank].to_0), (struct happening){.kind = HAPPENS_EVENT, .event = event});
}

static void ask(struct world *w, int rank) {
    struct rank *r = &w->rank[rank];
    bool first = r->state == RANK_STARTING;
    r->state = RANK_ASKING;
    report(w, rank, (struct event){.kind = EVENT_READY, .seconds_per_cost = first ? r->trial : 0});
}

static void send_unit(struct world *w, int rank) {
    const struct unit *unit = &w->rank[rank].order.unit;
    int filters[ASCENT_MAX_BATCH], count = unit_filters(unit, w->list.batch, filters);
    for (int i = 0; i < count; i++) {
        size_t bytes = random_chance(&w->random, 0.2) ? 0 : 1000 + (size_t)random_below(&w->random, 1000);
        report(w, rank, (struct event){.kind = EVENT_FILTER, .filter = filters[i], .bytes = bytes});
    }
    report(w, rank, (struct event){.kind = EVENT_DONE});
}

static void finish_work(struct world *w, int rank) {
    struct rank *r = &w->rank[rank];
    struct error error = {.status = STATUS_FAILURE, .message = "out of memory"};
    r->work++;
    if (rank == w->trouble.failing && w->now >= w->trouble.fails) {
        static struct error failure; /* outlives the message; always the same */
        failure = error;
        w->trouble.fails = INFINITY;
        report(w, rank, (struct event){.kind = EVENT_FAILED, .error = &failure});
    } else if (r->order.kind == ORDER_DRAW) {
        send_unit(w, rank);
    } else {
        report(w, rank, (struct event){.kind = EVENT_PUBLISHED});
    }
    ask(w, rank);
}

static void react_to_cancel(struct world *w, int rank) {
    static const struct error stopped = {.status = STATUS_STOPPED, .message = "stopped"};
    struct rank *r = &w->rank[rank];
    if (r->state == RANK_STARTING)
        ask(w, rank);
    if (r->state != RANK_WORKING)
        return;
    r->work++;
    report(w, rank, (struct event){.kind = EVENT_FAILED, .error = &stopped});
    ask(w, rank);
}

static void begin_work(struct world *w, int rank, const struct order *order) {
    struct rank *r = &w->rank[rank];
    if (r->state != RANK_ASKING)
        world_wrong(w, "rank %d gets an order while it has one", rank);
    r->state = RANK_WORKING;
    r->order = *order;
    double seconds = order->kind == ORDER_DRAW ? order->unit.cost * r->speed * random_between(&w->random, 0.7, 1)
                                               : random_between(&w->random, 0.05, 3);
    r->finish = w->now + seconds;
    r->owed = 0;
    if (r->stuck)
        w->idle_from = w->now;
    else
        happen(w, r->finish, (struct happening){.kind = HAPPENS_WORK, .rank = rank, .work = r->work});
}

/* Whether work that would be done by now isn't, since its rank has slept meanwhile. */
static bool is_owed(const struct world *w, const struct happening *h) {
    const struct rank *r = &w->rank[h->rank];
    return h->kind == HAPPENS_WORK && h->work == r->work && r->owed > 0;
}

static void work_on(struct world *w, int rank) {
    struct rank *r = &w->rank[rank];
    r->finish = w->now + r->owed;
    r->owed = 0;
    happen(w, r->finish, (struct happening){.kind = HAPPENS_WORK, .rank = rank, .work = r->work});
}

static void take_order(struct world *w, int rank, const struct order *order) {
    struct rank *r = &w->rank[rank];
    r->heard = r->awake.seconds;
    switch (order->kind) {
    case ORDER_HEARD:
        r->due = false;
        break;
    case ORDER_CANCEL:
        if (!r->stuck)
            happen(w, w->now + random_between(&w->random, 0, w->layer_seconds),
                   (struct happening){.kind = HAPPENS_REACTION, .rank = rank, .work = r->work});
        break;
    case ORDER_END:
        if (r->state != RANK_ASKING)
            world_wrong(w, "rank %d is ended while it is at work", rank);
        r->state = RANK_ENDED;
        report(w, rank, (struct event){.kind = EVENT_ENDED});
        break;
    default:
        begin_work(w, rank, order);
    }
}

static void end(struct world *w, enum outcome outcome) {
    if (w->outcome)
        return;
    w->outcome = outcome;
    w->ended = w->now;
}

/* As relay.c does it. */
static void beat(struct world *w, int rank) {
    struct rank *r = &w->rank[rank];
    if (r->state == RANK_ENDED)
        return;
    awake_look(&r->awake, w->now);
    if (rank && r->due && r->awake.seconds - r->heard >= w->job.stop.silence + (rank > 1))
        end(w, OUTCOME_RANK);
    r->progress += r->state <= RANK_WORKING && !r->stuck;
    if (!r->due) {
        r->due = rank > 0;
        r->heard = r->awake.seconds;
        report(w, rank, (struct event){.kind = EVENT_ALIVE, .progress = r->progress});
    }
    happen(w, w->now + 1, (struct happening){.kind = HAPPENS_BEAT, .rank = rank});
}

/* The disk --------------------------------------------------------------------------------------------------------- */

/* As committer.c does it: pictures side by side, then their folder, records, their folder. */
static void flush(struct world *w) {
    const struct trouble *t = &w->trouble;
    if (w->flushing || !w->waiting)
        return;
    w->batch = w->waiting < MOST_BATCH_UNITS ? w->waiting : MOST_BATCH_UNITS;
    double seconds = t->flush * (3 + random_between(&w->random, 1, 3));
    if (w->now >= t->disk_stalls && w->now < t->disk_goes_on)
        seconds += t->disk_goes_on - w->now;
    w->flushing = true;
    happen(w, w->now + seconds, (struct happening){.kind = HAPPENS_FLUSHED});
}

static void put_on_shelf(struct world *w, const struct unit *unit) {
    int filters[ASCENT_MAX_BATCH], count = unit_filters(unit, w->list.batch, filters);
    for (int i = 0; i < count; i++)
        if (++w->shelf->times[unit->layer][filters[i]] > 1)
            world_wrong(w, "filter %d of layer %d is committed twice", filters[i], unit->layer);
}

static void flushed(struct world *w) {
    static const struct error full = {.status = STATUS_FAILURE, .message = "0000.png: cannot be written: no space"};
    bool fails = w->now >= w->trouble.disk_fails;
    for (int i = 0; i < w->batch; i++) {
        struct event event = {.kind = fails ? EVENT_COMMIT_FAILED : EVENT_COMMITTED,
                              .unit = w->disk[i].unit,
                              .bytes = w->disk[i].bytes,
                              .waited = w->now - w->disk[i].since,
                              .error = &full};
        if (!fails)
            put_on_shelf(w, &w->disk[i].unit);
        happen(w, w->now, (struct happening){.kind = HAPPENS_EVENT, .event = event});
    }
    w->waiting -= w->batch;
    memmove(w->disk, w->disk + w->batch, (size_t)w->waiting * sizeof *w->disk);
    w->flushing = false;
    flush(w);
}

static void commit(struct world *w, int rank, const struct unit *unit) {
    if (w->waiting == w->room) {
        w->room = 2 * w->room + 64;
        w->disk = realloc(w->disk, (size_t)w->room * sizeof *w->disk);
        if (!w->disk)
            abort();
    }
    w->disk[w->waiting++] = (struct pending){*unit, w->incoming[rank], w->now};
    w->incoming[rank] = 0;
    flush(w);
}

/* Rank 0's main thread --------------------------------------------------------------------------------------------- */

static void carry_out(struct world *w, const struct action *action) {
    judge_action(w, action);
    switch (action->kind) {
    case ACTION_ORDER: {
        struct rank *r = &w->rank[action->rank];
        if (action->order.kind == ORDER_DRAW)
            w->received[action->rank] = 0;
        happen(w, arrival(w, &r->to_rank),
               (struct happening){.kind = HAPPENS_ORDER, .rank = action->rank, .order = action->order});
        break;
    }
    case ACTION_COMMIT:
        commit(w, action->rank, &action->order.unit);
        break;
    case ACTION_SAY:
        break;
    case ACTION_ABORT:
    case ACTION_END:
        w->status = coordinator_end(w->coordinator, &w->error);
        end(w, action->kind == ACTION_END ? OUTCOME_END : OUTCOME_ABORT);
        break;
    }
}

static void feed(struct world *w, const struct event *event) {
    judge_event(w, event);
    const struct actions *actions = coordinator_step(w->coordinator, event, w->now);
    for (int a = 0; a < actions->count; a++)
        carry_out(w, &actions->action[a]);
}

static void take_signal(struct world *w, int i) {
    struct event event = {.kind = EVENT_SIGNAL, .signal = w->trouble.signal[i]};
    int rank = w->trouble.signalled[i];
    for (int r = 0; r < w->ranks; r++)
        if ((rank < 0 || rank == r) && w->rank[r].state != RANK_ENDED && !w->rank[r].dead)
            report(w, r, event);
}

/* Trouble ---------------------------------------------------------------------------------------------------------- */

static void fall_asleep(const struct world *w, struct rank *r, double until) {
    double awake = fmax(r->asleep, w->now);
    r->owed += fmax(until - awake, 0);
    r->asleep = fmax(until, awake);
}

static void look_for_trouble(struct world *w) {
    const struct trouble *t = &w->trouble;
    if (w->now >= t->killed)
        end(w, OUTCOME_LAUNCHER);
    for (int r = 0; r < w->ranks && w->now >= t->all_from && w->now < t->all_to; r++)
        fall_asleep(w, &w->rank[r], t->all_to + (r ? random_between(&w->random, 0, 0.5) : 0));
    if (w->now >= t->one_from && w->now < t->one_to)
        fall_asleep(w, &w->rank[t->one], t->one_to);
    if (w->now >= t->dies) {
        w->rank[t->victim].dead = true;
        if (t->launcher_notices)
            end(w, OUTCOME_LAUNCHER);
    }
    struct rank *stuck = &w->rank[t->stuck];
    if (w->now >= t->sticks && !stuck->stuck) {
        stuck->stuck = true;
        if (stuck->state == RANK_STARTING || stuck->state == RANK_WORKING)
            w->idle_from = w->now;
    }
}

/* When the process that a happening is for stands still, it comes later, after all that came before. */
static bool is_put_off(struct world *w, const struct happening *h) {
    bool of_0 = h->kind == HAPPENS_TURN || h->kind == HAPPENS_EVENT || h->kind == HAPPENS_FLUSHED;
    if (h->kind == HAPPENS_TROUBLE || h->kind == HAPPENS_SIGNAL)
        return false;
    const struct rank *r = &w->rank[of_0 ? 0 : h->rank];
    if (w->now >= r->asleep || is_owed(w, h))
        return false;
    struct happening later = *h;
    later.time = r->asleep;
    if (later.time < INFINITY)
        put(w, later);
    return true;
}

static void live(struct world *w, const struct happening *h) {
    struct rank *r = &w->rank[h->rank];
    bool is_void = r->dead || h->work != r->work;
    switch (h->kind) {
    case HAPPENS_TURN:
        feed(w, &(struct event){.kind = w->now >= w->trouble.file_at ? EVENT_STOP_FILE : EVENT_TIME});
        if (w->now >= w->trouble.file_at)
            w->trouble.file_at = INFINITY;
        happen(w, w->now + TURN, (struct happening){.kind = HAPPENS_TURN});
        break;
    case HAPPENS_EVENT:
        feed(w, &h->event);
        break;
    case HAPPENS_ORDER:
        if (!r->dead)
            take_order(w, h->rank, &h->order);
        break;
    case HAPPENS_WORK:
        if (is_owed(w, h))
            work_on(w, h->rank);
        else if (!is_void && !r->stuck)
            finish_work(w, h->rank);
        break;
    case HAPPENS_REACTION:
        if (!is_void && !r->stuck)
            react_to_cancel(w, h->rank);
        break;
    case HAPPENS_BEAT:
        if (!r->dead)
            beat(w, h->rank);
        break;
    case HAPPENS_READY:
        if (!r->dead && !r->stuck && r->state == RANK_STARTING)
            ask(w, h->rank);
        break;
    case HAPPENS_FLUSHED:
        flushed(w);
        break;
    case HAPPENS_SIGNAL:
        take_signal(w, h->work);
        break;
    case HAPPENS_TROUBLE:
        look_for_trouble(w);
        break;
    }
    if (h->kind != HAPPENS_TURN && h->kind != HAPPENS_BEAT && h->kind != HAPPENS_TROUBLE &&
        !(h->kind == HAPPENS_EVENT && h->event.kind == EVENT_ALIVE) &&
        !(h->kind == HAPPENS_ORDER && h->order.kind == ORDER_HEARD))
        w->active = w->now;
}

void world_run(struct world *w) {
    while (!w->outcome && !*w->wrong) {
        if (!w->happenings) { /* rank 0 stands still for ever, and nobody is there to miss it: a person ends it */
            end(w, OUTCOME_LAUNCHER);
            break;
        }
        struct happening next = next_happening(w);
        w->now = next.time;
        if (w->now > PATIENCE)
            world_wrong(w, "the job hangs");
        else if (!is_put_off(w, &next))
            live(w, &next);
    }
    judge_end(w);
}

/* Making one ---------------------------------------------------------------------------------------------------------
 */

static bool is_missing(const struct shelf *shelf, int layer, int filter) { return !shelf->times[layer][filter]; }

static void make_list(struct world *w) {
    const struct shelf *shelf = w->shelf;
    int units = (shelf->filters + shelf->batch - 1) / shelf->batch;
    w->list = (struct unit_list){.unit = calloc((size_t)(units * shelf->layers) + 1, sizeof *w->list.unit),
                                 .batch = shelf->batch,
                                 .costs = w->costs};
    for (int l = 0; l < shelf->layers; l++) {
        double base = random_between(&w->random, 0.05, 1);
        for (int n = 1; n <= ASCENT_MAX_BATCH; n++)
            w->costs[l].seconds[n] = base * (0.3 + 0.7 * n);
        for (int u = 0; u < units; u++) {
            struct unit unit = {.layer = l, .index = u};
            for (int i = 0; i < shelf->batch && u * shelf->batch + i < shelf->filters; i++)
                if (is_missing(shelf, l, u * shelf->batch + i))
                    unit.wanted |= (uint64_t)1 << i;
            unit.cost = w->costs[l].seconds[__builtin_popcountll(unit.wanted)];
            w->left += __builtin_popcountll(unit.wanted);
            if (unit.wanted)
                w->list.unit[w->list.count++] = unit;
        }
    }
}

static double maybe(struct world *w, double chance, double low, double high) {
    bool happens = random_chance(&w->random, chance);
    double when = random_between(&w->random, low, high);
    return happens ? when : INFINITY;
}

static void make_trouble(struct world *w, bool calm, double length) {
    static const int signals[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGXCPU, SIGHUP};
    struct random *random = &w->random;
    struct trouble *t = &w->trouble;
    double any = calm ? 0 : 0.12, span = 1.2 * length;
    t->latency = random_chance(random, 0.1) ? 0.2 : 0.002;
    t->flush = random_chance(random, 0.7) ? 0.001 : random_between(random, 0.01, 0.3);
    t->all_from = maybe(w, any, 0, span);
    t->all_to = t->all_from + (random_chance(random, 0.5) ? 600 : random_between(random, 1, 60));
    t->one = random_below(random, w->ranks);
    t->one_from = maybe(w, any, 0, span);
    t->one_to =
        t->one_from + (random_chance(random, 0.3) ? INFINITY : random_between(random, 0.5, 3 * w->job.stop.silence));
    t->victim = random_below(random, w->ranks);
    t->dies = maybe(w, t->victim ? any : 0, 0, span);
    t->launcher_notices = random_chance(random, 0.5);
    t->stuck = random_below(random, w->ranks);
    t->sticks = maybe(w, any / 2, 0, span);
    t->failing = random_below(random, w->ranks);
    t->fails = maybe(w, any / 2, 0, span);
    t->killed = maybe(w, any, 0, span);
    t->disk_fails = maybe(w, any / 2, 0, span);
    t->disk_stalls = maybe(w, any, 0, span);
    t->disk_goes_on = t->disk_stalls + random_between(random, 1, 100);
    t->late = maybe(w, any, 0, 20);
    t->file_at = maybe(w, any, 0, span);
    for (int i = 0; i < MOST_SIGNALS; i++) {
        t->signal_at[i] = maybe(w, calm ? 0 : i ? 0.15 : 0.3, 0, span);
        t->signal[i] = signals[random_below(random, 4)];
        t->signalled[i] = random_chance(random, 0.5) ? -1 : random_below(random, w->ranks);
    }
}

static void await_trouble(struct world *w) {
    const struct trouble *t = &w->trouble;
    const double times[] = {t->all_from, t->one_from, t->dies, t->sticks, t->killed};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        happen(w, times[i], (struct happening){.kind = HAPPENS_TROUBLE});
    for (int i = 0; i < MOST_SIGNALS; i++)
        happen(w, t->signal_at[i], (struct happening){.kind = HAPPENS_SIGNAL, .work = i});
}

static void make_ranks(struct world *w) {
    int per_node = 1 + random_below(&w->random, 8);
    bool knows = random_chance(&w->random, 0.7);
    for (int r = 0; r < w->ranks; r++) {
        struct rank *rank = &w->rank[r];
        rank->awake.most = AWAKE_MOST;
        rank->speed = random_between(&w->random, 0.8, 1.5);
        rank->trial = knows ? rank->speed : 0;
        w->leader[r] = r / per_node * per_node;
        double ready = random_between(&w->random, 0, 0.2);
        if (r == w->ranks - 1 && w->trouble.late < INFINITY)
            ready = w->trouble.late;
        happen(w, ready, (struct happening){.kind = HAPPENS_READY, .rank = r});
        happen(w, random_between(&w->random, 0, 0.5), (struct happening){.kind = HAPPENS_BEAT, .rank = r});
    }
}

/* Mostly small jobs, now and then one of thousands of ranks. */
static int random_ranks(struct random *random) {
    double most = random_chance(random, 0.02) ? MOST_RANKS : random_chance(random, 0.2) ? 256 : 16;
    return (int)exp(random_between(random, 0, log(most + 0.99)));
}

void world_make(uint64_t seed, bool calm, struct shelf *shelf, struct world *w) {
    struct error error;
    *w = (struct world){
        .random = {seed}, .shelf = shelf, .stop_told = INFINITY, .drop_due = INFINITY, .give_up = INFINITY};
    w->ranks = random_ranks(&w->random);
    if (!shelf->layers) {
        shelf->layers = 1 + random_below(&w->random, MOST_LAYERS);
        shelf->batch = 1 + random_below(&w->random, random_chance(&w->random, 0.1) ? 64 : 8);
        shelf->filters = 1 + random_below(&w->random, w->ranks > 256 ? MOST_FILTERS / 4 : 40);
    }
    make_list(w);
    double length = 1 + 1.2 * unit_list_cost(&w->list) / w->ranks;
    w->layer_seconds = random_between(&w->random, 0.001, 0.3);
    w->rank = calloc((size_t)w->ranks, sizeof *w->rank);
    w->leader = calloc((size_t)w->ranks, sizeof *w->leader);
    w->incoming = calloc((size_t)w->ranks, sizeof *w->incoming);
    w->received = calloc((size_t)w->ranks, sizeof *w->received);
    w->handed = calloc((size_t)w->list.count + 1, sizeof *w->handed);
    double limit = maybe(w, calm ? 0 : 0.2, 0, 1.2 * length);
    w->job = (struct coordinator_job){
        .stop = {.limit = limit,
                 .deadline = limit - fmin(5, limit / 10),
                 .grace = random_chance(&w->random, 0.7) ? -1 : random_between(&w->random, 0, 10),
                 .silence = random_between(&w->random, 3, 30),
                 .file = "stop"},
        .layers = shelf->layers,
        .tables = true,
        .queue_bytes = random_chance(&w->random, 0.7) ? 1000000000 : 1 + (size_t)random_below(&w->random, 50000),
        .leader = w->leader,
        .publish = w->publish};
    if (limit == INFINITY)
        w->job.stop.deadline = INFINITY;
    for (int l = 0; l < shelf->layers; l++)
        w->publish[l] = random_chance(&w->random, 0.9);
    make_trouble(w, calm, length);
    make_ranks(w);
    await_trouble(w);
    if (schedule_make(&w->list, w->ranks, &w->schedule, &error))
        abort();
    w->job.schedule = &w->schedule;
    if (coordinator_make(&w->job, 0, &w->coordinator, &error))
        abort();
    happen(w, 0, (struct happening){.kind = HAPPENS_TURN});
}

void world_free(struct world *w) {
    coordinator_free(w->coordinator);
    schedule_free(&w->schedule);
    free(w->list.unit);
    free(w->rank);
    free(w->leader);
    free(w->incoming);
    free(w->received);
    free(w->handed);
    free(w->heap);
    free(w->disk);
}
