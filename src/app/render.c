#include "command.h"
#include "filteratlas/app.h"
#include "filteratlas/clock.h"
#include "filteratlas/cluster.h"
#include "filteratlas/distribute.h"
#include "filteratlas/gemm.h"
#include "filteratlas/png_file.h"
#include "filteratlas/progress.h"
#include "filteratlas/selection.h"
#include "filteratlas/shared.h"
#include "filteratlas/stop.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Raised whenever a change may alter the bytes of a picture: an older store is then refused, not mixed. */
static const char ARITHMETIC[] = "1";

/* A run, as every rank has it; the second half is rank 0's alone. */
struct run {
    struct cluster cluster;
    struct options options;
    struct ascent_job job;
    struct weights weights; /* its values are rank 0's own at first, then the shared ones */
    struct shared shared;   /* values of the weights, then the tables */
    struct network network;
    struct drawing drawing;

    struct selection selection;
    struct store store;
    struct lock *lock;
    struct store_layer drawn[VGG_MAX_LAYERS]; /* what was in the store before */
    int damaged;
    struct unit_list units;
    struct schedule schedule;
    struct progress progress;
    struct text lines[VGG_MAX_LAYERS];
    struct coordinator_account account;
    double start, deadline, limit; /* seconds of the monotonic clock; after the deadline only what is done is kept */
};

/* Stopping before and between the stages ------------------------------------------------------------------------- */

/* For what takes long before the ranks draw; from then on the coordinator decides. */
static bool goes_on(void *context) {
    const struct run *run = context;
    return !stop_signal() && clock_now() < run->deadline;
}

/* STATUS_STOPPED if the run was asked to stop. */
static int check_stop(struct run *run, struct error *error) {
    if (goes_on(run))
        return STATUS_OK;
    return stop_error(stop_signal() ? stop_signal_name(stop_signal()) : "time limit", error);
}

/* The same once a stage has ended so: whoever was called off in its midst can't say why. */
static int after_stage(struct run *run, int status, struct error *error) {
    return status && status != STATUS_STOPPED ? status : check_stop(run, error);
}

/* Rank 0's checks and files ---------------------------------------------------------------------------------------- */

static int open_store(struct run *run, struct error *error) {
    struct store_entry entries[OPTIONS_JOB_ENTRIES + 3];
    struct text values = {0};
    int count = 0;
    entries[count++] = (struct store_entry){"arithmetic", ARITHMETIC};
    entries[count++] = (struct store_entry){"network", run->weights.net.variant};
    entries[count++] = (struct store_entry){"weights-sha256", run->weights.sha256};
    count += options_job_entries(&run->options, &values, entries + count);
    int status = store_open(run->options.out, entries, count, &run->store, error);
    text_free(&values);
    return status;
}

/* This run becomes the one writer of the layers it has selected. */
static int lock_layers(struct run *run, struct error *error) {
    const char *names[VGG_MAX_LAYERS];
    int count = 0;
    for (int l = 0; l < run->weights.net.layers; l++)
        if (run->selection.layer[l])
            names[count++] = run->weights.net.layer[l].name;
    int status = lock_take(run->store.folder, names, count, NULL, &run->lock, error);
    run->store.lock = run->lock;
    return status;
}

static int read_drawn(struct run *run, struct error *error) {
    const struct vgg *net = &run->weights.net;
    int status = STATUS_OK;
    for (int l = 0; l < net->layers && !status; l++) {
        int damaged = 0;
        status = check_stop(run, error);
        if (status)
            break;
        status = store_read_layer(&run->store, net->layer[l].name, &run->drawn[l], &damaged, error);
        run->damaged += damaged;
    }
    return status;
}

static bool wanted(const void *context, int layer, int filter) {
    const struct run *run = context;
    return selection_has(&run->selection, layer, filter) && !store_layer_has(&run->drawn[layer], filter);
}

/* When to stop, by the monotonic clock, with a margin for the last commits. INFINITY without a limit. */
static int set_deadline(struct run *run, struct error *error) {
    static const double margin = 5;
    double limit = run->options.time_limit, now = clock_now();
    run->deadline = run->limit = INFINITY;
    if (limit > 0) {
        run->limit = run->start + limit;
        run->deadline = run->limit - fmin(margin, limit / 10);
    }
    if (limit != OPTIONS_TIME_AUTO)
        return STATUS_OK;
    double end = stop_slurm_end();
    if (end <= 0)
        return error_set(error, STATUS_USAGE, "--time-limit auto: Slurm gives no end of this job; give [H:]M:S");
    run->limit = now + (end - (double)time(NULL));
    run->deadline = run->limit - margin;
    return STATUS_OK;
}

/* All that rank 0 checks and reads before anything starts. */
static int prepare_rank_0(struct run *run, struct error *error) {
    const struct options *options = &run->options;
    int status = check_stop(run, error);
    if (!status)
        status = weights_read(options->weights, &run->weights, error);
    if (!status)
        status = check_stop(run, error);
    if (!status)
        status = selection_make(options, &run->weights.net, &run->selection, error);
    if (!status)
        status = selection_check_size(&run->selection, options, &run->weights.net, error);
    if (!status)
        status = open_store(run, error);
    if (!status)
        status = after_stage(run, lock_layers(run, error), error);
    if (!status)
        status = after_stage(run, read_drawn(run, error), error);
    if (!status)
        status = unit_list_make(&run->weights.net, &run->job.octaves, run->job.epochs, options->batch, wanted, run,
                                &run->units, error);
    return status ? status : schedule_make(&run->units, run->cluster.ranks, &run->schedule, error);
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
    size_t tables = network_table_bytes(&run->weights.net, &run->job.octaves, deepest);
    int status = shared_allocate(&run->cluster, before + tables, !run->options.no_shared, &run->shared, error);
    if (status)
        return status;
    if (own)
        memcpy(run->shared.bytes, own, values);
    free(own);
    run->weights.values = run->shared.bytes;
    shared_broadcast(&run->cluster, &run->shared, values);
    return network_place(&run->weights, &run->job.octaves, deepest, winograd_find_kernels(NULL),
                         (float *)((char *)run->shared.bytes + before), &run->network, error);
}

static int publish_layer(const void *context, const char *layer, ascent_goes_on *goes_on, void *link, struct text *line,
                         struct error *error) {
    const struct run *run = context;
    struct store store = run->store;
    store.goes_on = goes_on;
    store.context = link;
    return command_publish_layer(&store, layer, &run->options, run->damaged > 0, line, error);
}

static int publish_tables(const void *context, ascent_goes_on *goes_on, void *link, struct error *error) {
    const struct run *run = context;
    struct store store = run->store;
    store.goes_on = goes_on;
    store.context = link;
    return command_publish_tables(&store, &run->options, run->damaged > 0, error);
}

/* This rank's part of the tables, a small one at a time. */
static int fill_tables(struct run *run, struct error *error) {
    enum { STEPS = 64 };
    int status = STATUS_OK;
    for (int i = 0; i < STEPS && !status; i++) {
        network_fill_tables(&run->network, run->shared.part * STEPS + i, run->shared.parts * STEPS);
        status = check_stop(run, error);
    }
    return status;
}

/* Clocks of nodes have nothing to do with each other, so the time that is left is what travels. */
static void share_deadline(struct run *run) {
    double left = run->deadline - clock_now();
    cluster_broadcast(&left, sizeof left);
    if (run->cluster.rank)
        run->deadline = clock_now() + left;
}

static double measure_speed(const void *context, ascent_goes_on *goes_on, void *link) {
    const struct run *run = context;
    return measure_rank(&run->network, &run->job, goes_on, link);
}

/* Weights, tables and memory on every rank. */
static int prepare_all(struct run *run, struct error *error) {
    int deepest = deepest_layer(&run->units);
    cluster_broadcast(&deepest, sizeof deepest);
    cluster_broadcast(run->store.folder, sizeof run->store.folder);
    cluster_broadcast(run->store.job_digest, sizeof run->store.job_digest);
    cluster_broadcast(&run->damaged, sizeof run->damaged);
    int status = cluster_agree(&run->cluster, share_weights(run, deepest, error), error);
    if (status)
        return status;
    run->drawing = (struct drawing){.job = &run->job,
                                    .net = &run->network.net,
                                    .batch = run->options.batch,
                                    .trace = run->options.trace,
                                    .silence = run->options.rank_timeout,
                                    .measure = run->deadline < INFINITY ? measure_speed : NULL,
                                    .publish = publish_layer,
                                    .publish_tables = publish_tables,
                                    .context = run};
    strcpy(run->drawing.job_digest, run->store.job_digest);
    status = cluster_agree(&run->cluster, fill_tables(run, error), error);
    if (status)
        return status;
    shared_settle(&run->cluster, &run->shared);
    status = ascent_make(&run->network, &run->job, deepest, run->options.batch, &run->drawing.ascent, error);
    return cluster_agree(&run->cluster, status, error);
}

static void processor_name(char *name, size_t size) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(name, size, "unknown processor");
    while (file && fgets(line, sizeof line, file)) {
        char *value = strstr(line, ": ");
        if (!strncmp(line, "model name", 10) && value) {
            snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
            break;
        }
    }
    if (file)
        fclose(file);
}

static void print_header(const struct run *run) {
    const struct options *o = &run->options;
    char processor[128];
    int nodes = cluster_count_nodes(&run->cluster);
    processor_name(processor, sizeof processor);
    printf("filteratlas %s, %s, %s, %s, %s\n", FILTERATLAS_VERSION, run->cluster.mpi, gemm_description(),
           png_description(), weights_description());
    printf("%d rank%s on %d host%s (%s first), one drawing thread each, %s, %s convolutions\n", run->cluster.ranks,
           run->cluster.ranks == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", run->cluster.host, processor,
           winograd_kernels_name(run->network.kernels));
    printf("weights %s: %s, %d filters, SHA-256 %.16s...\n", o->weights, run->weights.net.variant,
           vgg_filters(&run->weights.net), run->weights.sha256);
    printf("job %.16s...: %dx%d pixels, %d octaves of %d steps, factor %g, seed %llu\n", run->store.job_digest,
           o->size.width, o->size.height, o->steps, o->epochs, o->factor, (unsigned long long)o->seed);
    int there = 0;
    for (int l = 0; l < run->weights.net.layers; l++)
        there += run->drawn[l].count;
    printf("to draw: %d filters in %d units, %.2f TFLOP; in %s already: %d\n", unit_list_filters(&run->units),
           run->units.count, unit_list_flops(&run->units) / 1e12, o->out, there);
    fflush(stdout);
}

static void print_totals(const struct run *run, double seconds) {
    const struct progress *p = &run->progress;
    int drawn = p->live + p->dead;
    char time[24];
    progress_format_time(seconds, time);
    printf("done: %d filters drawn, %d live, %d dead, in %s on %d rank%s (%.2f filters/s, %.1f %% of the time in the "
           "ascent); the atlas is in %s\n",
           drawn, p->live, p->dead, time, run->cluster.ranks, run->cluster.ranks == 1 ? "" : "s", drawn / seconds,
           100 * p->drawing / (seconds * run->cluster.ranks), run->options.out);
    double held = 100 * run->account.held / (seconds * run->cluster.ranks);
    if (held >= 1)
        printf("the disk was slower than the ranks, which waited for it %.0f %% of the time\n", held);
    if (run->options.verbose)
        printf(
            "%d commits, the slowest after %.2f s, at most %.1f MB waiting for the disk; the ranks waited %.1f %% of "
            "the time for orders\n",
            run->account.commits, run->account.commit, (double)run->account.most / 1e6,
            100 * run->account.waited / (seconds * run->cluster.ranks));
    fflush(stdout);
}

/* Kernels round each in their own way: on processors of two kinds the pictures depend on who drew them. Collective. */
static void warn_of_other_kernels(const struct run *run) {
    char mine[CLUSTER_TEXT_SIZE], other[CLUSTER_TEXT_SIZE];
    snprintf(mine, sizeof mine, "%s, %s", winograd_kernels_name(run->network.kernels), gemm_description());
    int rank = cluster_find_other(&run->cluster, mine, other);
    if (rank > 0 && run->cluster.rank == 0)
        fprintf(stderr,
                "filteratlas: rank %d on %s: computes with %s, rank 0 with %s: their pictures are not the same bytes; "
                "use nodes of one kind and the same OPENBLAS variables\n",
                rank, run->cluster.hosts[rank], other, mine);
}

/* What a person should know before it begins. */
static void print_notices(const struct run *run) {
    const struct shared *shared = &run->shared;
    if (run->damaged)
        fprintf(stderr,
                "filteratlas: %s: %d filters are damaged or incomplete in the store; those selected are drawn again\n",
                run->options.out, run->damaged);
    if (shared->nodes_without)
        fprintf(
            stderr,
            "filteratlas: %s%s: %.0f MB of shared memory are too few for the tables: each rank there keeps its own; "
            "enlarge /dev/shm, or say --no-shared\n",
            shared->host_without, shared->nodes_without > 1 ? " and other nodes" : "", shared->free_bytes / 1e6);
}

/* Pictures that may wait for the disk: what rank 0 has room for, after all that the ranks of its node take. */
static size_t queue_bytes(void) {
    static const double share = 1.0 / 8, least = 64 << 20, most = 1 << 30;
    double available = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return (size_t)fmin(fmax(share * available, least), most);
}

static void print_line(void *context, const char *line) {
    const struct run *run = context;
    if (run->options.quiet)
        return;
    printf("%s\n", line);
    fflush(stdout);
}

static void count_filter(void *context, const char *layer, const struct store_filter *filter) {
    struct run *run = context;
    progress_filter(&run->progress, layer, filter);
}

static void end_progress(void *context) {
    struct run *run = context;
    progress_end(&run->progress);
}

/* What there is to say at the end. */
static void print_end(const struct run *run) {
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        if (run->lines[l].size)
            fputs(run->lines[l].bytes, stdout);
    print_totals(run, clock_now() - run->start);
}

/* Draws, and makes all files. Collective. */
static int draw(struct run *run, struct error *error) {
    bool first = run->cluster.rank == 0;
    char stop_file[DURABLE_PATH_SIZE];
    snprintf(stop_file, sizeof stop_file, "%s/stop", run->store.folder);
    struct coordination coordination = {.stop = {.deadline = run->deadline,
                                                 .limit = run->limit,
                                                 .grace = run->options.grace,
                                                 .silence = run->options.rank_timeout,
                                                 .file = stop_file},
                                        .schedule = &run->schedule,
                                        .store = &run->store,
                                        .queue_bytes = queue_bytes(),
                                        .progress = count_filter,
                                        .drawn = end_progress,
                                        .say = print_line,
                                        .context = run,
                                        .lines = run->lines,
                                        .account = &run->account};
    memcpy(coordination.publish, run->selection.layer, sizeof coordination.publish);
    warn_of_other_kernels(run);
    if (first && !run->options.quiet)
        print_header(run);
    if (first) {
        print_notices(run);
        progress_start(&run->progress, &run->options, &run->weights.net, &run->units);
    }
    int status = distribute(&run->cluster, &run->drawing, first ? &coordination : NULL, error);
    if (first) {
        progress_end(&run->progress);
        if (!status && !run->options.quiet)
            print_end(run);
    }
    return status;
}

static void run_free(struct run *run) {
    ascent_free(run->drawing.ascent);
    network_free(&run->network);
    if (run->weights.values == run->shared.bytes)
        run->weights.values = NULL;
    shared_free(&run->shared);
    weights_free(&run->weights);
    for (int l = 0; l < VGG_MAX_LAYERS; l++) {
        store_layer_free(&run->drawn[l]);
        text_free(&run->lines[l]);
    }
    schedule_free(&run->schedule);
    unit_list_free(&run->units);
    lock_release(run->lock);
}

/* Every rank parses the same command line and comes to the same result; rank 0 says it. */
static int run_parse(struct run *run, int argc, char **argv, struct error *error) {
    int status = options_parse(COMMAND_RENDER, argc, argv, &run->options, error);
    if (!status && run->options.help && run->cluster.rank == 0)
        command_print_help(COMMAND_RENDER);
    return status;
}

int app_render(int argc, char **argv) {
    struct run run = {.start = clock_now()};
    struct error error;
    stop_catch_signals(); /* first: one that comes while MPI starts must not kill the job */
    cluster_start(&run.cluster);
    gemm_use_one_thread();
    int status = run_parse(&run, argc, argv, &error);
    if (!status && !run.options.help) {
        run.job = command_job(&run.options);
        status = run.cluster.rank == 0 ? set_deadline(&run, &error) : STATUS_OK;
        if (!status && run.cluster.rank == 0)
            status = prepare_rank_0(&run, &error);
        status = cluster_agree(&run.cluster, status, &error);
        if (!status)
            share_deadline(&run);
        if (!status)
            status = prepare_all(&run, &error);
        if (!status)
            status = draw(&run, &error);
    }
    if (status && run.cluster.rank == 0)
        app_report(&error);
    run_free(&run);
    cluster_end(&run.cluster);
    return status;
}
