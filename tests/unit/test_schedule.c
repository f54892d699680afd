/* Units of work and their division among ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/cluster/schedule.h"
#include "filteratlas/cluster/simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS = 3, MOST_FILTERS = 600 };

/* xorshift64: the same sequence everywhere. */
static uint64_t random_state;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct vgg small_net(void) {
    static const int widths[] = {3, 16, 17, 1, 64, 65, 128, 130}; /* around multiples of the batch sizes below */
    struct vgg net;
    struct error error;
    assert_int_equal(vgg_make(8, widths, &net, &error), STATUS_OK);
    return net;
}

static struct ascent_job small_job(void) {
    struct ascent_job job = {.epochs = EPOCHS};
    octaves_make(64, 48, 1.2, 2, &job.octaves);
    return job;
}

static bool all(const void *context, int layer, int filter) {
    (void)context, (void)layer, (void)filter;
    return true;
}

static bool none(const void *context, int layer, int filter) { return !all(context, layer, filter); }

/* Three in eight, scattered. */
static bool some(const void *context, int layer, int filter) {
    (void)context;
    return ((unsigned)(filter * 2654435761u + layer * 40503u) >> 13) % 8 < 3;
}

static bool one(const void *context, int layer, int filter) {
    (void)context;
    return layer == 7 && filter == 129;
}

static struct unit_list list_of(const struct vgg *net, const struct ascent_job *job, int batch,
                                unit_selection *wanted) {
    static struct layer_cost costs[VGG_MAX_LAYERS];
    struct unit_list list;
    struct error error;
    for (int l = 0; l < net->layers; l++)
        cost_of_vgg_layer(net, job, l, &costs[l]);
    assert_int_equal(unit_list_make(costs, net->layers, batch, wanted, NULL, &list, &error), STATUS_OK);
    return list;
}

static struct unit_list make_list(int batch, unit_selection *wanted) {
    struct vgg net = small_net();
    struct ascent_job job = small_job();
    return list_of(&net, &job, batch, wanted);
}

/* How often each filter of each layer stands in a list. */
static void count_filters(const struct unit_list *list, int batch, int times[VGG_MAX_LAYERS][MOST_FILTERS]) {
    memset(times, 0, sizeof(int[VGG_MAX_LAYERS][MOST_FILTERS]));
    for (int u = 0; u < list->count; u++) {
        const struct unit *unit = &list->unit[u];
        int filters[ASCENT_MAX_BATCH], count = unit_filters(unit, batch, filters);
        assert_true(count > 0 && count <= batch);
        for (int i = 0; i < count; i++) {
            assert_int_equal(filters[i] / batch, unit->index);
            assert_true(i == 0 || filters[i] > filters[i - 1]);
            times[unit->layer][filters[i]]++;
        }
    }
}

static void units_hold_every_wanted_filter_once(void **state) {
    (void)state;
    static const int batches[] = {1, 3, 8, 16, 63, 64};
    static unit_selection *const selections[] = {all, none, some, one};
    static int times[VGG_MAX_LAYERS][MOST_FILTERS];
    struct vgg net = small_net();
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t s = 0; s < sizeof selections / sizeof *selections; s++) {
            struct unit_list list = make_list(batches[b], selections[s]);
            count_filters(&list, batches[b], times);
            for (int l = 0; l < VGG_MAX_LAYERS; l++)
                for (int f = 0; f < MOST_FILTERS; f++) {
                    bool there = l < net.layers && f < net.layer[l].out_channels;
                    assert_int_equal(times[l][f], there && selections[s](NULL, l, f));
                }
            unit_list_free(&list);
        }
}

/* Unit k of a layer holds the same filters whatever else is wanted: that is what records on disk rely on. */
static void a_unit_keeps_its_number_whatever_is_selected(void **state) {
    (void)state;
    struct unit_list list = make_list(8, one);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.unit[0].layer, 7);
    assert_int_equal(list.unit[0].index, 129 / 8);
    int filters[ASCENT_MAX_BATCH];
    assert_int_equal(unit_filters(&list.unit[0], 8, filters), 1);
    assert_int_equal(filters[0], 129);
    unit_list_free(&list);
}

static void unit_filters_reach_the_last_bit(void **state) {
    (void)state;
    int filters[ASCENT_MAX_BATCH];
    const struct unit full = {.index = 2, .wanted = UINT64_MAX}, ends = {.index = 1, .wanted = 1 | (uint64_t)1 << 63};
    assert_int_equal(unit_filters(&full, 64, filters), 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(filters[i], 128 + i);
    assert_int_equal(unit_filters(&ends, 64, filters), 2);
    assert_int_equal(filters[0], 64);
    assert_int_equal(filters[1], 127);
}

static void a_unit_costs_what_its_wanted_filters_cost(void **state) {
    (void)state;
    struct vgg net = small_net();
    struct ascent_job job = small_job();
    struct unit_list list = make_list(8, some);
    for (int u = 0; u < list.count; u++) {
        int filters[ASCENT_MAX_BATCH], count = unit_filters(&list.unit[u], 8, filters);
        double wanted = count * vgg_filter_flops(&net, list.unit[u].layer, &job.octaves, EPOCHS);
        assert_true(fabs(list.unit[u].flops - wanted) <= 1e-9 * wanted);
    }
    unit_list_free(&list);
}

static struct schedule divide(const struct unit_list *list, int ranks) {
    struct schedule schedule;
    struct error error;
    assert_int_equal(schedule_make(list, ranks, &schedule, &error), STATUS_OK);
    assert_int_equal(schedule.ranks, ranks);
    return schedule;
}

static int find_unit(const struct unit_list *list, const struct unit *piece) {
    for (int u = 0; u < list->count; u++)
        if (list->unit[u].layer == piece->layer && list->unit[u].index == piece->index)
            return u;
    fail();
    return -1;
}

static void assert_a_partition(const struct schedule *schedule) {
    uint64_t *seen = calloc(schedule->list->count + 1, sizeof *seen);
    for (int r = 0; r < schedule->ranks; r++) {
        const struct slice *slice = &schedule->slice[r];
        double cost = 0;
        for (int i = 0; i < slice->pieces; i++) {
            const struct unit *piece = &schedule->piece[slice->piece[i]];
            int u = find_unit(schedule->list, piece);
            assert_true(piece->wanted && !(seen[u] & piece->wanted));
            seen[u] |= piece->wanted;
            cost += piece->cost;
        }
        assert_true(fabs(slice->cost - cost) <= 1e-9 * cost);
    }
    for (int u = 0; u < schedule->list->count; u++)
        assert_true(seen[u] == schedule->list->unit[u].wanted);
    free(seen);
}

static void slices_are_a_partition_for_any_number_of_ranks(void **state) {
    (void)state;
    static unit_selection *const selections[] = {all, none, some, one};
    for (size_t s = 0; s < sizeof selections / sizeof *selections; s++) {
        struct unit_list list = make_list(8, selections[s]);
        const int ranks[] = {1, 2, 3, 5, 16, list.count + 1, list.count + 7, 1000};
        for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
            struct schedule schedule = divide(&list, ranks[i]);
            assert_a_partition(&schedule);
            schedule_free(&schedule);
        }
        unit_list_free(&list);
    }
}

/* With more ranks than filters no rank gets a second piece while another has none. */
static void with_ranks_to_spare_nobody_gets_two_pieces(void **state) {
    (void)state;
    struct unit_list list = make_list(8, some);
    struct schedule schedule = divide(&list, unit_list_filters(&list) + 3);
    for (int r = 0; r < schedule.ranks; r++)
        assert_true(schedule.slice[r].pieces <= 1);
    schedule_free(&schedule);
    unit_list_free(&list);
}

static double longest_slice(const struct schedule *schedule) {
    double longest = 0;
    for (int r = 0; r < schedule->ranks; r++)
        longest = fmax(longest, schedule->slice[r].cost);
    return longest;
}

/* The shortest possible longest slice, by trying everything: units < 10, ranks < 5. */
static double best_longest(const double *cost, int units, double *load, int ranks, double bound) {
    double longest = 0;
    for (int r = 0; r < ranks; r++)
        longest = fmax(longest, load[r]);
    if (!units || longest >= bound)
        return longest;
    for (int r = 0; r < ranks; r++) {
        load[r] += cost[units - 1];
        bound = fmin(bound, best_longest(cost, units - 1, load, ranks, bound));
        load[r] -= cost[units - 1];
        if (load[r] == 0)
            break; /* the other empty ranks are the same */
    }
    return bound;
}

/* Graham's theorem (1969) for largest first: 4/3 - 1/(3 ranks) of the best possible. */
static void slices_are_within_grahams_bound_of_the_best(void **state) {
    (void)state;
    random_state = 88172645463325252u;
    for (int trial = 0; trial < 400; trial++) {
        int units = 1 + (int)(next_random() % 9), ranks = 2 + (int)(next_random() % 3);
        struct unit unit[9] = {{0}};
        double cost[9], load[5] = {0};
        for (int u = 0; u < units; u++)
            unit[u] =
                (struct unit){.wanted = 1, .cost = cost[u] = (double)(1 + next_random() % (trial % 2 ? 20 : 1000))};
        static const struct layer_cost nothing;
        struct unit_list list = {.unit = unit, .count = units, .costs = &nothing};
        struct schedule schedule = divide(&list, ranks);
        double best = best_longest(cost, units, load, ranks, INFINITY);
        assert_true(longest_slice(&schedule) <= (4.0 / 3 - 1.0 / (3 * ranks)) * best * (1 + 1e-12));
        schedule_free(&schedule);
    }
}

/* What a user sees of it: VGG16's 528 units at the defaults keep 16 ranks busy to 99 %. */
static void a_whole_network_is_divided_evenly(void **state) {
    (void)state;
    static const int widths[] = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};
    struct vgg net;
    struct ascent_job job = {.epochs = 15};
    struct error error;
    assert_int_equal(vgg_make(13, widths, &net, &error), STATUS_OK);
    octaves_make(412, 412, 1.2, 9, &job.octaves);
    struct unit_list list = list_of(&net, &job, 8, all);
    double sum = 0;
    for (int u = 0; u < list.count; u++)
        sum += list.unit[u].cost;
    for (int ranks = 1; ranks <= 16; ranks++) {
        struct schedule schedule = divide(&list, ranks);
        assert_true(longest_slice(&schedule) < sum / ranks / 0.99);
        schedule_free(&schedule);
    }
    unit_list_free(&list);
}

/* What was handed out of a list, seen from outside. */
struct ledger {
    const struct schedule *schedule;
    uint64_t *left; /* [pieces] filters that are not handed out */
};

static double cost_of(const struct ledger *ledger, int piece, uint64_t filters) {
    const struct schedule *schedule = ledger->schedule;
    return schedule->list->costs[schedule->piece[piece].layer].seconds[__builtin_popcountll(filters)];
}

static double left_of(const struct ledger *ledger, int rank) {
    const struct slice *slice = &ledger->schedule->slice[rank];
    double left = 0;
    for (int i = 0; i < slice->pieces; i++) {
        int piece = slice->piece[i];
        left += cost_of(ledger, piece, ledger->left[piece]);
    }
    return left;
}

/* The piece of the schedule that a piece handed out is a part of. */
static int whole_of(const struct ledger *ledger, const struct unit *part) {
    const struct schedule *schedule = ledger->schedule;
    for (int p = 0; p < schedule->pieces; p++)
        if (schedule->piece[p].layer == part->layer && schedule->piece[p].index == part->index &&
            !(part->wanted & ~ledger->left[p]))
            return p;
    fail();
    return -1;
}

static int owner_of(const struct ledger *ledger, int piece) {
    for (int r = 0; r < ledger->schedule->ranks; r++)
        for (int i = 0; i < ledger->schedule->slice[r].pieces; i++)
            if (ledger->schedule->slice[r].piece[i] == piece)
                return r;
    fail();
    return -1;
}

/* A rank has asked and got a piece. */
static void check_piece(struct ledger *ledger, int rank, const struct unit *piece) {
    double most = 0, all = 0, own = left_of(ledger, rank);
    for (int r = 0; r < ledger->schedule->ranks; r++) {
        all += left_of(ledger, r);
        most = fmax(most, left_of(ledger, r));
    }
    int whole = whole_of(ledger, piece), owner = owner_of(ledger, whole);
    assert_true(piece->wanted != 0);
    assert_true(own > 0 ? owner == rank : left_of(ledger, owner) >= most * (1 - 1e-9));
    assert_true(fabs(piece->cost - cost_of(ledger, whole, piece->wanted)) <= 1e-9 * piece->cost);
    bool is_single = !(piece->wanted & (piece->wanted - 1));
    assert_true(is_single || ledger->schedule->ranks == 1 ||
                piece->cost <= all / ledger->schedule->ranks / 2 * (1 + 1e-6));
    ledger->left[whole] &= ~piece->wanted;
}

/* Lets ranks ask in random order, one of them rarely, until all is out. */
static void hand_out(const struct unit_list *list, int ranks) {
    struct schedule schedule = divide(list, ranks);
    struct ledger ledger = {&schedule, calloc(schedule.pieces + 1, sizeof *ledger.left)};
    struct unit piece;
    int filters = 0;
    for (int p = 0; p < schedule.pieces; p++)
        ledger.left[p] = schedule.piece[p].wanted;
    while (filters < unit_list_filters(list)) {
        int rank = (int)(next_random() % (unsigned)ranks);
        if (rank == 0 && next_random() % 8)
            continue;
        assert_true(schedule_next(&schedule, rank, &piece));
        check_piece(&ledger, rank, &piece);
        filters += __builtin_popcountll(piece.wanted);
    }
    for (int rank = 0; rank < ranks; rank++)
        for (int again = 0; again < 2; again++)
            assert_false(schedule_next(&schedule, rank, &piece));
    free(ledger.left);
    schedule_free(&schedule);
}

/* Own slice first, then the slice with most left; every filter once, in pieces of at most half an equal share of what
 * is left, however the ranks ask. */
static void every_filter_is_handed_out_once_in_any_order(void **state) {
    (void)state;
    random_state = 2463534242u;
    static unit_selection *const selections[] = {all, none, some, one};
    static const int ranks[] = {1, 2, 3, 5, 17, 80};
    for (size_t s = 0; s < sizeof selections / sizeof *selections; s++) {
        struct unit_list list = make_list(16, selections[s]);
        for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
            for (int repeat = 0; repeat < 5; repeat++)
                hand_out(&list, ranks[i]);
        unit_list_free(&list);
    }
}

/* A rank alone at work ends up with everything: the others may be slow or have only dead filters left. */
static void one_rank_can_draw_it_all(void **state) {
    (void)state;
    struct unit_list list = make_list(8, some);
    struct schedule schedule = divide(&list, 4);
    struct unit piece;
    int filters = 0;
    while (schedule_next(&schedule, 2, &piece))
        filters += __builtin_popcountll(piece.wanted);
    assert_int_equal(filters, unit_list_filters(&list));
    schedule_free(&schedule);
    unit_list_free(&list);
}

static void a_slice_starts_with_its_largest_piece(void **state) {
    (void)state;
    struct unit_list list = make_list(8, some);
    struct schedule schedule = divide(&list, 3);
    for (int r = 0; r < 3; r++)
        for (int i = 1; i < schedule.slice[r].pieces; i++)
            assert_true(schedule.piece[schedule.slice[r].piece[i]].cost <=
                        schedule.piece[schedule.slice[r].piece[i - 1]].cost);
    schedule_free(&schedule);
    unit_list_free(&list);
}

static double as_planned(const void *context, const struct unit *piece) {
    (void)context;
    return piece->cost;
}

/* Half of the filters die at once, in runs: nobody knows beforehand which. */
static double as_filters_die(const void *context, const struct unit *piece) {
    (void)context;
    return piece->index / 4 % 2 ? piece->cost : 0.05 * piece->cost;
}

/* A run takes no less than its work divided by the ranks, and little more, even where costs come as a surprise. */
static void a_simulated_run_keeps_the_ranks_busy(void **state) {
    (void)state;
    struct unit_list list = make_list(8, all);
    static const int ranks[] = {1, 2, 5, 16};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        for (int dying = 0; dying < 2; dying++) {
            struct simulation run;
            struct error error;
            const struct simulated_run plan = {&list, ranks[i], dying ? as_filters_die : as_planned,
                                               .picture_bytes = 1e5};
            assert_int_equal(simulate(&plan, &run, &error), STATUS_OK);
            assert_true(run.seconds >= run.busy / ranks[i] * (1 - 1e-9));
            assert_true(run.seconds <= run.busy / ranks[i] * (dying ? 1.15 : 1.05));
            assert_true(run.pieces >= list.count);
        }
    unit_list_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_hold_every_wanted_filter_once),
        cmocka_unit_test(a_unit_keeps_its_number_whatever_is_selected),
        cmocka_unit_test(unit_filters_reach_the_last_bit),
        cmocka_unit_test(a_unit_costs_what_its_wanted_filters_cost),
        cmocka_unit_test(slices_are_a_partition_for_any_number_of_ranks),
        cmocka_unit_test(with_ranks_to_spare_nobody_gets_two_pieces),
        cmocka_unit_test(slices_are_within_grahams_bound_of_the_best),
        cmocka_unit_test(a_whole_network_is_divided_evenly),
        cmocka_unit_test(every_filter_is_handed_out_once_in_any_order),
        cmocka_unit_test(one_rank_can_draw_it_all),
        cmocka_unit_test(a_slice_starts_with_its_largest_piece),
        cmocka_unit_test(a_simulated_run_keeps_the_ranks_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
