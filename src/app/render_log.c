#include "command.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/net/gemm.h"
#include "network.h"
#include "run.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* As the kernel calls it; on other architectures than x86-64, where it knows no names, the architecture. */
static void processor_name(char *name, size_t size) {
    char line[256];
    struct utsname system = {0};
    FILE *file = fopen("/proc/cpuinfo", "r");
    uname(&system);
    snprintf(name, size, "%s processor", system.machine);
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

void run_print_header(const struct run *run) {
    const struct options *o = &run->options;
    char processor[128];
    int nodes = cluster_count_nodes(&run->cluster);
    processor_name(processor, sizeof processor);
    printf("filteratlas %s, %s, %s, %s, %s\n", FILTERATLAS_VERSION, run->cluster.mpi, gemm_description(),
           png_description(), model_file_library());
    printf("%d rank%s on %d host%s (%s first), one drawing thread each, %s, %s convolutions\n", run->cluster.ranks,
           run->cluster.ranks == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", run->cluster.host, processor,
           winograd_kernels_name(run->kernels));
    printf("weights %s: %s, %d filters, SHA-256 %.16s...\n", o->weights, run->model.layers.network,
           layers_filters(&run->model.layers), run->model.sha256);
    printf("job %.16s...: %s recipe, %dx%d pixels, %d octaves of %d steps, factor %g, seed %llu\n",
           run->store.job_digest, recipe_name(o->recipe), o->size.width, o->size.height, o->steps, o->epochs, o->factor,
           (unsigned long long)o->seed);
    int there = 0;
    for (int l = 0; l < run->model.layers.count; l++)
        there += run->first.drawn[l].count;
    printf("tables: %.0f MB, %s, in %s\n", executor_table_bytes(run->executor) / 1e6,
           run->shared.window || run->shared.segment ? "shared by the ranks of a node" : "each rank's own",
           run->shared.pages);
    printf("to draw: %d filters in %d units, %.2f TFLOP; in %s already: %d\n", unit_list_filters(&run->first.units),
           run->first.units.count, unit_list_flops(&run->first.units) / 1e12, o->out, there);
    fflush(stdout);
}

/* What became of the time that ranks didn't draw. */
static void print_account(const struct run *run, double seconds) {
    const struct coordinator_account *account = &run->first.account;
    double total = seconds * run->cluster.ranks, held = 100 * account->held / total;
    if (held >= 1)
        printf("the disk was slower than the ranks, which waited for it %.0f %% of the time\n", held);
    if (run->options.verbose)
        printf(
            "%d commits, the slowest after %.2f s, at most %.1f MB waiting for the disk; the ranks waited %.1f %% of "
            "the time for orders\n",
            account->commits, account->commit, (double)account->most / 1e6, 100 * account->waited / total);
}

static void print_totals(const struct run *run, double seconds) {
    const struct progress *p = &run->first.progress;
    int drawn = p->live + p->dead;
    char time[24];
    progress_format_time(seconds, time);
    printf("done: %d filters drawn, %d live, %d dead, in %s on %d rank%s (%.2f filters/s, %.1f %% of the time in the "
           "ascent); the atlas is in %s\n",
           drawn, p->live, p->dead, time, run->cluster.ranks, run->cluster.ranks == 1 ? "" : "s", drawn / seconds,
           100 * p->drawing / (seconds * run->cluster.ranks), run->options.out);
    print_account(run, seconds);
    fflush(stdout);
}

void run_print_notices(const struct run *run) {
    const struct shared *shared = &run->shared;
    if (run->damaged)
        command_say_damage(run->options.out, &run->first.damage, "those selected are drawn again");
    if (run->options.recipe == RECIPE_FOURIER && !run->options.preprocess_given)
        network_say_preprocessing(&run->model.layers);
    if (lock_is_linkless(run->first.lock))
        fprintf(stderr, "filteratlas: %s: is on a file system without hard links; locks are created exclusively\n",
                run->options.out);
    if (shared->nodes_without)
        fprintf(
            stderr,
            "filteratlas: %s%s: %.0f MB of shared memory are too few for the tables: each rank there keeps its own; "
            "enlarge /dev/shm, or say --no-shared\n",
            shared->host_without, shared->nodes_without > 1 ? " and other nodes" : "", shared->free_bytes / 1e6);
}

void run_print_end(const struct run *run) {
    for (int l = 0; l < run->model.layers.count; l++)
        if (run->first.lines[l].size)
            fputs(run->first.lines[l].bytes, stdout);
    print_totals(run, clock_now() - run->start);
}
