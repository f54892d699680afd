#include "command.h"
#include "filteratlas/app.h"
#include "filteratlas/progress.h"
#include "filteratlas/schedule.h"
#include "filteratlas/selection.h"
#include "filteratlas/weights.h"

#include <stdio.h>

static bool selected(const void *selection, int layer, int filter) { return selection_has(selection, layer, filter); }

static int filters_of(const struct unit *unit) { return __builtin_popcountll(unit->wanted); }

static void print_layers(const struct vgg *net, const struct unit_list *list) {
    int units_sum = 0, filters_sum = 0;
    double flops_sum = 0;
    printf("%-14s %8s %8s %14s\n", "Layer", "Units", "Filters", "TFLOP");
    for (int l = 0; l < net->layers; l++) {
        int units = 0, filters = 0;
        double flops = 0;
        for (int u = 0; u < list->count; u++)
            if (list->unit[u].layer == l) {
                units++;
                filters += filters_of(&list->unit[u]);
                flops += list->unit[u].flops;
            }
        if (units)
            printf("%-14s %8d %8d %14.3f\n", net->layer[l].name, units, filters, flops / 1e12);
        units_sum += units;
        filters_sum += filters;
        flops_sum += flops;
    }
    printf("%-14s %8d %8d %14.3f\n\n", "Total", units_sum, filters_sum, flops_sum / 1e12);
}

/* The time of the longest slice: taking over from others can only shorten it. */
static int print_time(const struct unit_list *list, int ranks, double speed, struct error *error) {
    struct schedule schedule;
    int status = schedule_make(list, ranks, &schedule, error);
    double longest = 0, sum = 0;
    for (int r = 0; r < ranks && !status; r++) {
        longest = schedule.slice[r].flops > longest ? schedule.slice[r].flops : longest;
        sum += schedule.slice[r].flops;
    }
    char time[24];
    progress_format_time(longest / (speed * 1e9), time);
    if (!status)
        printf("%7d rank%s %12.0f s (%s), efficiency %.1f %%\n", ranks,
               ranks == 1 ? ": " : "s:", longest / (speed * 1e9), time,
               longest > 0 ? 100 * sum / ranks / longest : 100);
    schedule_free(&schedule);
    return status;
}

static int print_slices(const struct vgg *net, const struct unit_list *list, int ranks, struct error *error) {
    struct schedule schedule;
    int status = schedule_make(list, ranks, &schedule, error);
    if (!status)
        printf("\nSlices of %d rank%s:\n%6s %8s %8s %12s  %s\n", ranks, ranks == 1 ? "" : "s", "Rank", "Units",
               "Filters", "TFLOP", "First unit");
    for (int r = 0; r < ranks && !status; r++) {
        const struct slice *slice = &schedule.slice[r];
        int filters = 0;
        for (int i = 0; i < slice->units; i++)
            filters += filters_of(&list->unit[slice->unit[i]]);
        printf("%6d %8d %8d %12.3f", r, slice->units, filters, slice->flops / 1e12);
        if (slice->units)
            printf("  %s unit %d", net->layer[list->unit[slice->unit[0]].layer].name, list->unit[slice->unit[0]].index);
        printf("\n");
    }
    schedule_free(&schedule);
    return status;
}

static int print_plan(const struct options *options, const struct vgg *net, const struct unit_list *list,
                      struct error *error) {
    printf("%s, %dx%d pixels, %d octaves of %d steps, batches of %d\n\n", net->variant, options->size.width,
           options->size.height, options->steps, options->epochs, options->batch);
    print_layers(net, list);
    printf("At %g GF/s per rank, if no filter dies:\n", options->speed);
    int status = STATUS_OK;
    for (int i = 0; i < options->ranks_count && !status; i++)
        status = print_time(list, options->ranks[i], options->speed, error);
    return status ? status : print_slices(net, list, options->ranks[0], error);
}

int app_plan(int argc, char **argv) {
    struct options options;
    struct weights weights;
    struct selection selection;
    struct unit_list list = {0};
    struct error error;
    int status = command_options(COMMAND_PLAN, argc, argv, &options);
    if (status || options.help)
        return status;
    if (weights_read(options.weights, &weights, &error))
        return app_report(&error);
    struct ascent_job job = command_job(&options);
    status = selection_make(&options, &weights.net, &selection, &error);
    if (!status)
        status = selection_check_size(&selection, &options, &weights.net, &error);
    if (!status)
        status =
            unit_list_make(&weights.net, &job.octaves, job.epochs, options.batch, selected, &selection, &list, &error);
    if (!status)
        status = print_plan(&options, &weights.net, &list, &error);
    unit_list_free(&list);
    weights_free(&weights);
    return status ? app_report(&error) : STATUS_OK;
}
