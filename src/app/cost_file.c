#include "cost_file.h"

#include "filteratlas/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_room(const struct vgg *net, struct cost_file *costs, struct error *error) {
    for (int l = 0; l < net->layers; l++) {
        size_t filters = net->layer[l].out_channels;
        costs->seconds[l] = malloc(filters * sizeof *costs->seconds[l]);
        if (!costs->seconds[l])
            return error_memory(error, (double)(filters * sizeof *costs->seconds[l]), "costs");
        for (size_t f = 0; f < filters; f++)
            costs->seconds[l][f] = -1;
        costs->mean[l] = -1;
    }
    return STATUS_OK;
}

/* layer,filter,status,loss,seconds,rank */
static bool read_line(const char *line, const struct vgg *net, struct cost_file *costs) {
    char name[32];
    int filter, layer;
    double seconds;
    if (sscanf(line, "%31[^,],%d,%*[^,],%*[^,],%lf", name, &filter, &seconds) != 3 || !(seconds >= 0) || isinf(seconds))
        return false;
    layer = vgg_find(net, name);
    if (layer < 0 || filter < 0 || filter >= net->layer[layer].out_channels)
        return false;
    costs->seconds[layer][filter] = seconds;
    costs->filters++;
    return true;
}

static void summarize(const struct vgg *net, const struct unit_list *list, struct cost_file *costs) {
    double taken = 0, nominal = 0;
    for (int l = 0; l < net->layers; l++) {
        double sum = 0;
        int count = 0;
        for (int f = 0; f < net->layer[l].out_channels; f++)
            if (costs->seconds[l][f] >= 0) {
                sum += costs->seconds[l][f];
                count++;
            }
        if (count)
            costs->mean[l] = sum / count;
        taken += sum;
        nominal += count * list->costs.seconds[l][list->batch] / list->batch;
    }
    costs->scale = taken / nominal;
}

int cost_file_read(const char *path, const struct vgg *net, const struct unit_list *list, struct cost_file *costs,
                   struct error *error) {
    struct text text = {0};
    *costs = (struct cost_file){0};
    int status = text_read(path, &text, error), number = 0;
    if (status)
        return error->status = STATUS_USAGE;
    status = make_room(net, costs, error);
    for (const char *line = text.bytes; !status && line && *line; number++) {
        const char *end = strchr(line, '\n');
        if (number && !read_line(line, net, costs))
            status = error_set(error, STATUS_USAGE,
                               "--costs %s: line %d names no filter of this network with its seconds; give the "
                               "losses.csv of a run with the same weights",
                               path, number + 1);
        line = end ? end + 1 : NULL;
    }
    if (!status && !costs->filters)
        status = error_set(error, STATUS_USAGE, "--costs %s: names no filter; give the losses.csv of a run", path);
    if (!status)
        summarize(net, list, costs);
    text_free(&text);
    return status;
}

int cost_file_check(const char *path, const struct store_entry *job, int entries, struct error *error) {
    static const char *const free_to_differ[] = {"seed", "batch", NULL};
    char folder[DURABLE_PATH_SIZE];
    struct store_job found = {0};
    struct text differences = {0};
    struct error none;
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
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
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        free(costs->seconds[l]);
}

double cost_file_seconds(const struct cost_file *costs, const struct unit_list *list, const struct unit *piece) {
    int filters[ASCENT_MAX_BATCH], count = unit_filters(piece, list->batch, filters), layer = piece->layer;
    double batch_cost = list->costs.seconds[layer][list->batch] / list->batch, sum = 0;
    for (int i = 0; i < count; i++) {
        double seconds = costs->seconds[layer][filters[i]];
        if (seconds < 0)
            seconds = costs->mean[layer] >= 0 ? costs->mean[layer] : costs->scale * batch_cost;
        sum += seconds;
    }
    /* Fewer filters together take a little longer each. */
    return sum * (piece->cost / count) / batch_cost;
}
