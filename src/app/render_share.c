#include "command.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/net/gemm.h"
#include "measure.h"
#include "network.h"
#include "network_share.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The network ----------------------------------------------------------------------------------------------------- */

/* Bytes of the tables, of an executor that rank 0 makes for that. */
static int find_table_bytes(const struct run *run, size_t *bytes, struct error *error) {
    struct executor *executor = NULL;
    int status = executor_make(&run->model.graph, &run->job.octaves, run->nodes, run->kernels, &executor, error);
    if (!status)
        *bytes = executor_table_bytes(executor);
    executor_free(executor);
    return status;
}

static int share_network(struct run *run, struct error *error) {
    const struct cluster *cluster = &run->cluster;
    size_t tables = 0;
    void *place, *nodes = run->nodes;
    int status = network_share_graph(cluster, &run->model, error);
    if (!status)
        status = network_share_array(cluster, (size_t)run->model.graph.nodes * sizeof *run->nodes, &nodes, error);
    run->nodes = nodes;
    if (status)
        return status;
    run->job = network_job(&run->options, &run->model.graph);
    status = cluster_agree(cluster, cluster->rank ? STATUS_OK : find_table_bytes(run, &tables, error), error);
    if (!status)
        status =
            network_share_values(cluster, &run->model, tables, !run->options.no_shared, &run->shared, &place, error);
    if (status)
        return status;
    status = executor_make(&run->model.graph, &run->job.octaves, run->nodes, run->kernels, &run->executor, error);
    if (!status)
        status = executor_place(run->executor, place, error);
    return cluster_agree(cluster, status, error);
}

/* This rank's part of the tables, a small one at a time. */
static int fill_tables(struct run *run, struct error *error) {
    enum { STEPS = 64 };
    const struct interrupt interrupt = {run_goes_on, run};
    int status = STATUS_OK;
    for (int i = 0; i < STEPS && !status; i++) {
        status = executor_fill_tables(run->executor, run->shared.part * STEPS + i, run->shared.parts * STEPS, error);
        if (!status)
            status = interrupt_check(&interrupt, error);
    }
    return status;
}

/* Drawing --------------------------------------------------------------------------------------------------------- */

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
    return measure_rank(run->drawing.ascent, run->executor, &run->model.layers, &run->job, interrupt);
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
                                    .layers = &run->model.layers,
                                    .batch = run->options.batch,
                                    .trace = run->options.trace,
                                    .silence = run->options.rank_timeout,
                                    .measure = run->end < INFINITY ? measure_speed : NULL,
                                    .publish = publish_layer,
                                    .publish_tables = publish_tables,
                                    .context = run};
    strcpy(run->drawing.job_digest, run->store.job_digest);
    run_describe_kernels(run, run->drawing.kernels);
}

/* What only rank 0 has found out so far, but for the network. */
static void share_facts(struct run *run) {
    share_end(run);
    cluster_broadcast(&run->options.size, sizeof run->options.size);
    cluster_broadcast(run->store.folder, sizeof run->store.folder);
    cluster_broadcast(run->store.job_digest, sizeof run->store.job_digest);
    cluster_broadcast(run->store.prefix, sizeof run->store.prefix);
    cluster_broadcast(&run->damaged, sizeof run->damaged);
}

int run_prepare_all(struct run *run, struct error *error) {
    int together = unit_list_largest(&run->first.units);
    share_facts(run);
    cluster_broadcast(&together, sizeof together);
    int status = share_network(run, error);
    if (status)
        return status;
    describe_drawing(run);
    status = cluster_agree(&run->cluster, run_explain_stop(run, fill_tables(run, error), error), error);
    if (status)
        return status;
    shared_settle(&run->cluster, &run->shared);
    status = gemm_prepare(error);
    if (!status)
        status = ascent_make(run->executor, &run->job, together, &run->drawing.ascent, error);
    return cluster_agree(&run->cluster, status, error);
}

void run_free(struct run *run) {
    ascent_free(run->drawing.ascent);
    executor_free(run->executor);
    for (int l = 0; l < run->model.layers.count; l++) {
        if (run->first.drawn)
            store_layer_free(&run->first.drawn[l]);
        if (run->first.lines)
            text_free(&run->first.lines[l]);
    }
    free(run->first.drawn);
    free(run->first.lines);
    free(run->nodes);
    network_share_free(&run->model, &run->shared);
    store_damage_free(&run->first.damage);
    schedule_free(&run->first.schedule);
    unit_list_free(&run->first.units);
    free(run->first.costs);
    selection_free(&run->first.selection);
    lock_release(run->first.lock);
}
