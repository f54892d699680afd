#include "command.h"
#include "filteratlas/atlas/layer_list.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/winograd.h"
#include "limit.h"
#include "network.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool run_goes_on(void *context) {
    const struct run *run = context;
    return !cluster_signal(&run->cluster) && clock_now() < run->end;
}

int run_explain_stop(const struct run *run, int status, struct error *error) {
    int signal = cluster_signal(&run->cluster);
    if (status == STATUS_STOPPED)
        stop_error(signal ? stop_signal_name(signal) : "time limit", error);
    return status;
}

static int open_store(struct run *run, struct error *error) {
    struct store_entry entries[COMMAND_JOB_ENTRIES];
    struct text values = {0};
    int count = command_job_entries(&run->options, &run->model, &values, entries);
    const struct interrupt interrupt = {run_goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    int status = store_open(run->options.out, entries, count, &patience, &run->store, error);
    text_free(&values);
    return status;
}

/* This run becomes the one writer of the layers it has selected. */
static int lock_layers(struct run *run, struct error *error) {
    const struct layers *layers = &run->model.layers;
    const char **names = calloc((size_t)layers->count + 1, sizeof *names);
    int count = 0;
    if (!names)
        return error_memory(error, layers->count * (double)sizeof *names, "names");
    for (int l = 0; l < layers->count; l++)
        if (run->first.selection.layer[l])
            names[count++] = layers->layer[l].name;
    const struct interrupt interrupt = {run_goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    int status = store_begin(&run->store, names, count, &patience, &run->first.lock, error);
    free(names);
    return status ? status : layer_list_write(&run->store, layers, &patience, error);
}

/* Pictures are looked at in the selected layers: the others' are another run's, as in an array job. */
static int read_drawn(struct run *run, struct error *error) {
    const struct layers *layers = &run->model.layers;
    const struct interrupt interrupt = {run_goes_on, run};
    struct store_damage others = {0};
    struct run_first *first = &run->first;
    first->drawn = calloc((size_t)layers->count + 1, sizeof *first->drawn);
    first->lines = calloc((size_t)layers->count + 1, sizeof *first->lines);
    int status = first->drawn && first->lines ? STATUS_OK : error_memory(error, layers->count, "the layers");
    for (int l = 0; l < layers->count && !status; l++)
        status = first->selection.layer[l]
                     ? store_read_layer(&run->store, layers->layer[l].name, &interrupt, &first->drawn[l],
                                        &first->damage, error)
                     : store_read_records(&run->store, layers->layer[l].name, &first->drawn[l], &others, error);
    store_damage_free(&others);
    run->damaged = first->damage.count > 0;
    return status;
}

void run_describe_kernels(const struct run *run, char kernels[STORE_KERNELS_SIZE]) {
    snprintf(kernels, STORE_KERNELS_SIZE, "%s %s", winograd_kernels_name(run->kernels), gemm_core());
}

/* Kernels round each in their own way: with others an atlas is not the bytes of any machine. */
static int check_kernels(const struct run *run, struct error *error) {
    char mine[STORE_KERNELS_SIZE];
    run_describe_kernels(run, mine);
    const char *others = command_find_kernels(run->first.drawn, run->model.layers.count, mine);
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
    const struct interrupt interrupt = {run_goes_on, run};
    struct limit limit;
    run->end = INFINITY;
    int status = limit_set(&run->options, run->start, &interrupt, &limit, error);
    run->deadline = limit.deadline;
    run->end = limit.end;
    return run_explain_stop(run, status, error);
}

/* What there is to draw, and in which units. */
static int make_units(struct run *run, struct error *error) {
    struct run_first *first = &run->first;
    int status = network_make_costs(&run->model, first->selection.layer, &run->job, run->kernels, &first->costs, error);
    return status ? status
                  : unit_list_make(first->costs, run->model.layers.count, run->options.batch, wanted, run,
                                   &first->units, error);
}

/* What the ranks prepare themselves to draw: the layers with units left, one that was selected if there are none. */
static int mark_nodes(struct run *run, struct error *error) {
    const struct layers *layers = &run->model.layers;
    const struct unit_list *units = &run->first.units;
    int nodes = run->model.graph.nodes, l = 0;
    run->nodes = calloc((size_t)nodes, sizeof *run->nodes);
    if (!run->nodes)
        return error_memory(error, nodes, "the network");
    for (int u = 0; u < units->count; u++)
        run->nodes[layers->layer[units->unit[u].layer].node] = true;
    while (!units->count && !run->first.selection.layer[l])
        l++;
    if (!units->count)
        run->nodes[layers->layer[l].node] = true;
    return STATUS_OK;
}

int run_prepare_first(struct run *run, struct error *error) {
    struct options *options = &run->options;
    const struct interrupt interrupt = {run_goes_on, run};
    int status = network_read(options, &interrupt, &run->model, &run->first.selection, &run->abandoned, error);
    if (!status) {
        run->job = network_job(options, &run->model.graph);
        status = open_store(run, error);
    }
    if (!status)
        status = lock_layers(run, error);
    if (!status)
        status = read_drawn(run, error);
    if (!status)
        status = make_units(run, error);
    if (!status)
        status = check_kernels(run, error);
    if (!status)
        status = schedule_make(&run->first.units, run->cluster.ranks, &run->first.schedule, error);
    if (!status)
        status = mark_nodes(run, error);
    return run_explain_stop(run, status, error);
}
