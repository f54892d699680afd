#include "command.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/winograd.h"
#include "limit.h"
#include "measure.h"
#include "run.h"
#include "weights_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Asked while a rank waits, reads or fills tables; the coordinator asks for itself while ranks draw. */
static bool goes_on(void *context) {
    const struct run *run = context;
    return !cluster_signal(&run->cluster) && clock_now() < run->end;
}

/* Says why, where a rank was stopped outside of drawing; other errors stay as they are. */
static int explain_stop(const struct run *run, int status, struct error *error) {
    int signal = cluster_signal(&run->cluster);
    if (status == STATUS_STOPPED)
        stop_error(signal ? stop_signal_name(signal) : "time limit", error);
    return status;
}

static int open_store(struct run *run, struct error *error) {
    struct store_entry entries[COMMAND_JOB_ENTRIES];
    struct text values = {0};
    int count = command_job_entries(&run->options, &run->weights, &values, entries);
    const struct interrupt interrupt = {goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    int status = store_open(run->options.out, entries, count, &patience, &run->store, error);
    text_free(&values);
    return status;
}

/* This run becomes the one writer of the layers it has selected. */
static int lock_layers(struct run *run, struct error *error) {
    const char *names[VGG_MAX_LAYERS];
    int count = 0;
    for (int l = 0; l < run->weights.net.layers; l++)
        if (run->first.selection.layer[l])
            names[count++] = run->weights.net.layer[l].name;
    const struct interrupt interrupt = {goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    return store_begin(&run->store, names, count, &patience, &run->first.lock, error);
}

/* Pictures are looked at in the selected layers: the others' are another run's, as in an array job. */
static int read_drawn(struct run *run, struct error *error) {
    const struct vgg *net = &run->weights.net;
    const struct interrupt interrupt = {goes_on, run};
    struct store_damage others = {0};
    int status = STATUS_OK;
    for (int l = 0; l < net->layers && !status; l++)
        status = run->first.selection.layer[l]
                     ? store_read_layer(&run->store, net->layer[l].name, &interrupt, &run->first.drawn[l],
                                        &run->first.damage, error)
                     : store_read_records(&run->store, net->layer[l].name, &run->first.drawn[l], &others, error);
    store_damage_free(&others);
    run->damaged = run->first.damage.count > 0;
    return status;
}

static void describe_kernels(const struct run *run, char kernels[STORE_KERNELS_SIZE]) {
    snprintf(kernels, STORE_KERNELS_SIZE, "%s %s", winograd_kernels_name(run->kernels), gemm_core());
}

/* Kernels round each in their own way: with others an atlas is not the bytes of any machine. */
static int check_kernels(const struct run *run, struct error *error) {
    char mine[STORE_KERNELS_SIZE];
    describe_kernels(run, mine);
    const char *others = command_find_kernels(run->first.drawn, VGG_MAX_LAYERS, mine);
    if (!others || !run->first.units.count)
        return STATUS_OK;
    if (!run->options.mixed_kernels)
        return error_set(error, STATUS_OTHER_JOB,
                         "%s: was drawn with %s kernels, this processor has %s: the bytes of pictures would depend on "
                         "who drew them; go on where it was drawn, or give --mixed-kernels or another --out",
                         run->options.out, others, mine);
    fprintf(stderr, "filteratlas: %s: was drawn with %s kernels, goes on with %s\n", run->options.out, others, mine);
    return STATUS_OK;
}

static bool wanted(const void *context, int layer, int filter) {
    const struct run *run = context;
    return selection_has(&run->first.selection, layer, filter) && !store_layer_has(&run->first.drawn[layer], filter);
}

int run_set_deadline(struct run *run, struct error *error) {
    struct limit limit;
    int status = limit_set(&run->options, run->start, &limit, error);
    run->deadline = limit.deadline;
    run->end = limit.end;
    return status;
}

int run_prepare_first(struct run *run, struct error *error) {
    const struct options *options = &run->options;
    const struct interrupt interrupt = {goes_on, run};
    int status =
        weights_reader_read(options->weights, options->config, &interrupt, &run->weights, &run->abandoned, error);
    if (!status)
        status = selection_make(options, &run->weights.net, &run->first.selection, error);
    if (!status)
        status = selection_check_size(&run->first.selection, options, &run->weights.net, error);
    if (!status)
        status = open_store(run, error);
    if (!status)
        status = lock_layers(run, error);
    if (!status)
        status = read_drawn(run, error);
    if (!status)
        status = unit_list_make(&run->weights.net, &run->job, options->batch, wanted, run, &run->first.units, error);
    if (!status)
        status = check_kernels(run, error);
    if (!status)
        status = schedule_make(&run->first.units, run->cluster.ranks, &run->first.schedule, error);
    return explain_stop(run, status, error);
}

static int deepest_layer(const struct unit_list *units) {
    int deepest = 0;
    for (int u = 0; u < units->count; u++)
        deepest = units->unit[u].layer > deepest ? units->unit[u].layer : deepest;
    return deepest;
}

/* Rank 0's weights to one copy per node, where the tables will stand behind them. */
static int share_weights(struct run *run, int deepest, struct error *error) {
    const size_t line = 64;
    float *own = run->weights.values;
    cluster_broadcast(&run->weights, sizeof run->weights);
    run->weights.values = own;
    size_t values = run->weights.count * sizeof *own, before = (values + line - 1) / line * line;
    size_t tables = network_table_bytes(&run->weights.net, &run->job.octaves, deepest, run->kernels);
    int status = shared_allocate(&run->cluster, before + tables, !run->options.no_shared, &run->shared, error);
    if (status)
        return status;
    if (own)
        memcpy(run->shared.bytes, own, values);
    free(own);
    run->weights.values = run->shared.bytes;
    shared_broadcast(&run->cluster, &run->shared, values);
    return network_place(&run->weights, &run->job.octaves, deepest, run->kernels, (char *)run->shared.bytes + before,
                         &run->network, error);
}

static int publish_layer(const void *context, const char *layer, const struct interrupt *interrupt, struct text *line,
                         struct error *error) {
    const struct run *run = context;
    return command_publish_layer(&run->store, layer, &run->options, run->damaged, interrupt, line, error);
}

static int publish_tables(const void *context, const struct interrupt *interrupt, struct error *error) {
    const struct run *run = context;
    return command_publish_tables(&run->store, &run->options, run->damaged, interrupt, error);
}

static double measure_speed(const void *context, const struct interrupt *interrupt) {
    const struct run *run = context;
    return measure_rank(run->drawing.ascent, &run->network.net, &run->job, run->network.deepest, interrupt);
}

/* This rank's part of the tables, a small one at a time. */
static int fill_tables(struct run *run, struct error *error) {
    enum { STEPS = 64 };
    const struct interrupt interrupt = {goes_on, run};
    int status = STATUS_OK;
    for (int i = 0; i < STEPS && !status; i++) {
        network_fill_tables(&run->network, run->shared.part * STEPS + i, run->shared.parts * STEPS);
        status = interrupt_check(&interrupt, error);
    }
    return status;
}

/* Clocks of nodes have nothing to do with each other, so the time that is left is what travels. */
static void share_end(struct run *run) {
    double left = run->end - clock_now();
    cluster_broadcast(&left, sizeof left);
    if (run->cluster.rank)
        run->end = clock_now() + left;
}

static void describe_drawing(struct run *run) {
    run->drawing = (struct drawing){.job = &run->job,
                                    .net = &run->network.net,
                                    .batch = run->options.batch,
                                    .trace = run->options.trace,
                                    .silence = run->options.rank_timeout,
                                    .measure = run->end < INFINITY ? measure_speed : NULL,
                                    .publish = publish_layer,
                                    .publish_tables = publish_tables,
                                    .context = run};
    strcpy(run->drawing.job_digest, run->store.job_digest);
    describe_kernels(run, run->drawing.kernels);
}

int run_prepare_all(struct run *run, struct error *error) {
    int deepest = deepest_layer(&run->first.units), together = unit_list_largest(&run->first.units);
    share_end(run);
    cluster_broadcast(&deepest, sizeof deepest);
    cluster_broadcast(&together, sizeof together);
    cluster_broadcast(run->store.folder, sizeof run->store.folder);
    cluster_broadcast(run->store.job_digest, sizeof run->store.job_digest);
    cluster_broadcast(&run->damaged, sizeof run->damaged);
    int status = cluster_agree(&run->cluster, share_weights(run, deepest, error), error);
    if (status)
        return status;
    describe_drawing(run);
    status = cluster_agree(&run->cluster, explain_stop(run, fill_tables(run, error), error), error);
    if (status)
        return status;
    shared_settle(&run->cluster, &run->shared);
    status = gemm_prepare(error);
    if (!status)
        status = ascent_make(&run->network, &run->job, deepest, together, &run->drawing.ascent, error);
    return cluster_agree(&run->cluster, status, error);
}

void run_free(struct run *run) {
    ascent_free(run->drawing.ascent);
    network_free(&run->network);
    if (run->weights.values == run->shared.bytes)
        run->weights.values = NULL;
    shared_free(&run->shared);
    weights_free(&run->weights);
    for (int l = 0; l < VGG_MAX_LAYERS; l++) {
        store_layer_free(&run->first.drawn[l]);
        text_free(&run->first.lines[l]);
    }
    store_damage_free(&run->first.damage);
    schedule_free(&run->first.schedule);
    unit_list_free(&run->first.units);
    lock_release(run->first.lock);
}
