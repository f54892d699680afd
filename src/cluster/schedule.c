#include "filteratlas/cluster/schedule.h"

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

int unit_list_largest(const struct unit_list *list) {
    int largest = 1;
    for (int u = 0; u < list->count; u++) {
        int filters = __builtin_popcountll(list->unit[u].wanted);
        largest = filters > largest ? filters : largest;
    }
    return largest;
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

static void add_layer(int layer, unit_selection *wanted, const void *context, struct unit_list *list) {
    const struct layer_cost *cost = &list->costs[layer];
    int filters = cost->filters;
    for (int first = 0; first < filters; first += list->batch) {
        int last = first + list->batch < filters ? first + list->batch : filters;
        uint64_t bits = wanted_of_unit(layer, first, last, wanted, context);
        int count = __builtin_popcountll(bits);
        if (count)
            list->unit[list->count++] = (struct unit){.layer = layer,
                                                      .index = first / list->batch,
                                                      .wanted = bits,
                                                      .flops = cost->flops * count,
                                                      .cost = cost->seconds[count]};
    }
}

int unit_list_make(const struct layer_cost *costs, int layers, int batch, unit_selection *wanted, const void *context,
                   struct unit_list *list, struct error *error) {
    size_t most = 1;
    for (int l = 0; l < layers; l++)
        most += (size_t)costs[l].filters;
    *list = (struct unit_list){.unit = malloc(most * sizeof *list->unit), .batch = batch, .costs = costs};
    if (!list->unit)
        return error_memory(error, (double)(most * sizeof *list->unit), "the units of work");
    for (int l = 0; l < layers; l++)
        add_layer(l, wanted, context, list);
    return STATUS_OK;
}

void unit_list_free(struct unit_list *list) { free(list->unit); }

/* Pieces ------------------------------------------------------------------------------------------------------- */

/* Filters of a unit that make a piece: all, or as many as cost at most half of an equal share. */
static int piece_filters(const struct schedule *schedule, const struct unit *unit) {
    double most = schedule->cost / (2.0 * schedule->ranks);
    int filters = __builtin_popcountll(unit->wanted);
    while (schedule->ranks > 1 && filters > 1 && schedule->list->costs[unit->layer].seconds[filters] > most)
        filters--;
    return filters;
}

static struct unit part_of(const struct schedule *schedule, const struct unit *unit, uint64_t wanted) {
    struct unit part = *unit;
    int count = __builtin_popcountll(wanted);
    part.wanted = wanted;
    part.flops = unit->flops / __builtin_popcountll(unit->wanted) * count;
    if (wanted != unit->wanted)
        part.cost = schedule->list->costs[unit->layer].seconds[count];
    return part;
}

static uint64_t lowest_bits(uint64_t bits, int count) {
    uint64_t lowest = 0;
    for (int i = 0; i < count; i++)
        lowest |= (bits & ~lowest) & -(bits & ~lowest);
    return lowest;
}

/* Takes a piece off a unit. */
static struct unit cut(const struct schedule *schedule, struct unit *unit) {
    uint64_t taken = lowest_bits(unit->wanted, piece_filters(schedule, unit));
    struct unit piece = part_of(schedule, unit, taken);
    *unit = part_of(schedule, unit, unit->wanted & ~taken);
    return piece;
}

static int cut_all(struct schedule *schedule, struct error *error) {
    const struct unit_list *list = schedule->list;
    size_t most = (size_t)unit_list_filters(list) + 1;
    schedule->piece = malloc(most * sizeof *schedule->piece);
    if (!schedule->piece)
        return error_memory(error, (double)(most * sizeof *schedule->piece), "the slices");
    for (int u = 0; u < list->count; u++)
        for (struct unit unit = list->unit[u]; unit.wanted;)
            schedule->piece[schedule->pieces++] = cut(schedule, &unit);
    return STATUS_OK;
}

/* Slices --------------------------------------------------------------------------------------------------------- */

static int by_cost(const void *a, const void *b, void *context) {
    const struct unit *pieces = context;
    int x = *(const int *)a, y = *(const int *)b;
    if (pieces[x].cost != pieces[y].cost)
        return pieces[x].cost < pieces[y].cost ? 1 : -1;
    return x - y;
}

/* Positions of all pieces, largest first. */
static int *sorted_pieces(const struct schedule *schedule) {
    int *sorted = malloc((schedule->pieces + 1) * sizeof *sorted);
    for (int i = 0; sorted && i < schedule->pieces; i++)
        sorted[i] = i;
    if (sorted)
        qsort_r(sorted, schedule->pieces, sizeof *sorted, by_cost, schedule->piece);
    return sorted;
}

static int slice_append(struct slice *slice, int piece, double cost) {
    int *larger = realloc(slice->piece, (slice->pieces + 1) * sizeof *larger);
    if (!larger)
        return -1;
    slice->piece = larger;
    slice->piece[slice->pieces++] = piece;
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

static int fill_slices(struct schedule *schedule, struct error *error) {
    int *sorted = sorted_pieces(schedule), status = STATUS_OK;
    schedule->slice = calloc(schedule->ranks, sizeof *schedule->slice);
    if (!schedule->slice || !sorted)
        status = error_memory(error, (double)schedule->ranks * sizeof *schedule->slice, "the slices");
    for (int i = 0; i < schedule->pieces && !status; i++) {
        struct slice *slice = i < schedule->ranks ? &schedule->slice[i] : least_loaded(schedule);
        if (slice_append(slice, sorted[i], schedule->piece[sorted[i]].cost))
            status = error_memory(error, schedule->pieces * 4.0, "the slices");
    }
    free(sorted);
    return status;
}

int schedule_make(const struct unit_list *list, int ranks, struct schedule *schedule, struct error *error) {
    *schedule = (struct schedule){.list = list, .ranks = ranks, .cost = unit_list_cost(list)};
    int status = cut_all(schedule, error);
    return status ? status : fill_slices(schedule, error);
}

void schedule_free(struct schedule *schedule) {
    for (int r = 0; schedule->slice && r < schedule->ranks; r++)
        free(schedule->slice[r].piece);
    free(schedule->slice);
    free(schedule->piece);
}

/* Handing out ---------------------------------------------------------------------------------------------------- */

static struct slice *fullest(const struct schedule *schedule) {
    struct slice *fullest = schedule->slice;
    for (int r = 1; r < schedule->ranks && r < schedule->pieces; r++)
        if (schedule->slice[r].pieces - schedule->slice[r].next > 0 &&
            (fullest->next == fullest->pieces || schedule->slice[r].cost > fullest->cost))
            fullest = &schedule->slice[r];
    return fullest;
}

bool schedule_next(struct schedule *schedule, int rank, struct unit *piece) {
    struct slice *slice = &schedule->slice[rank];
    if (slice->next == slice->pieces)
        slice = fullest(schedule);
    if (slice->next == slice->pieces)
        return false;
    struct unit *rest = &schedule->piece[slice->piece[slice->next]];
    double before = rest->cost;
    *piece = cut(schedule, rest);
    slice->next += !rest->wanted;
    double left = rest->wanted ? rest->cost : 0;
    slice->cost -= before - left;
    schedule->cost -= before - left;
    return true;
}
