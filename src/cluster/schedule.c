#include "filteratlas/schedule.h"

#include <stdlib.h>

int unit_filters(const struct unit *unit, int batch, int *filters) {
    int count = 0;
    for (int i = 0; i < batch; i++)
        if (unit->wanted >> i & 1)
            filters[count++] = unit->index * batch + i;
    return count;
}

int unit_list_filters(const struct unit_list *list) {
    int filters = 0;
    for (int u = 0; u < list->count; u++)
        filters += __builtin_popcountll(list->unit[u].wanted);
    return filters;
}

double unit_list_flops(const struct unit_list *list) {
    double flops = 0;
    for (int u = 0; u < list->count; u++)
        flops += list->unit[u].flops;
    return flops;
}

double unit_list_cost(const struct unit_list *list) {
    double cost = 0;
    for (int u = 0; u < list->count; u++)
        cost += list->unit[u].cost;
    return cost;
}

static uint64_t wanted_of_unit(int layer, int first, int last, unit_selection *wanted, const void *context) {
    uint64_t bits = 0;
    for (int filter = first; filter < last; filter++)
        if (wanted(context, layer, filter))
            bits |= (uint64_t)1 << (filter - first);
    return bits;
}

static void add_layer(const struct vgg *net, int layer, double filter_flops, unit_selection *wanted,
                      const void *context, struct unit_list *list) {
    int filters = net->layer[layer].out_channels;
    for (int first = 0; first < filters; first += list->batch) {
        int last = first + list->batch < filters ? first + list->batch : filters;
        uint64_t bits = wanted_of_unit(layer, first, last, wanted, context);
        int count = __builtin_popcountll(bits);
        if (count)
            list->unit[list->count++] = (struct unit){.layer = layer,
                                                      .index = first / list->batch,
                                                      .wanted = bits,
                                                      .flops = filter_flops * count,
                                                      .cost = list->costs.seconds[layer][count]};
    }
}

int unit_list_make(const struct vgg *net, const struct octaves *octaves, int epochs, int batch, unit_selection *wanted,
                   const void *context, struct unit_list *list, struct error *error) {
    size_t most = vgg_filters(net);
    *list = (struct unit_list){.unit = malloc(most * sizeof *list->unit), .batch = batch};
    if (!list->unit)
        return error_memory(error, (double)(most * sizeof *list->unit), "the units of work");
    costs_make(net, octaves, epochs, &list->costs);
    for (int l = 0; l < net->layers; l++)
        add_layer(net, l, vgg_filter_flops(net, l, octaves, epochs), wanted, context, list);
    return STATUS_OK;
}

void unit_list_free(struct unit_list *list) { free(list->unit); }

static int by_cost(const void *a, const void *b, void *context) {
    const struct unit *units = context;
    int x = *(const int *)a, y = *(const int *)b;
    if (units[x].cost != units[y].cost)
        return units[x].cost < units[y].cost ? 1 : -1;
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

static int slice_append(struct slice *slice, int unit, double cost) {
    int *larger = realloc(slice->unit, (slice->units + 1) * sizeof *larger);
    if (!larger)
        return -1;
    slice->unit = larger;
    slice->unit[slice->units++] = unit;
    slice->cost += cost;
    return 0;
}

static struct slice *least_loaded(const struct schedule *schedule) {
    struct slice *least = schedule->slice;
    for (int r = 1; r < schedule->ranks; r++)
        if (schedule->slice[r].cost < least->cost)
            least = &schedule->slice[r];
    return least;
}

int schedule_make(const struct unit_list *list, int ranks, struct schedule *schedule, struct error *error) {
    *schedule = (struct schedule){.list = list,
                                  .rest = malloc((list->count + 1) * sizeof *schedule->rest),
                                  .slice = calloc(ranks, sizeof *schedule->slice),
                                  .ranks = ranks,
                                  .cost = unit_list_cost(list)};
    int *order = sorted_units(list), status = STATUS_OK;
    if (!schedule->rest || !schedule->slice || !order)
        status = error_memory(error, (double)ranks * sizeof *schedule->slice, "the slices");
    for (int i = 0; i < list->count && !status; i++) {
        schedule->rest[i] = list->unit[i];
        struct slice *slice = i < ranks ? &schedule->slice[i] : least_loaded(schedule);
        if (slice_append(slice, order[i], list->unit[order[i]].cost))
            status = error_memory(error, list->count * 4.0, "the slices");
    }
    free(order);
    return status;
}

void schedule_free(struct schedule *schedule) {
    for (int r = 0; schedule->slice && r < schedule->ranks; r++)
        free(schedule->slice[r].unit);
    free(schedule->slice);
    free(schedule->rest);
}

static struct slice *fullest(const struct schedule *schedule) {
    struct slice *fullest = schedule->slice;
    for (int r = 1; r < schedule->ranks && r < schedule->list->count; r++)
        if (schedule->slice[r].units - schedule->slice[r].next > 0 &&
            (fullest->next == fullest->units || schedule->slice[r].cost > fullest->cost))
            fullest = &schedule->slice[r];
    return fullest;
}

/* Filters of a unit that make a piece now. */
static int piece_filters(const struct schedule *schedule, const struct unit *rest) {
    double most = schedule->cost / (2.0 * schedule->ranks);
    int filters = __builtin_popcountll(rest->wanted);
    while (filters > 1 && schedule->list->costs.seconds[rest->layer][filters] > most)
        filters--;
    return filters;
}

static struct unit part_of(const struct schedule *schedule, const struct unit *unit, uint64_t wanted) {
    struct unit part = *unit;
    int count = __builtin_popcountll(wanted);
    part.wanted = wanted;
    part.flops = unit->flops / __builtin_popcountll(unit->wanted) * count;
    part.cost = schedule->list->costs.seconds[unit->layer][count];
    return part;
}

static uint64_t lowest_bits(uint64_t bits, int count) {
    uint64_t lowest = 0;
    for (int i = 0; i < count; i++)
        lowest |= (bits & ~lowest) & -(bits & ~lowest);
    return lowest;
}

bool schedule_next(struct schedule *schedule, int rank, struct unit *piece) {
    struct slice *slice = &schedule->slice[rank];
    if (slice->next == slice->units)
        slice = fullest(schedule);
    if (slice->next == slice->units)
        return false;
    struct unit *rest = &schedule->rest[slice->unit[slice->next]], before = *rest;
    uint64_t taken = lowest_bits(before.wanted, piece_filters(schedule, &before));
    *piece = part_of(schedule, &before, taken);
    *rest = part_of(schedule, &before, before.wanted & ~taken);
    slice->next += !rest->wanted;
    slice->cost -= before.cost - rest->cost;
    schedule->cost -= before.cost - rest->cost;
    return true;
}
