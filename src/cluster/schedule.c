#include "filteratlas/schedule.h"

#include <stdlib.h>

int unit_filters(const struct unit *unit, int batch, int *filters) {
    int count = 0;
    for (int i = 0; i < batch; i++)
        if (unit->wanted >> i & 1)
            filters[count++] = unit->index * batch + i;
    return count;
}

static uint64_t wanted_of_unit(int layer, int first, int last, unit_selection *wanted, const void *context) {
    uint64_t bits = 0;
    for (int filter = first; filter < last; filter++)
        if (wanted(context, layer, filter))
            bits |= (uint64_t)1 << (filter - first);
    return bits;
}

static void add_layer(const struct vgg *net, int layer, double filter_flops, int batch, unit_selection *wanted,
                      const void *context, struct unit_list *list) {
    int filters = net->layer[layer].out_channels;
    for (int first = 0; first < filters; first += batch) {
        int last = first + batch < filters ? first + batch : filters;
        uint64_t bits = wanted_of_unit(layer, first, last, wanted, context);
        if (bits)
            list->unit[list->count++] =
                (struct unit){layer, first / batch, bits, filter_flops * __builtin_popcountll(bits)};
    }
}

int unit_list_make(const struct vgg *net, const struct octaves *octaves, int epochs, int batch, unit_selection *wanted,
                   const void *context, struct unit_list *list, struct error *error) {
    size_t most = vgg_filters(net);
    *list = (struct unit_list){.unit = malloc(most * sizeof *list->unit)};
    if (!list->unit)
        return error_memory(error, (double)(most * sizeof *list->unit), "the units of work");
    for (int l = 0; l < net->layers; l++)
        add_layer(net, l, vgg_filter_flops(net, l, octaves, epochs), batch, wanted, context, list);
    return STATUS_OK;
}

void unit_list_free(struct unit_list *list) { free(list->unit); }

static int by_cost(const void *a, const void *b, void *context) {
    const struct unit *units = context;
    int x = *(const int *)a, y = *(const int *)b;
    if (units[x].flops != units[y].flops)
        return units[x].flops < units[y].flops ? 1 : -1;
    return x - y;
}

/* Positions of all units, largest first. */
static int *sorted_units(const struct unit_list *list) {
    int *order = malloc((list->count + 1) * sizeof *order);
    for (int i = 0; order && i < list->count; i++)
        order[i] = i;
    if (order)
        qsort_r(order, list->count, sizeof *order, by_cost, list->unit);
    return order;
}

static int slice_append(struct slice *slice, int unit, double flops) {
    int *larger = realloc(slice->unit, (slice->units + 1) * sizeof *larger);
    if (!larger)
        return -1;
    slice->unit = larger;
    slice->unit[slice->units++] = unit;
    slice->flops += flops;
    return 0;
}

static struct slice *least_loaded(const struct schedule *schedule) {
    struct slice *least = schedule->slice;
    for (int r = 1; r < schedule->ranks; r++)
        if (schedule->slice[r].flops < least->flops)
            least = &schedule->slice[r];
    return least;
}

int schedule_make(const struct unit_list *list, int ranks, struct schedule *schedule, struct error *error) {
    *schedule = (struct schedule){list, calloc(ranks, sizeof *schedule->slice), ranks};
    int *order = sorted_units(list), status = STATUS_OK;
    if (!schedule->slice || !order)
        status = error_memory(error, (double)ranks * sizeof *schedule->slice, "the slices");
    for (int i = 0; i < list->count && !status; i++)
        if (slice_append(least_loaded(schedule), order[i], list->unit[order[i]].flops))
            status = error_memory(error, list->count * 4.0, "the slices");
    free(order);
    return status;
}

void schedule_free(struct schedule *schedule) {
    for (int r = 0; schedule->slice && r < schedule->ranks; r++)
        free(schedule->slice[r].unit);
    free(schedule->slice);
}

static struct slice *fullest(const struct schedule *schedule) {
    struct slice *fullest = schedule->slice;
    for (int r = 1; r < schedule->ranks; r++)
        if (schedule->slice[r].units - schedule->slice[r].next > 0 &&
            (fullest->next == fullest->units || schedule->slice[r].flops > fullest->flops))
            fullest = &schedule->slice[r];
    return fullest;
}

const struct unit *schedule_next(struct schedule *schedule, int rank) {
    struct slice *slice = &schedule->slice[rank];
    if (slice->next == slice->units)
        slice = fullest(schedule);
    if (slice->next == slice->units)
        return NULL;
    const struct unit *unit = &schedule->list->unit[slice->unit[slice->next++]];
    slice->flops -= unit->flops;
    return unit;
}
