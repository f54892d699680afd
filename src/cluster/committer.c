#include "committer.h"

#include "filteratlas/atlas/trace.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"

#include <stdlib.h>
#include <string.h>

/* Of a thread that writes files: a few paths. */
static const size_t COMMITTER_STACK = 256 << 10;

/* A list of commits, first in, first out. */
struct queue {
    struct commit *first, *last;
};

/* Units that are committed together, and what is kept of each. A unit that comes in two pieces has two places: the
 * second's record is written in another batch. */
struct batch {
    int count;
    struct commit *commit[COMMITTER_MOST_UNITS];
    struct store_filter *filter[COMMITTER_MOST_UNITS]; /* [pictures of the unit] */
    struct text trace[COMMITTER_MOST_UNITS];
    struct report **picture;    /* [pictures] of all units */
    struct store_filter **kept; /* [pictures] */
    int *unit;                  /* [pictures] */
    int pictures;
};

/* Does number i of a step of the batch. */
typedef void step(struct committer *committer, int i);

struct committer {
    const struct store *store;
    const struct layers *layers;
    int epochs;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct queue queue, done;
    struct batch batch;
    step *step;               /* that all threads are at, NULL: none */
    int next, count, working; /* of its numbers: the next, all; threads that are at one */
    bool ending;
    pthread_t thread[COMMITTER_THREADS];
    int threads;
};

static void queue_put(struct queue *queue, struct commit *commit) {
    commit->next = NULL;
    if (queue->first)
        queue->last->next = commit;
    else
        queue->first = commit;
    queue->last = commit;
}

static struct commit *queue_take(struct queue *queue) {
    struct commit *commit = queue->first;
    if (commit)
        queue->first = commit->next;
    return commit;
}

void commit_free(struct commit *commit) {
    if (commit)
        report_free_all(commit->pictures);
    free(commit);
}

/* A batch ------------------------------------------------------------------------------------------------------------
 */

static const char *layer_of(const struct committer *c, const struct commit *commit) {
    return c->layers->layer[commit->unit.layer].name;
}

static bool is_same_unit(const struct commit *a, const struct commit *b) {
    return a->unit.layer == b->unit.layer && a->unit.index == b->unit.index;
}

static bool is_in_batch(const struct batch *batch, const struct commit *commit) {
    for (int u = 0; u < batch->count; u++)
        if (is_same_unit(batch->commit[u], commit))
            return true;
    return false;
}

static void fail(struct commit *commit, int status, const struct error *error) {
    if (commit->status)
        return;
    commit->status = status;
    commit->error = *error;
}

/* Moves what waits into the batch; it ends before a second piece of a unit, since each rewrites the unit's record. */
static void fill_batch(struct committer *c) {
    struct batch *batch = &c->batch;
    batch->count = 0;
    while (c->queue.first && batch->count < COMMITTER_MOST_UNITS && !is_in_batch(batch, c->queue.first))
        batch->commit[batch->count++] = queue_take(&c->queue);
}

static int count_pictures(const struct commit *commit) {
    int count = 0;
    for (const struct report *picture = commit->pictures; picture; picture = picture->next)
        count++;
    return count;
}

static int list_unit(struct committer *c, int u, struct error *error) {
    struct batch *batch = &c->batch;
    struct commit *commit = batch->commit[u];
    size_t bytes = (size_t)count_pictures(commit) * sizeof *batch->filter[u];
    batch->trace[u] = (struct text){0};
    batch->filter[u] = malloc(bytes);
    if (!batch->filter[u])
        return error_memory(error, (double)bytes, "a commit");
    int count = 0;
    for (struct report *picture = commit->pictures; picture; picture = picture->next) {
        picture->filter.rank = commit->rank;
        batch->filter[u][count] = picture->filter;
        batch->picture[batch->pictures] = picture;
        batch->kept[batch->pictures] = &batch->filter[u][count++];
        batch->unit[batch->pictures++] = u;
        trace_append(&batch->trace[u], layer_of(c, commit), picture->filter.index, c->epochs,
                     (const float *)(const void *)picture->body, picture->iterations);
    }
    return STATUS_OK;
}

static int list_pictures(struct committer *c, struct error *error) {
    struct batch *batch = &c->batch;
    size_t most = 1;
    for (int u = 0; u < batch->count; u++)
        most += (size_t)count_pictures(batch->commit[u]);
    batch->pictures = 0;
    batch->picture = malloc(most * sizeof *batch->picture);
    batch->kept = malloc(most * sizeof *batch->kept);
    batch->unit = malloc(most * sizeof *batch->unit);
    if (!batch->picture || !batch->kept || !batch->unit)
        return error_memory(error, (double)most * 3 * sizeof(void *), "a commit");
    int status = STATUS_OK;
    for (int u = 0; u < batch->count && !status; u++)
        status = list_unit(c, u, error);
    return status;
}

static void free_batch(struct batch *batch) {
    for (int u = 0; u < batch->count; u++) {
        free(batch->filter[u]);
        text_free(&batch->trace[u]);
    }
    free(batch->picture);
    free(batch->kept);
    free(batch->unit);
    *batch = (struct batch){0};
}

/* Steps --------------------------------------------------------------------------------------------------------------
 */

static void write_picture(struct committer *c, int i) {
    struct batch *batch = &c->batch;
    struct commit *commit = batch->commit[batch->unit[i]];
    const struct report *report = batch->picture[i];
    struct error error;
    if (batch->kept[i]->dead)
        return;
    int status = store_put_picture(c->store, layer_of(c, commit), batch->kept[i],
                                   report->body + report->iterations * sizeof(float), report->size, &error);
    pthread_mutex_lock(&c->mutex);
    if (status)
        fail(commit, status, &error);
    pthread_mutex_unlock(&c->mutex);
}

static void name_pictures(struct committer *c, int u) {
    struct commit *commit = c->batch.commit[u];
    struct error error;
    int status = commit->status ? STATUS_OK
                                : store_rename_pictures(c->store, layer_of(c, commit), c->batch.filter[u],
                                                        count_pictures(commit), &error);
    if (status)
        fail(commit, status, &error);
}

static void write_record(struct committer *c, int u) {
    struct commit *commit = c->batch.commit[u];
    const struct text *trace = &c->batch.trace[u];
    struct error error;
    int status = commit->status
                     ? STATUS_OK
                     : store_write_record(c->store, layer_of(c, commit), commit->unit.index, c->batch.filter[u],
                                          count_pictures(commit), trace->size ? trace->bytes : NULL, &error);
    if (status)
        fail(commit, status, &error);
}

/* Flushes the folder of unit u's layer for all units of that layer, unless an earlier one has. */
static void sync_layer(struct committer *c, int u,
                       int (*sync)(const struct store *store, const char *layer, struct error *error)) {
    struct batch *batch = &c->batch;
    struct error error;
    for (int v = 0; v < u; v++)
        if (batch->commit[v]->unit.layer == batch->commit[u]->unit.layer)
            return;
    int status = sync(c->store, layer_of(c, batch->commit[u]), &error);
    for (int v = u; v < batch->count && status; v++)
        if (batch->commit[v]->unit.layer == batch->commit[u]->unit.layer)
            fail(batch->commit[v], status, &error);
}

static void sync_pictures(struct committer *c, int u) { sync_layer(c, u, store_sync_pictures); }

static void sync_records(struct committer *c, int u) { sync_layer(c, u, store_sync_records); }

static void remove_old_traces(struct committer *c, int u) {
    const struct commit *commit = c->batch.commit[u];
    if (!commit->status && c->batch.trace[u].size)
        store_remove_old_traces(c->store, layer_of(c, commit), commit->unit.index);
}

/* Threads ------------------------------------------------------------------------------------------------------------
 */

/* With the mutex: does numbers of the step in hand until there are none left. */
static void take_part(struct committer *c) {
    while (c->step && c->next < c->count) {
        step *step = c->step;
        int i = c->next++;
        c->working++;
        pthread_mutex_unlock(&c->mutex);
        step(c, i);
        pthread_mutex_lock(&c->mutex);
        c->working--;
    }
    pthread_cond_broadcast(&c->changed);
}

/* With the mutex: a step for numbers 0 ... count - 1, by all threads; back when all are done. */
static void do_all(struct committer *c, step *step, int count) {
    c->step = step;
    c->next = 0;
    c->count = count;
    pthread_cond_broadcast(&c->changed);
    take_part(c);
    while (c->working)
        pthread_cond_wait(&c->changed, &c->mutex);
    c->step = NULL;
}

static bool all_failed(const struct batch *batch) {
    for (int u = 0; u < batch->count; u++)
        if (!batch->commit[u]->status)
            return false;
    return true;
}

/* With the mutex. Ends early where nothing is wanted any more. */
static void commit_batch(struct committer *c) {
    static step *const steps[] = {write_picture, name_pictures, sync_pictures,
                                  write_record,  sync_records,  remove_old_traces};
    struct batch *batch = &c->batch;
    struct error error;
    if (list_pictures(c, &error))
        for (int u = 0; u < batch->count; u++)
            fail(batch->commit[u], error.status, &error);
    for (size_t s = 0; s < sizeof steps / sizeof *steps && !all_failed(batch) && !c->ending; s++)
        do_all(c, steps[s], s == 0 ? batch->pictures : batch->count);
    for (int u = 0; u < batch->count; u++)
        queue_put(&c->done, batch->commit[u]);
    free_batch(batch);
}

/* The first thread leads, the others take part. */
static void *lead(void *context) {
    struct committer *c = context;
    pthread_mutex_lock(&c->mutex);
    while (!c->ending) {
        fill_batch(c);
        if (c->batch.count)
            commit_batch(c);
        else
            pthread_cond_wait(&c->changed, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static void *follow(void *context) {
    struct committer *c = context;
    pthread_mutex_lock(&c->mutex);
    while (!c->ending) {
        if (c->step && c->next < c->count)
            take_part(c);
        else
            pthread_cond_wait(&c->changed, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

int committer_start(const struct store *store, const struct layers *layers, int epochs, struct committer **committer,
                    struct error *error) {
    struct committer *c = *committer = calloc(1, sizeof *c);
    if (!c)
        return error_memory(error, sizeof *c, "the committer");
    *c = (struct committer){.store = store, .layers = layers, .epochs = epochs};
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);
    while (c->threads < COMMITTER_THREADS &&
           !thread_start(&c->thread[c->threads], COMMITTER_STACK, c->threads ? follow : lead, c, error))
        c->threads++;
    return c->threads ? STATUS_OK : error->status;
}

void committer_add(struct committer *c, struct commit *commit) { committer_add_all(c, &commit, 1); }

void committer_add_all(struct committer *c, struct commit *const *commits, int count) {
    pthread_mutex_lock(&c->mutex);
    for (int i = 0; i < count; i++) {
        commits[i]->since = clock_now();
        queue_put(&c->queue, commits[i]);
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

struct commit *committer_take(struct committer *c) {
    pthread_mutex_lock(&c->mutex);
    struct commit *commit = queue_take(&c->done);
    pthread_mutex_unlock(&c->mutex);
    return commit;
}

void committer_end(struct committer *c) {
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->ending = true;
    c->next = c->count; /* of the step in hand, no further number */
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    for (int t = 0; t < c->threads; t++)
        pthread_join(c->thread[t], NULL);
    for (struct commit *commit; (commit = queue_take(&c->queue)) || (commit = queue_take(&c->done));)
        commit_free(commit);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->changed);
    free(c);
}
