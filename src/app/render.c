#include "command.h"
#include "filteratlas/app/app.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/launcher.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/net/gemm.h"
#include "report.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Pictures that may wait for the disk: what rank 0 has room for, after all that the ranks of its node take. */
static size_t queue_bytes(void) {
    static const double share = 1.0 / 8, least = 64 << 20, most = COORDINATOR_QUEUE_BYTES;
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

static void count_filter(void *context, int layer, const struct store_filter *filter) {
    struct run *run = context;
    progress_filter(&run->first.progress, layer, filter);
}

static void end_progress(void *context) {
    struct run *run = context;
    progress_end(&run->first.progress);
}

static void begin_log(struct run *run) {
    if (!run->options.quiet)
        run_print_header(run);
    run_print_notices(run);
    progress_start(&run->first.progress, &run->options, &run->model.layers, &run->first.units);
}

static void end_log(struct run *run, int status) {
    progress_end(&run->first.progress);
    if (!status && !run->options.quiet)
        run_print_end(run);
}

/* Draws, and makes all files. Collective. */
static int draw(struct run *run, struct error *error) {
    bool is_first = run->cluster.rank == 0;
    char stop_file[DURABLE_PATH_SIZE];
    snprintf(stop_file, sizeof stop_file, "%s/stop", run->store.folder);
    struct coordination coordination = {.stop = {.deadline = run->deadline,
                                                 .limit = run->end,
                                                 .grace = run->options.grace,
                                                 .silence = run->options.rank_timeout,
                                                 .file = stop_file},
                                        .schedule = &run->first.schedule,
                                        .publish = run->first.selection.layer,
                                        .store = &run->store,
                                        .queue_bytes = queue_bytes(),
                                        .progress = count_filter,
                                        .drawn = end_progress,
                                        .say = print_line,
                                        .context = run,
                                        .lines = run->first.lines,
                                        .account = &run->first.account};
    int status = compare_kernels(run, error);
    if (status)
        return status;
    if (is_first)
        begin_log(run);
    status = distribute(&run->cluster, &run->drawing, is_first ? &coordination : NULL, error);
    if (is_first)
        end_log(run, status);
    return status;
}

/* Every rank parses the same command line and comes to the same result; rank 0 says it. */
static int run_parse(struct run *run, int argc, char **argv, struct error *error) {
    int status = options_parse(COMMAND_RENDER, argc, argv, &run->options, error);
    if (!status && run->options.help && run->cluster.rank == 0)
        command_print_help(COMMAND_RENDER);
    return status;
}

/* Stage by stage; all ranks agree after each. */
static int run_stages(struct run *run, struct error *error) {
    bool is_first = run->cluster.rank == 0;
    int status = options_kernels(&run->options, &run->kernels, error);
    if (!status && is_first)
        status = run_set_deadline(run, error);
    if (!status && is_first)
        status = run_prepare_first(run, error);
    status = cluster_agree(&run->cluster, status, error);
    if (!status)
        status = run_prepare_all(run, error);
    return status ? status : draw(run, error);
}

int app_render(int argc, char **argv) {
    struct run run = {.start = clock_now()};
    struct error error;
    if (launcher_check_start(&error))
        return report_error(&error);
    stop_catch_signals(); /* first: one that comes while MPI starts must not kill the job */
    cluster_start(&run.cluster);
    gemm_use_one_thread();
    int status = run_parse(&run, argc, argv, &error);
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
