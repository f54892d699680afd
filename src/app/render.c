#include "command.h"
#include "filteratlas/app/app.h"
#include "filteratlas/atlas/png_file.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/distribute.h"
#include "filteratlas/cluster/shared.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/winograd.h"
#include "progress.h"
#include "report.h"
#include "selection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A run, as every rank has it; the second half is rank 0's alone. */
struct run {
    struct cluster cluster;
    struct options options;
    struct ascent_job job;
    const struct winograd_kernels *kernels;
    struct weights weights; /* its values are rank 0's own at first, then the shared ones */
    struct shared shared;   /* values of the weights, then the tables */
    struct network network;
    struct drawing drawing;

    struct selection selection;
    struct store store;
    struct lock *lock;
    struct store_layer drawn[VGG_MAX_LAYERS]; /* what was in the store before */
    struct store_damage damage;               /* in the selected layers */
    bool damaged;                             /* the same for all ranks */
    struct unit_list units;
    struct schedule schedule;
    struct progress progress;
    struct text lines[VGG_MAX_LAYERS];
    double start, deadline, end; /* seconds of the monotonic clock: nothing is drawn after the deadline, nothing made
                                  * from what was drawn after the end */
};

/* Asked by rank 0 while it waits, reads or makes files: the coordinator asks for itself while ranks draw. */
static bool goes_on(void *context) {
    const struct run *run = context;
    return !stop_signal() && clock_now() < run->end;
}

/* Says why, where rank 0 was stopped outside of drawing; other errors stay as they are. */
static int explain_stop(int status, const char *consequence, struct error *error) {
    if (status == STATUS_STOPPED)
        error_set(error, STATUS_STOPPED,
                  "%s: stopped %s, nothing finished is lost; run the same command again to go on",
                  stop_signal() ? stop_signal_name(stop_signal()) : "time limit", consequence);
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
        if (run->selection.layer[l])
            names[count++] = run->weights.net.layer[l].name;
    const struct interrupt interrupt = {goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    return store_begin(&run->store, names, count, &patience, &run->lock, error);
}

/* Pictures are looked at in the selected layers: the others' are another run's, as in an array job. */
static int read_drawn(struct run *run, struct error *error) {
    const struct vgg *net = &run->weights.net;
    const struct interrupt interrupt = {goes_on, run};
    struct store_damage others = {0};
    int status = STATUS_OK;
    for (int l = 0; l < net->layers && !status; l++)
        status =
            run->selection.layer[l]
                ? store_read_layer(&run->store, net->layer[l].name, &interrupt, &run->drawn[l], &run->damage, error)
                : store_read_records(&run->store, net->layer[l].name, &run->drawn[l], &others, error);
    store_damage_free(&others);
    run->damaged = run->damage.count > 0;
    return status;
}

static void describe_kernels(const struct run *run, char kernels[STORE_KERNELS_SIZE]) {
    snprintf(kernels, STORE_KERNELS_SIZE, "%s %s", winograd_kernels_name(run->kernels), gemm_core());
}

/* Kernels round each in their own way: with others an atlas is not the bytes of any machine. */
static int check_kernels(const struct run *run, struct error *error) {
    char mine[STORE_KERNELS_SIZE];
    describe_kernels(run, mine);
    const char *others = command_find_kernels(run->drawn, VGG_MAX_LAYERS, mine);
    if (!others || !run->units.count)
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
    return selection_has(&run->selection, layer, filter) && !store_layer_has(&run->drawn[layer], filter);
}

/* When to stop before `limit`, by the monotonic clock, with a margin for the last commits and the files. */
static void stop_before(struct run *run, double limit, double margin) {
    run->deadline = limit - margin;
    run->end = limit - margin / 5;
}

/* INFINITY without a limit. */
static int set_deadline(struct run *run, struct error *error) {
    static const double margin = 5;
    double limit = run->options.time_limit, now = clock_now();
    stop_before(run, INFINITY, 0);
    if (limit > 0)
        stop_before(run, run->start + limit, fmin(margin, limit / 10));
    if (limit != OPTIONS_TIME_AUTO)
        return STATUS_OK;
    double end = stop_slurm_end();
    if (end <= 0)
        return error_set(error, STATUS_USAGE, "--time-limit auto: Slurm gives no end of this job; give [H:]M:S");
    stop_before(run, now + (end - (double)time(NULL)), margin);
    return STATUS_OK;
}

/* All that rank 0 checks and reads before anything starts. */
static int prepare_rank_0(struct run *run, struct error *error) {
    const struct options *options = &run->options;
    int status = set_deadline(run, error);
    if (!status)
        status = weights_read(options->weights, &run->weights, error);
    if (!status)
        status = selection_make(options, &run->weights.net, &run->selection, error);
    if (!status)
        status = selection_check_size(&run->selection, options, &run->weights.net, error);
    if (!status)
        status = open_store(run, error);
    if (!status)
        status = lock_layers(run, error);
    if (!status)
        status = read_drawn(run, error);
    if (!status)
        status = unit_list_make(&run->weights.net, &run->job, options->batch, wanted, run, &run->units, error);
    if (!status)
        status = check_kernels(run, error);
    if (!status)
        status = schedule_make(&run->units, run->cluster.ranks, &run->schedule, error);
    return explain_stop(status, "before anything was drawn", error);
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

/* Weights, tables and memory on every rank. */
static int prepare_all(struct run *run, struct error *error) {
    int deepest = deepest_layer(&run->units), together = unit_list_largest(&run->units);
    cluster_broadcast(&deepest, sizeof deepest);
    cluster_broadcast(&together, sizeof together);
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
                                    .publish = publish_layer,
                                    .context = run};
    strcpy(run->drawing.job_digest, run->store.job_digest);
    describe_kernels(run, run->drawing.kernels);
    network_fill_tables(&run->network, run->shared.part, run->shared.parts);
    shared_settle(&run->cluster, &run->shared);
    status = gemm_prepare(error);
    if (!status)
        status = ascent_make(&run->network, &run->job, deepest, together, &run->drawing.ascent, error);
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
    printf("job %.16s...: %s recipe, %dx%d pixels, %d octaves of %d steps, factor %g, seed %llu\n",
           run->store.job_digest, recipe_name(o->recipe), o->size.width, o->size.height, o->steps, o->epochs, o->factor,
           (unsigned long long)o->seed);
    int there = 0;
    for (int l = 0; l < run->weights.net.layers; l++)
        there += run->drawn[l].count;
    printf("tables: %.0f MB, %s, in %s\n",
           network_table_bytes(&run->weights.net, &run->job.octaves, run->network.deepest, run->kernels) / 1e6,
           run->shared.window || run->shared.segment ? "shared by the ranks of a node" : "each rank's own",
           run->shared.pages);
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
    fflush(stdout);
}

/* On processors of two kinds the pictures depend on who drew them. Collective; the same status on all ranks. */
static int compare_kernels(const struct run *run, struct error *error) {
    const char *mine = run->drawing.kernels;
    char other[CLUSTER_TEXT_SIZE];
    int rank = cluster_find_other(&run->cluster, mine, other), status = STATUS_OK;
    if (rank < 0)
        return STATUS_OK;
    if (run->cluster.rank == 0)
        status = error_set(error, STATUS_OTHER_JOB,
                           "rank %d on %s: computes with %s kernels, rank 0 with %s: their pictures are not the same "
                           "bytes; use nodes of one kind and the same OPENBLAS variables, or give --mixed-kernels",
                           rank, run->cluster.hosts[rank], other, mine);
    if (status && run->options.mixed_kernels) {
        command_say(error->message);
        status = STATUS_OK;
    }
    return cluster_agree(&run->cluster, status, error);
}

/* What a person should know before it begins. */
static void print_notices(const struct run *run) {
    const struct shared *shared = &run->shared;
    if (run->damaged)
        command_say_damage(run->options.out, &run->damage, "those selected are drawn again");
    if (lock_is_linkless(run->lock))
        fprintf(stderr, "filteratlas: %s: is on a file system without hard links; locks are created exclusively\n",
                run->options.out);
    if (shared->nodes_without)
        fprintf(
            stderr,
            "filteratlas: %s%s: %.0f MB of shared memory are too few for the tables: each rank there keeps its own; "
            "enlarge /dev/shm, or say --no-shared\n",
            shared->host_without, shared->nodes_without > 1 ? " and other nodes" : "", shared->free_bytes / 1e6);
}

/* The files of all layers together, and what there is to say at the end. */
static int finish(struct run *run, struct error *error) {
    const struct interrupt interrupt = {goes_on, run};
    int status = command_publish_tables(&run->store, &run->options, run->damaged, &interrupt, error);
    explain_stop(status, "before the files of all layers were made", error);
    if (status || run->options.quiet)
        return status;
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        if (run->lines[l].size)
            fputs(run->lines[l].bytes, stdout);
    print_totals(run, clock_now() - run->start);
    return STATUS_OK;
}

/* Draws, then makes the common files. Collective. */
static int draw(struct run *run, struct error *error) {
    bool first = run->cluster.rank == 0;
    char stop_file[DURABLE_PATH_SIZE];
    snprintf(stop_file, sizeof stop_file, "%s/stop", run->store.folder);
    struct coordination coordination = {.stop = {.deadline = run->deadline,
                                                 .grace = run->options.grace,
                                                 .silence = run->options.rank_timeout,
                                                 .file = stop_file},
                                        .schedule = &run->schedule,
                                        .store = &run->store,
                                        .progress = progress_filter,
                                        .context = &run->progress,
                                        .lines = run->lines};
    memcpy(coordination.publish, run->selection.layer, sizeof coordination.publish);
    int status = compare_kernels(run, error);
    if (status)
        return status;
    if (first && !run->options.quiet)
        print_header(run);
    if (first) {
        print_notices(run);
        progress_start(&run->progress, &run->options, &run->weights.net, &run->units);
    }
    status = distribute(&run->cluster, &run->drawing, first ? &coordination : NULL, error);
    if (first) {
        progress_end(&run->progress);
        if (!status)
            status = finish(run, error);
    }
    return cluster_agree(&run->cluster, status, error);
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
    store_damage_free(&run->damage);
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

/* Another MPI's mpiexec starts processes that this one's library takes for jobs of one rank each. */
static int check_launcher(const struct run *run, struct error *error) {
    const char *size = getenv("PMI_SIZE");
    if (run->cluster.ranks > 1 || !size || atoi(size) < 2)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE,
                     "MPI sees 1 of %s processes, which another MPI's launcher started; use the mpirun of %s", size,
                     run->cluster.mpi);
}

int app_render(int argc, char **argv) {
    struct run run = {.start = clock_now()};
    struct error error;
    stop_catch_signals(); /* first: one that comes while MPI starts must not kill the job */
    cluster_start(&run.cluster);
    gemm_use_one_thread();
    int status = run_parse(&run, argc, argv, &error);
    if (!status && !run.options.help)
        status = check_launcher(&run, &error);
    if (!status && !run.options.help) {
        run.job = options_job(&run.options);
        status = cluster_agree(&run.cluster, options_kernels(&run.options, &run.kernels, &error), &error);
    }
    if (!status && !run.options.help) {
        status = run.cluster.rank == 0 ? prepare_rank_0(&run, &error) : STATUS_OK;
        status = cluster_agree(&run.cluster, status, &error);
        if (!status)
            status = prepare_all(&run, &error);
        if (!status)
            status = draw(&run, &error);
    }
    if (status && run.cluster.rank == 0)
        report_error(&error);
    run_free(&run);
    cluster_end(&run.cluster);
    return status;
}
