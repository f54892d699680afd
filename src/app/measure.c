#include "measure.h"

#include "filteratlas/clock.h"
#include "filteratlas/cost.h"
#include "filteratlas/noise.h"
#include "filteratlas/pages.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_PROCESSES = 256 };

static const double SECONDS = 2;
static const struct objective mean; /* of the whole map */

/* What is measured: single iterations of a layer at the largest octave, which takes most of a picture's time, and at
 * the smallest, in batches. */
struct trial {
    const struct network *network;
    struct network_memory *memory;
    const struct octaves *octaves;
    int layer, batch;
    float *pictures;          /* [batch][2]: of the largest octave, and its gradient */
    double measured, nominal; /* seconds: taken, and as cost.h says */
};

/* One iteration of `count` filters at an octave. False if no filter lives: the way back through nothing but zeros takes
 * no time. */
static bool iterate(struct trial *trial, int octave, int count) {
    const struct octaves *octaves = trial->octaves;
    int channels = trial->network->net.layer[trial->layer].out_channels, live = 0;
    size_t floats = (size_t)octaves->height[octave] * octaves->width[octave] * 3;
    struct network_picture picture[ASCENT_MAX_BATCH];
    count = count < channels ? count : channels;
    for (int i = 0; i < count; i++) {
        float *x = trial->pictures + 2 * i * floats;
        noise_picture(&(struct noise_stream){.layer = trial->layer, .filter = i}, floats, x);
        picture[i] = (struct network_picture){.filter = i, .x = x, .gradient = x + floats};
    }
    double start = clock_now();
    network_gradients(trial->network, trial->memory, &mean, trial->layer, octaves->height[octave],
                      octaves->width[octave], picture, count);
    trial->measured += clock_now() - start;
    trial->nominal += cost_iteration(&trial->network->net, octaves, octave, trial->layer, count);
    for (int i = 0; i < count; i++)
        live += picture[i].loss > 0;
    return live > 0;
}

static void try_once(struct trial *trial) {
    iterate(trial, trial->octaves->steps - 1, 1);
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

/* Deep filters are dead at first sight in some networks: then a layer further up is measured. */
static int measure_scale(struct trial *trial, int processes, double *scale, struct error *error) {
    const struct octaves *octaves = trial->octaves;
    int largest = octaves->steps - 1;
    size_t bytes = 2 * sizeof(float) * (size_t)octaves->height[largest] * octaves->width[largest] * 3 * trial->batch;
    trial->pictures = malloc(bytes);
    if (!trial->pictures)
        return error_memory(error, (double)bytes, "a measurement");
    pid_t company[MOST_PROCESSES];
    while (!iterate(trial, 0, trial->batch) && trial->layer > 0)
        trial->layer--;
    try_once(trial); /* the memory's first touch takes time of its own */
    int others = start_company(trial, processes - 1, company);
    trial->measured = trial->nominal = 0;
    for (double start = clock_now(); clock_now() - start < SECONDS;)
        try_once(trial);
    end_company(company, others);
    *scale = trial->measured / trial->nominal;
    free(trial->pictures);
    return STATUS_OK;
}

/* [bytes] of a finished picture; its PNG file has hardly more, and stands in memory twice on its way to rank 0. */
static double picture_bytes(const struct octaves *octaves) {
    return 3.0 * octaves->width[octaves->steps] * octaves->height[octaves->steps];
}

static const int png_copies = 2;

/* Memory that nothing is written to isn't there yet: without a measurement, this takes no time and no room. */
int measure(const struct weights *weights, const struct ascent_job *job, int deepest, int batch, int ranks,
            struct measurement *measurement, struct error *error) {
    size_t table_bytes = network_table_bytes(&weights->net, &job->octaves, deepest);
    float *tables = pages_allocate(table_bytes);
    struct network network = {0};
    struct network_memory memory = {0};
    int status = tables ? STATUS_OK : error_memory(error, (double)table_bytes, "tables");
    *measurement = (struct measurement){.node_bytes = (double)(table_bytes + weights->count * sizeof(float))};
    if (!status)
        status = network_place(weights, &job->octaves, deepest, winograd_find_kernels(NULL), tables, &network, error);
    if (!status)
        status = network_memory_make(&network, &job->octaves, deepest, batch, &memory, error);
    if (!status)
        measurement->rank_bytes =
            (double)memory.bytes + ascent_picture_bytes(job, batch) + png_copies * picture_bytes(&job->octaves);
    if (!status && ranks) {
        struct trial trial = {&network, &memory, &job->octaves, .layer = deepest, .batch = batch};
        measurement->processes = company_size(ranks, measurement->rank_bytes);
        network_fill_tables(&network, 0, 1);
        status = measure_scale(&trial, measurement->processes, &measurement->scale, error);
    }
    network_memory_free(&memory);
    network_free(&network);
    free(tables);
    return status;
}
