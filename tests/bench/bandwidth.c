#include "bandwidth.h"

#include "app/copying.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/network.h"

#include "../unit/filled.h"
#include "companion.h"
#include "layers.h"
#include "live_weights.h"
#include "operands.h"
#include "peak.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Small octaves take less time than a moment of disturbance: they have more turns, and last at least so long. */
static const double LEAST_SECONDS = 0.05;
enum { SMALL = 150, MIDDLE = 250, MOST_TURNS = 64 };

enum { SAME, COPIER, REGISTERS, COMPANIONS };

/* Loss and gradient of a batch ------------------------------------------------------------------------------------ */

struct task {
    const struct network *network;
    int layer, extent;
    const char *kernels;
};

struct iteration {
    struct task task;
    struct network_memory memory;
    struct network_picture picture[LAYERS_BATCH];
};

static void *make_iteration(const void *task) {
    struct iteration *iteration = operands_zero(sizeof *iteration);
    iteration->task = *(const struct task *)task;
    int extent = iteration->task.extent;
    const struct octaves one = {.steps = 1, .width = {extent, extent}, .height = {extent, extent}};
    size_t floats = (size_t)extent * extent * VGG_INPUT_CHANNELS;
    float *x = operands_noise(LAYERS_BATCH * floats, 50), *gradient = operands_zero(LAYERS_BATCH * floats * sizeof *x);
    struct error error;
    if (network_memory_make(iteration->task.network, &one, iteration->task.layer, LAYERS_BATCH, &iteration->memory,
                            &error)) {
        fprintf(stderr, "bench: %s\n", error.message);
        exit(1);
    }
    for (int i = 0; i < LAYERS_BATCH; i++)
        iteration->picture[i] = (struct network_picture){
            .filter = i, .x = x + (size_t)i * floats, .gradient = gradient + (size_t)i * floats};
    return iteration;
}

static void free_iteration(struct iteration *iteration) {
    free((float *)iteration->picture[0].x);
    free(iteration->picture[0].gradient);
    network_memory_free(&iteration->memory);
    free(iteration);
}

static double run_iteration(void *prepared) {
    static const struct objective mean;
    struct iteration *i = prepared;
    network_gradients(i->task.network, &i->memory, &mean, i->task.layer, i->task.extent, i->task.extent, i->picture,
                      LAYERS_BATCH, NULL);
    return 1;
}

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of this process's own time, which waits for memory but not for other programs. */
static double time_iteration(struct iteration *iteration) {
    double begin = processor_seconds(), taken;
    int count = 0;
    do {
        count += (int)run_iteration(iteration);
        taken = processor_seconds() - begin;
    } while (taken < LEAST_SECONDS);
    return taken / count;
}

/* What the others do ---------------------------------------------------------------------------------------------- */

enum { COPY_BYTES = 256 << 20, PIECE_BYTES = 1 << 20 };

struct copier {
    char *from, *to;
    size_t place;
};

static void *make_copier(const void *task) {
    struct copier *copier = operands_zero(sizeof *copier);
    (void)task;
    *copier = (struct copier){operands_zero(COPY_BYTES), operands_zero(COPY_BYTES), 0};
    return copier;
}

/* Bytes read and written. */
static double run_copier(void *prepared) {
    struct copier *copier = prepared;
    memcpy(copier->to + copier->place, copier->from + copier->place, PIECE_BYTES);
    copier->place = (copier->place + PIECE_BYTES) % COPY_BYTES;
    return 2.0 * PIECE_BYTES;
}

static void *note_kernels(const void *task) { return (void *)((const struct task *)task)->kernels; }

static double run_registers(void *kernels) {
    peak_measure(kernels, 1);
    return 1;
}

static void start_companions(int core, const struct task *task, struct companion companions[COMPANIONS]) {
    companions[SAME] = companion_start(core, make_iteration, run_iteration, task);
    companions[COPIER] = companion_start(core, make_copier, run_copier, task);
    companions[REGISTERS] = companion_start(core, note_kernels, run_registers, task);
}

/* An octave ------------------------------------------------------------------------------------------------------- */

struct result {
    double alone;              /* seconds of an iteration of the batch */
    double longer[COMPANIONS]; /* times as long beside them */
    double copied;             /* bytes a second by the copier meanwhile */
};

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *numbers, int count) {
    qsort(numbers, (size_t)count, sizeof *numbers, compare_numbers);
    return (numbers[count / 2] + numbers[(count - 1) / 2]) / 2;
}

static struct result take_turns(struct iteration *iteration, const struct companion companions[COMPANIONS], int turns) {
    double alone[MOST_TURNS], longer[COMPANIONS][MOST_TURNS], copied[MOST_TURNS];
    struct result result;
    for (int turn = 0; turn < turns; turn++) {
        alone[turn] = time_iteration(iteration);
        for (int c = 0; c < COMPANIONS; c++) {
            companion_release(&companions[c]);
            double begin = clock_now(), before = *companions[c].done;
            longer[c][turn] = time_iteration(iteration) / alone[turn];
            if (c == COPIER)
                copied[turn] = (*companions[c].done - before) / (clock_now() - begin);
            companion_hold(&companions[c]);
        }
    }
    for (int c = 0; c < COMPANIONS; c++)
        result.longer[c] = median(longer[c], turns);
    result.alone = median(alone, turns);
    result.copied = median(copied, turns);
    return result;
}

static struct result bench_octave(const struct task *task, int other_core, int rounds) {
    struct companion companions[COMPANIONS];
    int turns = rounds * (task->extent < SMALL ? 3 : task->extent < MIDDLE ? 2 : 1);
    struct iteration *iteration = make_iteration(task);
    start_companions(other_core, task, companions);
    run_iteration(iteration);
    struct result result = take_turns(iteration, companions, turns < MOST_TURNS ? turns : MOST_TURNS);
    for (int c = 0; c < COMPANIONS; c++)
        companion_end(&companions[c]);
    free_iteration(iteration);
    return result;
}

static void print_octave(const struct task *task, const struct result *r, const struct report *report) {
    static const char *const columns[] = {"same_times", "copier_times", "registers_times"};
    struct network_traffic moved =
        network_traffic(task->network, task->layer, task->extent, task->extent, LAYERS_BATCH);
    double rate = (moved.tables + moved.maps) / r->alone;
    char row[32];
    snprintf(row, sizeof row, "%s_%d", task->kernels, task->extent);
    printf("%6d %8.1f %8.1f %9.2f %8.1f | %+7.1f %% | %+7.1f %% %8.1f | %+7.1f %%\n", task->extent,
           1e-6 * moved.tables / LAYERS_BATCH, 1e-6 * moved.maps / LAYERS_BATCH, 1e3 * r->alone / LAYERS_BATCH,
           1e-9 * rate, 100 * (r->longer[SAME] - 1), 100 * (r->longer[COPIER] - 1), 1e-9 * r->copied,
           100 * (r->longer[REGISTERS] - 1));
    fflush(stdout);
    report_value(report, "bandwidth", row, "table_megabytes", 1e-6 * moved.tables / LAYERS_BATCH);
    report_value(report, "bandwidth", row, "map_megabytes", 1e-6 * moved.maps / LAYERS_BATCH);
    report_value(report, "bandwidth", row, "ms_per_picture", 1e3 * r->alone / LAYERS_BATCH);
    for (int c = 0; c < COMPANIONS; c++)
        report_value(report, "bandwidth", row, columns[c], r->longer[c]);
    report_value(report, "bandwidth", row, "copied_gigabytes_per_second", 1e-9 * r->copied);
}

/* Cores ----------------------------------------------------------------------------------------------------------- */

/* Which core of the chip a processor of the system's is part of; -1 if unknown. */
static int chip_core(int processor) {
    char path[96];
    int core = -1;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", processor);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%d", &core) != 1)
        core = -1;
    if (file)
        fclose(file);
    return core;
}

static void bind_to(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* On whichever core it likes; those that it may have. */
static cpu_set_t unbind(void) {
    cpu_set_t all;
    memset(&all, 255, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    sched_getaffinity(0, sizeof all, &all);
    return all;
}

/* A processor that this one shares no core with, if there is one; -1 if there is no other at all. */
static int find_other(const cpu_set_t *all, int core) {
    int other = -1;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (i != core && CPU_ISSET(i, all) && (other < 0 || chip_core(other) == chip_core(core)))
            other = i;
    return other;
}

/* All of it ------------------------------------------------------------------------------------------------------- */

static void print_title(const char *layer, const char *kernels) {
    printf(
        "\nIterations of a batch of %d filters of %s, %s kernels: per picture, tables and maps that are read and "
        "written\n"
        "[MB], counted from the shapes and not measured, at most: what caches hold does not travel; processor time "
        "alone [ms];\n"
        "what of the count that makes [GB/s]. How much longer an iteration takes beside a process on another core\n"
        "that does the same; that copies 256 MB, and what it copies meanwhile [GB/s read and written]; that computes "
        "in registers\n"
        "(the clock's part, no memory). Medians, in turns.\n"
        "%6s %8s %8s %9s %8s | %9s | %9s %8s | %9s\n",
        LAYERS_BATCH, layer, kernels, "pixels", "tables", "maps", "alone", "GB/s", "same", "copier", "copied",
        "registers");
}

static void bench_kernels(const char *layer, const struct octaves *octaves, int first,
                          const struct winograd_kernels *kernels, int other_core, int rounds,
                          const struct report *report) {
    struct weights weights = live_weights_make();
    struct network network;
    struct task task = {&network, vgg_find(&weights.net, layer), 0, winograd_kernels_name(kernels)};
    live_weights_wake(&weights, task.layer);
    void *tables = filled_network(&weights, octaves, task.layer, kernels, &network);
    print_title(layer, task.kernels);
    for (int octave = first; octave < octaves->steps; octave++) {
        task.extent = octaves->width[octave];
        struct result result = bench_octave(&task, other_core, rounds);
        print_octave(&task, &result, report);
    }
    network_free(&network);
    free(tables);
    weights_free(&weights);
}

static void print_copying(const struct report *report) {
    double one = copying_measure(1, 1), two = copying_measure(2, 1);
    printf("\nThis machine copies %.1f GB/s (read and written) by one process, %.1f by two: where an iteration's GB/s "
           "and the "
           "copier's\nsum up to that, memory is the limit.\n",
           1e-9 * one, 1e-9 * two);
    report_value(report, "bandwidth", "copying", "one_gigabytes_per_second", 1e-9 * one);
    report_value(report, "bandwidth", "copying", "two_gigabytes_per_second", 1e-9 * two);
}

void bandwidth_bench(const char *layer, const struct octaves *octaves, int first,
                     const struct winograd_kernels *const *kernels, int rounds, const struct report *report) {
    int core = sched_getcpu();
    const cpu_set_t all = unbind();
    int other = find_other(&all, core);
    if (other < 0) {
        printf("\nOne core alone: no other process to measure beside.\n");
        return;
    }
    print_copying(report);
    bind_to(core);
    for (; *kernels; kernels++)
        bench_kernels(layer, octaves, first, *kernels, other, rounds, report);
}
