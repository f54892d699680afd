#include "executor_parts.h"

#include "columns.h"

enum { MANY = 64, BOTH_WAYS = 2 };

static const int POINTS[] = {36, 64}; /* [enum winograd_tile] */

int executor_vgg_layer(const struct executor *e, int layer, const struct vgg **net) {
    *net = &e->vgg.weights.net;
    return vgg_part_layer(&e->vgg, layer);
}

/* The work of one operation for one picture, and the bytes of weights that it reads. */
struct cost {
    struct executor_work work;
    double weights;
};

static double positions_of(const struct map *map) { return (double)map->height * map->width; }

static struct cost cost_of_winograd(const struct executor *e, const struct operation_call *call) {
    const struct winograd_layer *layer = &call->operation->winograd;
    const struct map *in = call->in;
    enum winograd_tile tile = executor_tile(e, call->operation, in->height, in->width);
    int side = tile == WINOGRAD_F4 ? 4 : 6;
    double tiles = (double)((in->height + side - 1) / side) * ((in->width + side - 1) / side);
    double weights = (double)POINTS[tile] * winograd_padded(layer->cin) * winograd_padded(layer->cout);
    struct cost cost = {.work.products = BOTH_WAYS * 2 * tiles * weights,
                        .weights = BOTH_WAYS * weights * sizeof(float)};
    cost.work.transforms[tile] = BOTH_WAYS * tiles * (winograd_padded(layer->cin) + winograd_padded(layer->cout));
    return cost;
}

/* Of a convolution over the map under the window, from or to positions. */
static struct cost cost_of_products(const struct operation_call *call, bool transposed) {
    const struct map *under = transposed ? &call->out : call->in, *at = transposed ? call->in : &call->out;
    const struct graph_node *node = operation_node(call->operation);
    struct window w = operation_window(call->operation, under, at);
    int groups = node->groups > 1 ? node->groups : 1;
    double values = (double)columns_depth(&w) / groups,
           weights = values * winograd_padded(at->channels / groups) * groups;
    struct cost cost = {.work.products = BOTH_WAYS * 2 * positions_of(at) * weights,
                        .weights = BOTH_WAYS * weights * sizeof(float)};
    if (!columns_are_map(&w)) /* gathered, then scattered */
        cost.work.moved = 5 * positions_of(at) * values * groups * sizeof(float);
    return cost;
}

static struct cost cost_of_depthwise(const struct operation_call *call) {
    const struct graph_node *node = operation_node(call->operation);
    return (struct cost){.work.depthwise = BOTH_WAYS * 2.0 * node->kernel[0] * node->kernel[1] *
                                           positions_of(&call->out) * call->out.stride};
}

/* What passes over maps reads and writes inputs and output, both ways. */
static double moved_bytes(const struct executor *e, const struct placement *placement, int i) {
    const struct step *step = &e->step[i];
    struct map out = executor_map(e, placement->octave, step->last);
    double floats = (double)map_floats(&out, 1);
    for (int k = 0; k < step->inputs; k++) {
        struct map in = executor_map(e, placement->octave, e->step[step->input[k]].last);
        floats += (double)map_floats(&in, 1);
    }
    return BOTH_WAYS * floats * sizeof(float);
}

static struct cost cost_of_step(const struct executor *e, struct placement *placement, int i) {
    struct operation_call call = placement_call(e, placement, i, 1);
    const struct operation_kind *kind = call.operation->kind;
    struct cost cost = {0};
    if (kind == &winograd_convolution)
        cost = cost_of_winograd(e, &call);
    else if (kind == &product_convolution || kind == &transposed_convolution)
        cost = cost_of_products(&call, kind == &transposed_convolution);
    else if (kind == &depthwise_convolution)
        cost = cost_of_depthwise(&call);
    cost.work.moved += moved_bytes(e, placement, i);
    if (activation_note_bytes(&call.operation->activation) == sizeof(float))
        cost.work.slopes = (double)map_floats(&call.out, 1);
    return cost;
}

static void add_work(const struct executor_work *from, struct executor_work *to) {
    to->products += from->products;
    to->depthwise += from->depthwise;
    to->channel += from->channel;
    to->slopes += from->slopes;
    to->moved += from->moved;
    for (int tile = 0; tile < 2; tile++)
        to->transforms[tile] += from->transforms[tile];
}

/* The wanted channel of the target alone, or all of it. */
static struct cost cost_of_target(const struct executor *e, struct placement *placement) {
    if (!placement_wants_one_channel(e, placement))
        return cost_of_step(e, placement, placement->target);
    struct operation_call call = placement_call(e, placement, placement->target, 1);
    call.out = placement_target_map(e, placement);
    struct window w = operation_window(call.operation, call.in, &call.out);
    double inputs = call.operation->kind == &depthwise_convolution ? 1 : call.in->stride;
    return (struct cost){.work.channel = BOTH_WAYS * 2 * positions_of(&call.out) * w.kernel[0] * w.kernel[1] * inputs};
}

int executor_count_work(const struct executor *e, int layer, int octave, struct executor_work *work,
                        struct error *error) {
    struct placement placement;
    int status = placement_make(e, &placement, error);
    *work = (struct executor_work){0};
    if (!status)
        placement_of_layer(e, layer, octave, MANY, &placement);
    for (int i = 1; !status && i <= placement.target; i++) {
        if (!placement.needed[i])
            continue;
        struct cost cost = i == placement.target ? cost_of_target(e, &placement) : cost_of_step(e, &placement, i);
        add_work(&cost.work, work);
        *(i < placement.cut ? &work->tables : &work->group_tables) += cost.weights;
    }
    work->together = placement.together;
    placement_free(&placement);
    return status;
}

int executor_traffic(const struct executor *e, int layer, int octave, int count, struct network_traffic *traffic,
                     struct error *error) {
    struct executor_work work;
    int vgg_layer = vgg_part_layer(&e->vgg, layer);
    if (vgg_layer >= 0) {
        *traffic =
            network_traffic(&e->vgg.network, vgg_layer, e->octaves.height[octave], e->octaves.width[octave], count);
        return STATUS_OK;
    }
    int status = executor_count_work(e, layer, octave, &work, error);
    if (!status) {
        int groups = (count + work.together - 1) / work.together;
        *traffic = (struct network_traffic){count * work.tables + groups * work.group_tables, count * work.moved};
    }
    return status;
}
