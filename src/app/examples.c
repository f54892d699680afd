#include "command.h"
#include "examples_keep.h"
#include "examples_work.h"
#include "filteratlas/app/app.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/launcher.h"
#include "filteratlas/cluster/shared.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/cluster/tasks.h"
#include "filteratlas/net/gemm.h"
#include "image_list.h"
#include "limit.h"
#include "network.h"
#include "network_share.h"
#include "report.h"
#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run of `examples`: what its stages hand on. */
struct run {
    struct cluster cluster;
    struct options options;
    struct limit limit;
    struct model model;   /* the graph's values are rank 0's own at first, then the shared ones */
    struct shared shared; /* values of the graph, then the tables */
    struct examples_worker worker;
    struct task_work work;
    /* rank 0's */
    double start;
    struct selection selection;
    bool abandoned; /* a thread still reads the network: the process must end without exit() */
    struct lock *lock;
    struct image_list list;
    struct examples_keeper keeper;
    char folder[DURABLE_PATH_SIZE]; /* DIR/examples */
};

static bool goes_on(void *context) {
    const struct run *run = context;
    return !cluster_signal(&run->cluster) && clock_now() < run->limit.end;
}

static int explain_stop(const struct run *run, int status, struct error *error) {
    int signal = cluster_signal(&run->cluster);
    if (status == STATUS_STOPPED)
        stop_error(signal ? stop_signal_name(signal) : "time limit", error);
    return status;
}

/* Rank 0 before anything starts ------------------------------------------------------------------------------------ */

/* The atlas in DIR, if there is one, must be of the same network. */
static int check_atlas(const struct run *run, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct store_job job = {0};
    snprintf(path, sizeof path, "%s/job.txt", run->options.out);
    if (access(path, F_OK))
        return STATUS_OK;
    int status = store_read_job(run->options.out, &job, error);
    const char *weights = status ? NULL : store_job_value(&job, "weights-sha256");
    if (weights && strcmp(weights, run->model.sha256) != 0)
        status = error_set(error, STATUS_OTHER_JOB,
                           "%s: is the atlas of other weights (%.12s... there, now %.12s...); give another --out",
                           run->options.out, weights, run->model.sha256);
    store_job_free(&job);
    return status;
}

enum { ENTRIES = 9 };

static int append_entry(struct store_entry *entries, int count, const char *name, char *value) {
    entries[count] = (struct store_entry){name, value};
    return count + 1;
}

/* What DIR/examples/job.txt says; the values are text's, but for those that others hold. */
static int list_entries(const struct run *run, char text[3][16], struct text *layers, struct store_entry *entries) {
    static const char *const preprocesses[] = {"caffe", "tf", "torch", "unit", "none"};
    const int numbers[3] = {run->options.shorter, run->options.crop, run->options.top};
    int count = 0;
    for (int i = 0; i < 3; i++)
        snprintf(text[i], sizeof text[i], "%d", numbers[i]);
    for (int l = 0; l < run->model.layers.count; l++)
        if (run->worker.chosen[l])
            text_append(layers, "%s%s", layers->size ? "," : "", run->model.layers.layer[l].name);
    count = append_entry(entries, count, "arithmetic", "1");
    count = append_entry(entries, count, "network", (char *)run->model.layers.network);
    count = append_entry(entries, count, "weights-sha256", (char *)run->model.sha256);
    count = append_entry(entries, count, "short", text[0]);
    count = append_entry(entries, count, "crop", text[1]);
    count = append_entry(entries, count, "top", text[2]);
    count = append_entry(entries, count, "preprocess", (char *)preprocesses[run->options.image_preprocess]);
    count = append_entry(entries, count, "layers", layers->bytes);
    const char *kernels = winograd_kernels_name(winograd_find_kernels(NULL));
    return append_entry(entries, count, "kernels", (char *)kernels);
}

/* Examples that are there already must have been found in the same way. */
static int check_job(const struct run *run, const struct store_entry *entries, int count, struct error *error) {
    static const char *const none[] = {NULL};
    char path[DURABLE_PATH_SIZE];
    struct store_job job = {0};
    struct text differences = {0};
    snprintf(path, sizeof path, "%s/state.txt", run->folder);
    if (access(path, F_OK))
        return STATUS_OK;
    int status = store_read_job(run->folder, &job, error);
    if (!status)
        store_job_differences(&job, entries, count, none, &differences);
    if (differences.size)
        status = error_set(error, STATUS_OTHER_JOB,
                           "%s: holds examples that were found otherwise: %s; give another --out, or remove %s",
                           run->options.out, differences.bytes + 2, run->folder);
    text_free(&differences);
    store_job_free(&job);
    return status;
}

/* The folder, its job.txt and its lock. */
static int open_folder(struct run *run, struct error *error) {
    static const char *const names[] = {"images"};
    const struct interrupt interrupt = {goes_on, run};
    const struct lock_patience patience = {.interrupt = &interrupt, .say = command_say};
    struct store_entry entries[ENTRIES];
    struct store store;
    struct text layers = {0};
    char text[3][16];
    int count = list_entries(run, text, &layers, entries);
    snprintf(run->folder, sizeof run->folder, "%s/examples", run->options.out);
    int status = check_job(run, entries, count, error);
    if (!status)
        status = store_open_other(run->folder, "state.txt", entries, count, &patience, &store, error);
    if (!status)
        status = store_begin(&store, names, 1, &patience, &run->lock, error);
    text_free(&layers);
    return status;
}

static void describe_worker(struct run *run) {
    run->worker.model = &run->model;
    run->worker.shorter = run->options.shorter;
    run->worker.crop = run->options.crop;
    run->worker.preprocess = run->options.image_preprocess;
}

/* The pass through the chosen layers, still without tables. */
static int make_responses(struct run *run, struct error *error) {
    const struct layers *layers = &run->model.layers;
    int *nodes = malloc(((size_t)layers->count + 1) * sizeof *nodes), count = 0;
    struct error why;
    if (!nodes)
        return error_memory(error, layers->count * (double)sizeof *nodes, "the layers");
    for (int l = 0; l < layers->count; l++)
        if (run->worker.chosen[l])
            nodes[count++] = layers->layer[l].node;
    responses_free(run->worker.responses);
    int status = responses_make(&run->model.graph, nodes, count, run->options.crop, winograd_find_kernels(NULL),
                                &run->worker.responses, &why);
    free(nodes);
    if (status == STATUS_USAGE)
        return error_set(error, status, "--crop %d: %.*s; give another --crop, or other --layers", run->options.crop,
                         (int)strcspn(why.message, ";"), why.message);
    return status ? error_set(error, status, "%s", why.message) : STATUS_OK;
}

static int prepare_first(struct run *run, struct error *error) {
    const struct interrupt interrupt = {goes_on, run};
    run->limit = limit_none;
    int status = limit_set(&run->options, run->start, &interrupt, &run->limit, error);
    if (!status)
        status = network_read_selected(&run->options, &interrupt, &run->model, &run->selection, &run->abandoned, error);
    run->worker.chosen = run->selection.layer;
    if (!status)
        status = image_list_read(run->options.images, &run->list, error);
    if (!status)
        status = check_atlas(run, error);
    if (!status)
        status = open_folder(run, error);
    run->keeper = (struct examples_keeper){
        .folder = run->options.out, .list = &run->list, .worker = &run->worker, .quiet = run->options.quiet};
    describe_worker(run);
    if (!status)
        status = make_responses(run, error);
    if (!status)
        status = examples_keeper_make(&run->keeper, run->options.top, error);
    if (!status)
        status = examples_make_folders(run->options.out, &run->keeper.examples, error);
    return explain_stop(run, status, error);
}

/* All ranks before anything starts --------------------------------------------------------------------------------- */

/* Rank 0's network to all. Values move, so rank 0 makes its pass anew. */
static int share_network(struct run *run, struct error *error) {
    const struct cluster *cluster = &run->cluster;
    size_t tables = cluster->rank ? 0 : responses_table_bytes(run->worker.responses);
    void *place, *chosen = run->worker.chosen;
    int status = network_share_graph(cluster, &run->model, error);
    if (!status)
        status = network_share_array(cluster, (size_t)run->model.layers.count, &chosen, error);
    run->worker.chosen = chosen;
    if (!status)
        status =
            network_share_values(cluster, &run->model, tables, !run->options.no_shared, &run->shared, &place, error);
    if (status)
        return status;
    describe_worker(run);
    status = make_responses(run, error);
    return status ? status : responses_place(run->worker.responses, place, error);
}

static int fill_tables(struct run *run, struct error *error) {
    enum { STEPS = 64 };
    const struct interrupt interrupt = {goes_on, run};
    int status = STATUS_OK;
    for (int i = 0; i < STEPS && !status; i++) {
        status = responses_fill_tables(run->worker.responses, run->shared.part * STEPS + i, run->shared.parts * STEPS,
                                       error);
        if (!status)
            status = interrupt_check(&interrupt, error);
    }
    return explain_stop(run, status, error);
}

/* Whether this rank can see the images, and computes as rank 0 does. */
static int check_rank(const struct run *run, struct error *error) {
    char other[CLUSTER_TEXT_SIZE];
    const char *kernels = winograd_kernels_name(winograd_find_kernels(NULL));
    int rank = cluster_find_other(&run->cluster, kernels, other), status = STATUS_OK;
    struct stat found;
    if (rank >= 0 && run->cluster.rank == 0)
        status = error_set(error, STATUS_OTHER_JOB,
                           "rank %d on %s: computes with %s kernels, rank 0 with %s: their numbers differ in the last "
                           "bits; use nodes of one kind",
                           rank, run->cluster.hosts[rank], other, kernels);
    else if (stat(run->options.images, &found))
        status =
            error_set(error, STATUS_USAGE, "--images %s: is not there; all nodes must see it", run->options.images);
    return cluster_agree(&run->cluster, status, error);
}

/* Clocks of nodes have nothing to do with each other, so the time that is left is what travels. */
static void share_end(struct run *run) {
    double left = run->limit.end - clock_now();
    cluster_broadcast(&left, sizeof left);
    if (run->cluster.rank)
        run->limit.end = clock_now() + left;
}

static int prepare_all(struct run *run, struct error *error) {
    int status = check_rank(run, error);
    if (status)
        return status;
    share_end(run);
    status = cluster_agree(&run->cluster, share_network(run, error), error);
    if (!status)
        status = cluster_agree(&run->cluster, fill_tables(run, error), error);
    if (status)
        return status;
    shared_settle(&run->cluster, &run->shared);
    run->work = (struct task_work){examples_carry_out, &run->worker, run->limit.end, run->options.grace};
    status = gemm_prepare(error);
    if (!status)
        status = examples_worker_make(&run->worker, error);
    return cluster_agree(&run->cluster, status, error);
}

/* The work --------------------------------------------------------------------------------------------------------- */

static void set_stop(const struct run *run, const char *stop_file, struct task_keeping *keeping) {
    keeping->stop = (struct stop_rules){.deadline = run->limit.deadline,
                                        .limit = run->limit.end,
                                        .grace = run->options.grace,
                                        .silence = run->options.rank_timeout,
                                        .file = stop_file};
}

static void print_header(const struct run *run) {
    const struct examples *examples = &run->keeper.examples;
    if (!run->options.quiet)
        printf("%s, %d filters of %d layers; %d images, %d of them to look at; %d rank%s\n", run->model.layers.network,
               examples->filters, examples->layers, examples->images, run->keeper.images_to_do, run->cluster.ranks,
               run->cluster.ranks == 1 ? "" : "s");
    fflush(stdout);
}

static int look(struct run *run, const char *stop_file, struct error *error) {
    struct task_keeping keeping = {0};
    struct error another;
    bool is_first = run->cluster.rank == 0;
    if (is_first) {
        print_header(run);
        if (!run->options.preprocess_given)
            network_say_preprocessing(&run->model.layers);
        keeping = examples_looking(&run->keeper, run->cluster.ranks);
        set_stop(run, stop_file, &keeping);
    }
    int status = tasks_run(&run->cluster, &run->work, is_first ? &keeping : NULL, error);
    int written = is_first ? examples_write_known(&run->keeper, status ? &another : error) : STATUS_OK;
    return status ? status : cluster_agree(&run->cluster, written, error);
}

static int cut(struct run *run, const char *stop_file, struct error *error) {
    struct task_keeping keeping = {0};
    bool is_first = run->cluster.rank == 0;
    int status = is_first ? examples_cutting(&run->keeper, &keeping, error) : STATUS_OK;
    set_stop(run, stop_file, &keeping);
    status = cluster_agree(&run->cluster, status, error);
    return status ? status : tasks_run(&run->cluster, &run->work, is_first ? &keeping : NULL, error);
}

static void print_end(const struct run *run) {
    const struct examples_keeper *keeper = &run->keeper;
    double seconds = clock_now() - keeper->start;
    if (!run->options.quiet && keeper->images_to_do)
        printf("%d images in %.1f s, %.1f a second; %s/examples.csv\n", keeper->images_to_do, seconds,
               keeper->images_to_do / seconds, keeper->folder);
    if (keeper->skipped_count)
        fprintf(stderr, "filteratlas: %d of %d files could not be used; %s/examples/skipped.csv names them\n",
                keeper->skipped_count, keeper->list->count, keeper->folder);
    if (keeper->missing)
        fprintf(stderr, "filteratlas: %d examples could not be cut: their images are no longer in %s\n",
                keeper->missing, keeper->list->folder);
}

/* The tables, and the page where there is one already. On rank 0. */
static int finish(struct run *run, struct error *error) {
    const struct interrupt interrupt = {goes_on, run};
    struct store store;
    struct error none;
    int status = examples_finish(&run->keeper, error);
    if (!status && !store_open_existing(run->options.out, &store, &none))
        status = command_publish_tables(&store, &run->options, false, &interrupt, error);
    if (!status)
        print_end(run);
    return explain_stop(run, status, error);
}

static int run_stages(struct run *run, struct error *error) {
    bool is_first = run->cluster.rank == 0;
    char stop_file[DURABLE_PATH_SIZE];
    snprintf(stop_file, sizeof stop_file, "%s/stop", run->options.out);
    int status = cluster_agree(&run->cluster, is_first ? prepare_first(run, error) : STATUS_OK, error);
    if (!status)
        status = prepare_all(run, error);
    if (!status)
        status = look(run, stop_file, error);
    if (!status)
        status = cut(run, stop_file, error);
    return status ? status : cluster_agree(&run->cluster, is_first ? finish(run, error) : STATUS_OK, error);
}

static void run_free(struct run *run) {
    examples_worker_free(&run->worker);
    if (run->cluster.rank)
        free(run->worker.chosen);
    selection_free(&run->selection);
    network_share_free(&run->model, &run->shared);
    examples_keeper_free(&run->keeper);
    image_list_free(&run->list);
    lock_release(run->lock);
}

int app_examples(int argc, char **argv) {
    struct run run = {.start = clock_now()};
    struct error error;
    if (launcher_check_start(&error))
        return report_error(&error);
    stop_catch_signals(); /* first: one that comes while MPI starts must not kill the job */
    cluster_start(&run.cluster);
    gemm_use_one_thread();
    int status = options_parse(COMMAND_EXAMPLES, argc, argv, &run.options, &error);
    if (!status && run.options.help && run.cluster.rank == 0)
        command_print_help(COMMAND_EXAMPLES);
    if (!status && !run.options.help)
        status = launcher_check(run.cluster.ranks, run.cluster.mpi, &error);
    if (!status && !run.options.help)
        status = run_stages(&run, &error);
    if (status && run.cluster.rank == 0)
        report_error(&error);
    run_free(&run);
    cluster_end(&run.cluster);
    if (run.abandoned) {
        fflush(NULL);
        _exit(status);
    }
    return status;
}
