#include "measure.h"

#include "copying.h"
#include "filteratlas/ascent/cost.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/gemm.h"
#include "network.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_PROCESSES = 256 };

static const double SECONDS = 2, COPYING_SECONDS = 0.3;

/* What is measured: single iterations of a layer at the largest octave, which takes most of a picture's time, and at
 * the smallest, in batches. */
struct trial {
    struct ascent *ascent;
    const struct ascent_job *job;
    const struct executor *executor;
    const struct layers *layers;
    int layer, batch;
    double measured, nominal; /* seconds: taken, and as cost.h says */
    double moved;             /* bytes, by network_traffic's count */
};

/* One iteration of `count` filters at an octave. False if no filter lives. */
static bool iterate(struct trial *trial, int octave, int count) {
    const struct layer *layer = &trial->layers->layer[trial->layer];
    bool lives;
    double nominal = 0;
    struct network_traffic traffic = {0};
    struct error ignored; /* without memory for a plan, it is not counted */
    count = count < layer->filters ? count : layer->filters;
    trial->measured += ascent_time(trial->ascent, layer->node, octave, count, &lives);
    cost_iteration(trial->executor, trial->job, octave, layer->node, count, &nominal, &ignored);
    executor_traffic(trial->executor, layer->node, octave, count, &traffic, &ignored);
    trial->nominal += nominal;
    trial->moved += traffic.tables + traffic.maps;
    return lives;
}

static void try_once(struct trial *trial) {
    iterate(trial, trial->job->octaves.steps - 1, 1);
    iterate(trial, 0, trial->batch);
}

/* Other processes that do the same meanwhile, as ranks would: cores share memory and the clock's budget. They end with
 * this one. Where one can't be started, there are fewer. */
static int start_company(struct trial *trial, int count, pid_t *company) {
    int started = 0;
    for (; started < count; started++) {
        company[started] = fork();
        if (company[started] < 0)
            break;
        if (company[started] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                try_once(trial);
        }
    }
    return started;
}

static void end_company(const pid_t *company, int count) {
    for (int i = 0; i < count; i++)
        kill(company[i], SIGKILL);
    for (int i = 0; i < count; i++)
        waitpid(company[i], NULL, 0);
}

/* Processes that measure at once: as many as ranks would be on this machine, but with room in a quarter of what memory
 * is free. */
static int company_size(int ranks, double rank_bytes) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    double room = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 4 / rank_bytes;
    double processes = fmin(fmin(ranks, (double)cores), fmax(room, 1));
    return (int)fmin(processes, MOST_PROCESSES);
}

/* The last layer before `layer` that can be drawn; -1 if there is none. */
static int layer_before(const struct trial *trial, int layer) {
    do
        layer--;
    while (layer >= 0 && !executor_has_layer(trial->executor, trial->layers->layer[layer].node));
    return layer;
}

/* Deep filters are dead at first sight in some networks: then a layer further up is measured. False if interrupted. */
static bool find_live_layer(struct trial *trial, const struct interrupt *interrupt) {
    while (interrupt_goes_on(interrupt)) {
        int before = layer_before(trial, trial->layer);
        if (iterate(trial, 0, trial->batch) || before < 0)
            return true;
        trial->layer = before;
    }
    return false;
}

/* Seconds for a nominal second. */
static double measure_scale(struct trial *trial, int processes) {
    pid_t company[MOST_PROCESSES];
    find_live_layer(trial, NULL);
    try_once(trial); /* the memory's first touch takes time of its own */
    int others = start_company(trial, processes - 1, company);
    trial->measured = trial->nominal = trial->moved = 0;
    for (double start = clock_now(); clock_now() - start < SECONDS;)
        try_once(trial);
    end_company(company, others);
    return trial->measured / trial->nominal;
}

/* [bytes] of a finished picture; its PNG file has hardly more, and stands in memory where it was drawn and at rank 0.
 */
static double picture_bytes(const struct octaves *octaves) {
    return 3.0 * octaves->width[octaves->steps] * octaves->height[octaves->steps];
}

static const int png_copies = 2;

/* What drawing takes, ready but for what is in the tables. */
struct workshop {
    bool *nodes;
    struct executor *executor;
    void *tables;
    struct ascent *ascent;
};

static int make_workshop(const struct model *model, const bool *chosen, const struct ascent_job *job,
                         const struct winograd_kernels *kernels, int batch, struct workshop *w, struct error *error) {
    w->nodes = malloc((size_t)model->graph.nodes * sizeof *w->nodes);
    if (!w->nodes)
        return error_memory(error, model->graph.nodes, "the network");
    network_mark_nodes(model, chosen, w->nodes);
    int status = executor_make(&model->graph, &job->octaves, w->nodes, kernels, &w->executor, error);
    if (status)
        return status;
    size_t bytes = executor_table_bytes(w->executor);
    w->tables = huge_pages_allocate(bytes);
    status = w->tables ? executor_place(w->executor, w->tables, error) : error_memory(error, (double)bytes, "tables");
    return status ? status : ascent_make(w->executor, job, batch, &w->ascent, error);
}

static void workshop_free(struct workshop *w) {
    ascent_free(w->ascent);
    executor_free(w->executor);
    free(w->tables);
    free(w->nodes);
}

static int measure_speed(const struct workshop *w, const struct model *model, const struct ascent_job *job, int batch,
                         int ranks, struct measurement *measurement, struct error *error) {
    struct trial trial = {w->ascent, job, w->executor, &model->layers, .layer = model->layers.count, .batch = batch};
    trial.layer = layer_before(&trial, trial.layer);
    measurement->processes = company_size(ranks, measurement->rank_bytes);
    int status = gemm_prepare(error);
    if (!status)
        status = executor_fill_tables(w->executor, 0, 1, error);
    if (status)
        return status;
    measurement->scale = measure_scale(&trial, measurement->processes);
    measurement->traffic = trial.moved / trial.measured;
    measurement->copiers = company_size(MOST_PROCESSES, COPYING_BYTES);
    measurement->copying = copying_measure(measurement->copiers, COPYING_SECONDS);
    return STATUS_OK;
}

/* Memory that nothing is written to isn't there yet: without a measurement, this takes no time and no room. */
int measure(const struct model *model, const bool *chosen, const struct ascent_job *job,
            const struct winograd_kernels *kernels, int batch, int ranks, struct measurement *measurement,
            struct error *error) {
    struct workshop workshop = {.nodes = NULL};
    int status = make_workshop(model, chosen, job, kernels, batch, &workshop, error);
    if (!status) {
        double values = (double)model->graph.value_count * sizeof(float);
        *measurement = (struct measurement){.node_bytes = (double)executor_table_bytes(workshop.executor) + values,
                                            .rank_bytes = ascent_bytes(workshop.ascent) +
                                                          png_copies * picture_bytes(&job->octaves)};
        if (ranks)
            status = measure_speed(&workshop, model, job, batch, ranks, measurement, error);
    }
    workshop_free(&workshop);
    return status;
}

double measure_rank(struct ascent *ascent, const struct executor *executor, const struct layers *layers,
                    const struct ascent_job *job, const struct interrupt *interrupt) {
    struct trial trial = {ascent, job, executor, layers, .layer = layers->count, .batch = 1};
    trial.layer = layer_before(&trial, trial.layer);
    if (!find_live_layer(&trial, interrupt))
        return 0;
    trial.measured = trial.nominal = 0;
    iterate(&trial, 0, 1);
    return trial.measured / trial.nominal;
}
