#include "command.h"
#include "cost_file.h"
#include "filteratlas/app/app.h"
#include "filteratlas/cluster/simulate.h"
#include "measure.h"
#include "network.h"
#include "progress.h"
#include "report.h"
#include "selection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is planned, and how long things take. */
struct plan {
    struct options *options;
    struct model model;
    struct ascent_job job;
    const struct winograd_kernels *kernels;
    struct selection selection;
    struct layer_cost *layer_costs; /* [layers] */
    struct unit_list list;
    struct measurement measurement;
    struct cost_file costs;
    double scale;              /* seconds for a nominal second of cost.h */
    struct commit_time commit; /* measured with --out */
};

static bool selected(const void *selection, int layer, int filter) { return selection_has(selection, layer, filter); }

static int make_list(const struct plan *plan, int batch, struct unit_list *list, struct error *error) {
    return unit_list_make(plan->layer_costs, plan->model.layers.count, batch, selected, &plan->selection, list, error);
}

/* A list and how long its pieces take. */
struct timing {
    const struct plan *plan;
    const struct unit_list *list;
};

static double piece_seconds(const void *context, const struct unit *piece) {
    const struct timing *timing = context;
    const struct plan *plan = timing->plan;
    return plan->costs.filters ? cost_file_seconds(&plan->costs, timing->list, piece) : plan->scale * piece->cost;
}

static void print_layers(const struct layers *layers, const struct unit_list *list) {
    int width = 14;
    for (int l = 0; l < layers->count; l++)
        if (list->costs[l].filters && (int)strlen(layers->layer[l].name) > width)
            width = (int)strlen(layers->layer[l].name);
    printf("%-*s %8s %8s %14s\n", width, "Layer", "Units", "Filters", "TFLOP");
    for (int l = 0; l < layers->count; l++) {
        int units = 0, filters = 0;
        double flops = 0;
        for (int u = 0; u < list->count; u++)
            if (list->unit[u].layer == l) {
                units++;
                filters += __builtin_popcountll(list->unit[u].wanted);
                flops += list->unit[u].flops;
            }
        if (units)
            printf("%-*s %8d %8d %14.3f\n", width, layers->layer[l].name, units, filters, flops / 1e12);
    }
    printf("%-*s %8d %8d %14.3f\n\n", width, "Total", list->count, unit_list_filters(list),
           unit_list_flops(list) / 1e12);
}

/* PNG files of such pictures have about 0.75 of their pixels' bytes. */
static double picture_bytes(const struct plan *plan) {
    const struct extent size = plan->options->size;
    return 0.75 * 3 * size.width * size.height;
}

static int play(const struct plan *plan, const struct unit_list *list, int ranks, struct simulation *simulation,
                struct error *error) {
    struct timing timing = {plan, list};
    const struct simulated_run run = {list, ranks, piece_seconds, &timing, plan->commit, picture_bytes(plan)};
    return simulate(&run, simulation, error);
}

/* A batch, and what it makes of a run. */
struct choice {
    int batch;
    struct simulation run, alone; /* on the ranks asked for; on one */
};

static int try_batch(const struct plan *plan, int batch, int ranks, struct choice *choice, struct error *error) {
    struct unit_list list;
    choice->batch = batch;
    int status = make_list(plan, batch, &list, error);
    if (!status)
        status = play(plan, &list, ranks, &choice->run, error);
    if (!status)
        status = play(plan, &list, 1, &choice->alone, error);
    unit_list_free(&list);
    return status;
}

/* The batch with which so many ranks are done first, the one asked for if none saves more than 1 %. */
static int find_batch(const struct plan *plan, const struct choice *asked, int ranks, struct choice *best,
                      struct error *error) {
    static const int batches[] = {1, 2, 4, 8, 16, 32, 64};
    int status = STATUS_OK;
    *best = *asked;
    for (size_t i = 0; i < sizeof batches / sizeof *batches && !status; i++) {
        struct choice choice;
        status = try_batch(plan, batches[i], ranks, &choice, error);
        if (!status && choice.run.seconds < fmin(best->run.seconds, 0.99 * asked->run.seconds))
            *best = choice;
    }
    return status;
}

static double efficiency(const struct choice *choice, int ranks) {
    return choice->run.seconds > 0 ? 100 * choice->alone.seconds / ranks / choice->run.seconds : 100;
}

static int print_time(const struct plan *plan, int ranks, struct error *error) {
    struct choice asked, best;
    char time[24];
    int cores = (int)sysconf(_SC_NPROCESSORS_ONLN), node = ranks < cores ? ranks : cores;
    int status = try_batch(plan, plan->options->batch, ranks, &asked, error);
    if (!status)
        status = find_batch(plan, &asked, ranks, &best, error);
    if (status)
        return status;
    progress_format_time(asked.run.seconds, time);
    printf("%7d rank%s %12.*f s (%s), efficiency %.1f %%, %.2f GB a node with %d of them", ranks,
           ranks == 1 ? ": " : "s:", asked.run.seconds < 100, asked.run.seconds, time, efficiency(&asked, ranks),
           (plan->measurement.node_bytes + node * plan->measurement.rank_bytes) / 1e9, node);
    if (best.batch != asked.batch)
        printf("; with --batch %d %.*f s, %.1f %%", best.batch, best.run.seconds < 100, best.run.seconds,
               efficiency(&best, ranks));
    if (asked.run.disk >= 0.01 * asked.run.seconds && asked.run.disk > 0)
        printf("; the disk limits it, by %.1f s", asked.run.disk);
    printf("\n");
    return STATUS_OK;
}

static int print_slices(const struct layers *layers, const struct unit_list *list, int ranks, struct error *error) {
    struct schedule schedule;
    int status = schedule_make(list, ranks, &schedule, error);
    if (!status)
        printf("\nSlices of %d rank%s:\n%6s %8s %8s %12s  %s\n", ranks, ranks == 1 ? "" : "s", "Rank", "Pieces",
               "Filters", "TFLOP", "First piece");
    for (int r = 0; r < ranks && !status; r++) {
        const struct slice *slice = &schedule.slice[r];
        int filters = 0;
        double flops = 0;
        for (int i = 0; i < slice->pieces; i++) {
            filters += __builtin_popcountll(schedule.piece[slice->piece[i]].wanted);
            flops += schedule.piece[slice->piece[i]].flops;
        }
        printf("%6d %8d %8d %12.3f", r, slice->pieces, filters, flops / 1e12);
        if (slice->pieces) {
            const struct unit *first = &schedule.piece[slice->piece[0]];
            printf("  %s unit %d", layers->layer[first->layer].name, first->index);
        }
        printf("\n");
    }
    schedule_free(&schedule);
    return status;
}

/* Mosaics and page show the pictures once more. */
static void print_disk(const struct plan *plan) {
    printf("Disk, if no filter dies: about %.2f GB of pictures and as much again for mosaics and page\n",
           picture_bytes(plan) * unit_list_filters(&plan->list) / 1e9);
    if (plan->options->out)
        printf("Commits, measured at %s: %.4f s, and %.0f pictures a second side by side\n", plan->options->out,
               plan->commit.batch + plan->commit.picture, 1 / fmax(plan->commit.picture, 1e-6));
    printf("\n");
}

static void print_basis(const struct plan *plan) {
    double gflops = unit_list_flops(&plan->list) / (plan->scale * unit_list_cost(&plan->list)) / 1e9;
    if (plan->costs.filters)
        printf("With what %d filters took in %s:\n", plan->costs.filters, plan->options->costs);
    else if (plan->options->speed > 0)
        printf("At %g GF/s per rank, if no filter dies:\n", plan->options->speed);
    else
        printf("At %.0f GF/s per rank, measured here on %d core%s, if no filter dies:\n", gflops,
               plan->measurement.processes, plan->measurement.processes == 1 ? "" : "s at once");
}

static int print_plan(const struct plan *plan, struct error *error) {
    const struct options *options = plan->options;
    const struct layers *layers = &plan->model.layers;
    int status = STATUS_OK;
    printf("%s, %s recipe, %dx%d pixels, %d octaves of %d steps, batches of %d\n\n", layers->network,
           recipe_name(options->recipe), options->size.width, options->size.height, options->steps, options->epochs,
           options->batch);
    print_layers(layers, &plan->list);
    printf("Memory: %.2f GB a node for weights and tables, and %.2f GB a rank\n", plan->measurement.node_bytes / 1e9,
           plan->measurement.rank_bytes / 1e9);
    print_disk(plan);
    print_basis(plan);
    for (int i = 0; i < options->ranks_count && !status; i++)
        status = print_time(plan, options->ranks[i], error);
    return status ? status : print_slices(layers, &plan->list, options->ranks[0], error);
}

/* --speed is meant at the default batch, as benchmarks are. */
static int scale_to_speed(struct plan *plan, struct error *error) {
    static const int usual_batch = 8;
    struct unit_list list;
    int status = make_list(plan, usual_batch, &list, error);
    if (!status)
        plan->scale = unit_list_flops(&list) / (plan->options->speed * 1e9) / unit_list_cost(&list);
    unit_list_free(&list);
    return status;
}

static int most_ranks(const struct options *options) {
    int most = 1;
    for (int i = 0; i < options->ranks_count; i++)
        most = options->ranks[i] > most ? options->ranks[i] : most;
    return most;
}

/* What filters took in an earlier run, of the same job. */
static int read_costs(struct plan *plan, struct error *error) {
    struct store_entry entries[COMMAND_JOB_ENTRIES];
    struct text values = {0};
    const char *path = plan->options->costs;
    int count = command_job_entries(plan->options, &plan->model, &values, entries);
    int status = cost_file_check(path, entries, count, error);
    text_free(&values);
    return status ? status : cost_file_read(path, &plan->model.layers, &plan->list, &plan->costs, error);
}

static int make_plan(struct plan *plan, struct error *error) {
    struct options *options = plan->options;
    bool timed = options->speed <= 0 && !options->costs, abandoned;
    int status = options_kernels(options, &plan->kernels, error);
    if (!status)
        status = network_read(options, NULL, &plan->model, &plan->selection, &abandoned, error);
    if (status)
        return status;
    plan->job = network_job(options, &plan->model.graph);
    status =
        network_make_costs(&plan->model, plan->selection.layer, &plan->job, plan->kernels, &plan->layer_costs, error);
    if (!status)
        status = make_list(plan, options->batch, &plan->list, error);
    if (!status && options->costs)
        status = read_costs(plan, error);
    if (!status)
        status = measure(&plan->model, plan->selection.layer, &plan->job, plan->kernels, unit_list_largest(&plan->list),
                         timed ? most_ranks(options) : 0, &plan->measurement, error);
    if (!status && options->out)
        status = disk_measure(options->out, (size_t)picture_bytes(plan), &plan->commit, error);
    plan->scale = timed ? plan->measurement.scale : 0;
    return status || timed ? status : scale_to_speed(plan, error);
}

int app_plan(int argc, char **argv) {
    struct options options;
    struct error error;
    struct plan plan = {.options = &options};
    int status = command_options(COMMAND_PLAN, argc, argv, &options);
    if (status || options.help)
        return status;
    status = make_plan(&plan, &error);
    if (!status)
        status = print_plan(&plan, &error);
    unit_list_free(&plan.list);
    cost_file_free(&plan.costs);
    free(plan.layer_costs);
    selection_free(&plan.selection);
    model_free(&plan.model);
    return status ? report_error(&error) : STATUS_OK;
}
