#include "cost_file.h"

#include "filteratlas/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_room(const struct layers *layers, struct cost_file *costs, struct error *error) {
    costs->layer = calloc((size_t)layers->count + 1, sizeof *costs->layer);
    if (!costs->layer)
        return error_memory(error, layers->count * (double)sizeof *costs->layer, "costs");
    for (costs->layers = 0; costs->layers < layers->count; costs->layers++) {
        struct layer_times *times = &costs->layer[costs->layers];
        size_t filters = (size_t)layers->layer[costs->layers].filters;
        times->seconds = malloc(filters * sizeof *times->seconds);
        if (!times->seconds)
            return error_memory(error, (double)(filters * sizeof *times->seconds), "costs");
        for (size_t f = 0; f < filters; f++)
            times->seconds[f] = -1;
        times->mean = -1;
    }
    return STATUS_OK;
}

/* layer,filter,status,loss,seconds,rank */
static bool read_line(const char *line, const struct layers *layers, struct cost_file *costs) {
    char name[LAYER_NAME_SIZE];
    int filter, length = (int)strcspn(line, ",\n");
    double seconds;
    if (length >= LAYER_NAME_SIZE || sscanf(line + length, ",%d,%*[^,],%*[^,],%lf", &filter, &seconds) != 2 ||
        !(seconds >= 0) || isinf(seconds))
        return false;
    snprintf(name, sizeof name, "%.*s", length, line);
    int layer = layers_find(layers, name);
    if (layer < 0 || filter < 0 || filter >= layers->layer[layer].filters)
        return false;
    costs->layer[layer].seconds[filter] = seconds;
    costs->filters++;
    return true;
}

/* Layers that are not planned have no nominal costs. */
static void summarize(const struct layers *layers, const struct unit_list *list, struct cost_file *costs) {
    double taken = 0, nominal = 0;
    for (int l = 0; l < layers->count; l++) {
        double sum = 0;
        int count = 0;
        for (int f = 0; f < layers->layer[l].filters; f++)
            if (costs->layer[l].seconds[f] >= 0) {
                sum += costs->layer[l].seconds[f];
                count++;
            }
        if (!count)
            continue;
        costs->layer[l].mean = sum / count;
        taken += list->costs[l].filters ? sum : 0;
        nominal += count * list->costs[l].seconds[list->batch] / list->batch;
    }
    costs->scale = nominal > 0 ? taken / nominal : 1;
}

int cost_file_read(const char *path, const struct layers *layers, const struct unit_list *list, struct cost_file *costs,
                   struct error *error) {
    struct text text = {0};
    *costs = (struct cost_file){0};
    int status = text_read(path, &text, error), number = 0;
    if (status)
        return error->status = STATUS_USAGE;
    status = make_room(layers, costs, error);
    for (const char *line = text.bytes; !status && line && *line; number++) {
        const char *end = strchr(line, '\n');
        if (number && !read_line(line, layers, costs))
            status = error_set(error, STATUS_USAGE,
                               "--costs %s: line %d names no filter of this network with its seconds; give the "
                               "losses.csv of a run with the same weights",
                               path, number + 1);
        line = end ? end + 1 : NULL;
    }
    if (!status && !costs->filters)
        status = error_set(error, STATUS_USAGE, "--costs %s: names no filter; give the losses.csv of a run", path);
    if (!status)
        summarize(layers, list, costs);
    text_free(&text);
    return status;
}

int cost_file_check(const char *path, const struct store_entry *job, int entries, struct error *error) {
    static const char *const free_to_differ[] = {"seed", "batch", NULL};
    char folder[DURABLE_PATH_SIZE];
    struct store_job found = {0};
    struct text differences = {0};
    struct error none;
    char *real = realpath(path, NULL); /* beside what a link leads to */
    const char *where = real ? real : path, *slash = strrchr(where, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - where) + 1 : 1, slash ? where : ".");
    free(real);
    bool there = store_read_job(folder, &found, &none) == STATUS_OK && found.count;
    if (there)
        store_job_differences(&found, job, entries, free_to_differ, &differences);
    store_job_free(&found);
    int status = STATUS_OK;
    if (differences.size)
        status = error_set(error, STATUS_USAGE,
                           "--costs %s: is of another job, as job.txt beside it says, which differs in %s; give the "
                           "losses.csv of a run with the same options and weights",
                           path, differences.bytes + 2);
    text_free(&differences);
    return status;
}

void cost_file_free(struct cost_file *costs) {
    for (int l = 0; l < costs->layers; l++)
        free(costs->layer[l].seconds);
    free(costs->layer);
}

double cost_file_seconds(const struct cost_file *costs, const struct unit_list *list, const struct unit *piece) {
    int filters[ASCENT_MAX_BATCH], count = unit_filters(piece, list->batch, filters);
    const struct layer_times *times = &costs->layer[piece->layer];
    double batch_cost = list->costs[piece->layer].seconds[list->batch] / list->batch, sum = 0;
    for (int i = 0; i < count; i++) {
        double seconds = times->seconds[filters[i]];
        if (seconds < 0)
            seconds = times->mean >= 0 ? times->mean : costs->scale * batch_cost;
        sum += seconds;
    }
    /* Fewer filters together take a little longer each. */
    return sum * (piece->cost / count) / batch_cost;
}
