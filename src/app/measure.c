#include "measure.h"

#include "filteratlas/ascent/cost.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/gemm.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_PROCESSES = 256 };

static const double SECONDS = 2;

/* What is measured: single iterations of a layer at the largest octave, which takes most of a picture's time, and at
 * the smallest, in batches. */
struct trial {
    struct ascent *ascent;
    const struct ascent_job *job;
    const struct vgg *net;
    int layer, batch;
    double measured, nominal; /* seconds: taken, and as cost.h says */
};

/* One iteration of `count` filters at an octave. False if no filter lives. */
static bool iterate(struct trial *trial, int octave, int count) {
    int channels = trial->net->layer[trial->layer].out_channels;
    bool lives;
    count = count < channels ? count : channels;
    trial->measured += ascent_time(trial->ascent, trial->layer, octave, count, &lives);
    trial->nominal += cost_iteration(trial->net, trial->job, octave, trial->layer, count);
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

/* Deep filters are dead at first sight in some networks: then a layer further up is measured. False if interrupted. */
static bool find_live_layer(struct trial *trial, const struct interrupt *interrupt) {
    while (interrupt_goes_on(interrupt)) {
        if (iterate(trial, 0, trial->batch) || !trial->layer)
            return true;
        trial->layer--;
    }
    return false;
}

/* Seconds for a nominal second. */
static double measure_scale(struct trial *trial, int processes) {
    pid_t company[MOST_PROCESSES];
    find_live_layer(trial, NULL);
    try_once(trial); /* the memory's first touch takes time of its own */
    int others = start_company(trial, processes - 1, company);
    trial->measured = trial->nominal = 0;
    for (double start = clock_now(); clock_now() - start < SECONDS;)
        try_once(trial);
    end_company(company, others);
    return trial->measured / trial->nominal;
}

/* [bytes] of a finished picture; its PNG file has hardly more, and stands in memory twice on its way to rank 0. */
static double picture_bytes(const struct octaves *octaves) {
    return 3.0 * octaves->width[octaves->steps] * octaves->height[octaves->steps];
}

static const int png_copies = 2;

/* Memory that nothing is written to isn't there yet: without a measurement, this takes no time and no room. */
int measure(const struct weights *weights, const struct ascent_job *job, const struct winograd_kernels *kernels,
            int deepest, int batch, int ranks, struct measurement *measurement, struct error *error) {
    size_t table_bytes = network_table_bytes(&weights->net, &job->octaves, deepest, kernels);
    void *tables = huge_pages_allocate(table_bytes);
    struct network network = {0};
    struct ascent *ascent = NULL;
    int status = tables ? STATUS_OK : error_memory(error, (double)table_bytes, "tables");
    *measurement = (struct measurement){.node_bytes = (double)(table_bytes + weights->count * sizeof(float))};
    if (!status)
        status = network_place(weights, &job->octaves, deepest, kernels, tables, &network, error);
    if (!status && ranks)
        status = gemm_prepare(error);
    if (!status)
        status = ascent_make(&network, job, deepest, batch, &ascent, error);
    if (!status)
        measurement->rank_bytes = ascent_bytes(ascent) + png_copies * picture_bytes(&job->octaves);
    if (!status && ranks) {
        struct trial trial = {ascent, job, &network.net, .layer = deepest, .batch = batch};
        measurement->processes = company_size(ranks, measurement->rank_bytes);
        network_fill_tables(&network, 0, 1);
        measurement->scale = measure_scale(&trial, measurement->processes);
    }
    ascent_free(ascent);
    network_free(&network);
    free(tables);
    return status;
}

double measure_rank(struct ascent *ascent, const struct vgg *net, const struct ascent_job *job, int deepest,
                    const struct interrupt *interrupt) {
    struct trial trial = {ascent, job, net, .layer = deepest, .batch = 1};
    if (!find_live_layer(&trial, interrupt))
        return 0;
    trial.measured = trial.nominal = 0;
    iterate(&trial, 0, 1);
    return trial.measured / trial.nominal;
}
