#include "executor_parts.h"

#include "convolution.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_FLOATS = 16 };

static bool has_panels(const struct step *step) {
    return step->operation.kind == &product_convolution || step->operation.kind == &transposed_convolution;
}

/* --- Which tables there are */

/* Products that maps of all octaves take in 6x6 and 4x4 tiles, a 6x6 tile counted as two 4x4 ones, and in the better of
 * the two at each octave: winograd_choose_tile's rule. */
static void count_tiles(const struct executor *e, const struct operation *o, int sums[3]) {
    sums[0] = sums[1] = sums[2] = 0;
    for (int octave = 0; octave < e->octaves.steps; octave++) {
        struct map map = executor_map(e, octave, o->node);
        int small = ((map.height + 3) / 4) * ((map.width + 3) / 4);
        int large = 2 * ((map.height + 5) / 6) * ((map.width + 5) / 6);
        sums[WINOGRAD_F4] += small;
        sums[WINOGRAD_F6] += large;
        sums[2] += small < large ? small : large;
    }
}

/* Tables for both tiles cost memory, and time at the start: they have to save a tenth. */
static void choose_tiles(const struct executor *e, const struct operation *o, bool tiles[2]) {
    int sums[3];
    count_tiles(e, o, sums);
    enum winograd_tile better = sums[WINOGRAD_F4] <= sums[WINOGRAD_F6] ? WINOGRAD_F4 : WINOGRAD_F6;
    tiles[better] = true;
    tiles[!better] = sums[better] > 1.1 * sums[2];
}

enum winograd_tile executor_tile(const struct executor *e, const struct operation *o, int height, int width) {
    enum winograd_tile chosen = winograd_choose_tile(height, width);
    bool tiles[2] = {false, false};
    choose_tiles(e, o, tiles);
    return tiles[chosen] ? chosen : !chosen;
}

static int stride_of_input(const struct executor *e, const struct step *step) {
    return executor_map(e, 0, e->step[step->input[0]].last).stride;
}

static int stride_of_output(const struct executor *e, const struct step *step) {
    return executor_map(e, 0, step->operation.node).stride;
}

/* Calls visit for each table of a step: what it is, and how many floats. */
typedef void visit_table(const struct executor *e, struct step *step, enum winograd_direction direction, int tile,
                         size_t floats, void *context);

static int directions(const struct executor *e) { return e->forward ? 1 : 2; }

static void visit_winograd(const struct executor *e, struct step *step, visit_table *visit, void *context) {
    const struct graph_node *node = operation_node(&step->operation);
    bool tiles[2] = {false, false};
    choose_tiles(e, &step->operation, tiles);
    for (int direction = 0; direction < directions(e); direction++)
        for (int tile = 0; tile < 2; tile++)
            if (tiles[tile])
                visit(e, step, direction, tile,
                      winograd_table_bytes(step->operation.kernels, tile, node->in_channels, node->channels) /
                          sizeof(float),
                      context);
}

static void visit_tables(const struct executor *e, visit_table *visit, void *context) {
    for (int i = 1; i < e->steps; i++) {
        struct step *step = &e->step[i];
        if (step->has_tables && step->operation.kind == &winograd_convolution)
            visit_winograd(e, step, visit, context);
        for (int d = 0; d < directions(e) && step->has_tables && has_panels(step); d++)
            visit(e, step, d, 0,
                  convolution_table_floats(&step->operation, d, stride_of_input(e, step), stride_of_output(e, step)),
                  context);
    }
}

static size_t round_up(size_t floats) { return (floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS; }

static void add_floats(const struct executor *e, struct step *step, enum winograd_direction direction, int tile,
                       size_t floats, void *context) {
    (void)e, (void)step, (void)direction, (void)tile;
    *(size_t *)context += round_up(floats);
}

/* Steps of which more than a wanted channel is computed: all that another step of some layer's way reads, and targets
 * that have no way to compute one channel. */
static int mark_tables(struct executor *e, struct error *error) {
    struct placement placement;
    for (int i = 1; i < e->steps && e->forward; i++)
        e->step[i].has_tables = true;
    if (e->forward)
        return STATUS_OK;
    int status = placement_make(e, &placement, error);
    for (int layer = 0; layer < e->graph->nodes && !status; layer++) {
        if (!e->layers[layer])
            continue;
        placement_of_layer(e, layer, 0, 1, &placement);
        for (int i = 1; i <= placement.target; i++)
            e->step[i].has_tables |=
                placement.needed[i] && (i < placement.target || !placement_wants_one_channel(e, &placement));
    }
    placement_free(&placement);
    return status;
}

int executor_size_tables(struct executor *e, struct error *error) {
    int status = mark_tables(e, error);
    if (!status)
        visit_tables(e, add_floats, &e->table_floats);
    return status;
}

size_t executor_table_bytes(const struct executor *e) {
    return e->table_floats * sizeof(float) + vgg_part_table_bytes(e);
}

/* --- Where they are */

static void place_table(const struct executor *e, struct step *step, enum winograd_direction direction, int tile,
                        size_t floats, void *context) {
    float **next = context;
    (void)e;
    if (step->operation.kind == &winograd_convolution)
        step->operation.winograd.table[direction][tile] = *next;
    else
        step->operation.panels[direction] = *next;
    *next += round_up(floats);
}

int executor_place(struct executor *e, void *tables, struct error *error) {
    float *next = tables;
    visit_tables(e, place_table, &next);
    return vgg_part_place(e, next, error);
}

/* --- What is in them */

struct filling {
    int part, parts;
    float *scaled; /* the largest kernel of a Winograd convolution */
};

/* The kernel with the normalisation that was taken in. */
static const float *scaled_kernel(const struct operation *o, float *scaled) {
    const struct graph_node *node = operation_node(o);
    const float *kernel = operation_weights(o);
    if (!o->scale)
        return kernel;
    size_t rows = (size_t)9 * (size_t)node->in_channels, channels = (size_t)node->channels;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < channels; c++)
            scaled[row * channels + c] = kernel[row * channels + c] * o->scale[c];
    return scaled;
}

static void fill_table(const struct executor *e, struct step *step, enum winograd_direction direction, int tile,
                       size_t floats, void *context) {
    const struct filling *f = context;
    struct operation *o = &step->operation;
    const struct graph_node *node = operation_node(o);
    (void)floats;
    if (o->kind == &winograd_convolution)
        winograd_fill_table(o->kernels, tile, direction, node->in_channels, node->channels, scaled_kernel(o, f->scaled),
                            f->part, f->parts, (float *)o->winograd.table[direction][tile]);
    else
        convolution_fill_table(o, direction, stride_of_input(e, step), stride_of_output(e, step), f->part, f->parts);
}

static size_t largest_kernel(const struct executor *e) {
    size_t largest = 1;
    for (int i = 1; i < e->steps; i++) {
        const struct graph_node *node = operation_node(&e->step[i].operation);
        size_t floats = (size_t)9 * (size_t)node->in_channels * (size_t)node->channels;
        if (e->step[i].operation.kind == &winograd_convolution && floats > largest)
            largest = floats;
    }
    return largest;
}

int executor_fill_tables(const struct executor *e, int part, int parts, struct error *error) {
    size_t bytes = largest_kernel(e) * sizeof(float);
    struct filling filling = {.part = part, .parts = parts, .scaled = malloc(bytes)};
    if (!filling.scaled)
        return error_memory(error, (double)bytes, "the transformed weights");
    visit_tables(e, fill_table, &filling);
    if (e->vgg.placed)
        network_fill_tables(&e->vgg.network, part, parts);
    free(filling.scaled);
    return STATUS_OK;
}
