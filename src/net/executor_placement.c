#include "executor_parts.h"

#include "wanted.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BUFFERS = 4 /* of a step */ };

/* Maps of no more positions than this go through an operation together with those of the other pictures: alone they
 * make too few rows for products that have to read all weights. So many pictures at most that the target's maps have
 * ENOUGH_POSITIONS, and never more than MOST_TOGETHER, for memory's sake. */
enum { FEW_POSITIONS = 400, ENOUGH_POSITIONS = 1600, MOST_TOGETHER = 16 };

static int most_inputs(const struct executor *e) {
    int most = 1;
    for (int i = 0; i < e->steps; i++)
        most = e->step[i].inputs > most ? e->step[i].inputs : most;
    return most;
}

int placement_make(const struct executor *e, struct placement *placement, struct error *error) {
    size_t steps = (size_t)e->steps;
    *placement = (struct placement){.needed = calloc(steps, sizeof *placement->needed),
                                    .reader = calloc(steps, sizeof *placement->reader),
                                    .value = calloc(steps, sizeof *placement->value),
                                    .notes = calloc(steps, sizeof *placement->notes),
                                    .gradient = calloc(steps, sizeof *placement->gradient),
                                    .extra = calloc(steps, sizeof *placement->extra),
                                    .in = calloc((size_t)most_inputs(e), sizeof *placement->in),
                                    .x = calloc((size_t)most_inputs(e), sizeof *placement->x),
                                    .sorted = calloc(BUFFERS * steps, sizeof *placement->sorted),
                                    .in_use = calloc(BUFFERS * steps + 1, sizeof *placement->in_use)};
    bool enough = placement->needed && placement->reader && placement->value && placement->notes &&
                  placement->gradient && placement->extra && placement->in && placement->x && placement->sorted &&
                  placement->in_use;
    return enough ? STATUS_OK : error_memory(error, (double)BUFFERS * steps * sizeof *placement->value, "the network");
}

void placement_free(struct placement *placement) {
    free(placement->needed);
    free(placement->reader);
    free(placement->value);
    free(placement->notes);
    free(placement->gradient);
    free(placement->extra);
    free(placement->in);
    free(placement->x);
    free(placement->sorted);
    free(placement->in_use);
}

struct operation_call placement_call(const struct executor *e, struct placement *placement, int i, int pictures) {
    const struct step *step = &e->step[i];
    for (int k = 0; k < step->inputs; k++)
        placement->in[k] = executor_map(e, placement->octave, e->step[step->input[k]].last);
    return (struct operation_call){.operation = &step->operation,
                                   .pictures = pictures,
                                   .in = placement->in,
                                   .out = executor_map(e, placement->octave, step->last)};
}

struct map placement_target_map(const struct executor *e, const struct placement *placement) {
    return executor_map(e, placement->octave, e->step[placement->target].operation.node);
}

bool placement_wants_one_channel(const struct executor *e, const struct placement *placement) {
    return e->step[placement->target].operation.kind->one_channel;
}

/* --- What is needed, and by whom it is read last */

static void find_readers(const struct executor *e, struct placement *placement) {
    for (int i = 0; i <= placement->target; i++) {
        placement->needed[i] = i == placement->target;
        placement->reader[i] = -1;
    }
    for (int i = placement->target; i > 0; i--)
        for (int k = 0; placement->needed[i] && k < e->step[i].inputs; k++) {
            int input = e->step[i].input[k];
            placement->needed[input] = true;
            placement->reader[input] = placement->reader[input] > i ? placement->reader[input] : i;
        }
}

/* --- Which maps are small */

static int positions_of(const struct executor *e, const struct placement *placement, int i) {
    struct map map = executor_map(e, placement->octave, e->step[i].last);
    return map.height * map.width;
}

/* The first step from which on all maps are small and none reads the pictures, which do not stand in one place. */
static int find_cut(const struct executor *e, const struct placement *placement) {
    int cut = placement->target;
    while (cut > placement->reader[0] + 1 &&
           (!placement->needed[cut - 1] || positions_of(e, placement, cut - 1) <= FEW_POSITIONS))
        cut--;
    bool pays = cut < placement->target && positions_of(e, placement, placement->target) <= FEW_POSITIONS;
    return pays ? cut : placement->target + 1;
}

static int pictures_together(const struct executor *e, const struct placement *placement, int pictures) {
    int positions = positions_of(e, placement, placement->target);
    int most = (ENOUGH_POSITIONS + positions - 1) / positions;
    most = most < MOST_TOGETHER ? most : MOST_TOGETHER;
    if (placement->cut > placement->target)
        return 1;
    return pictures < most ? pictures : most;
}

/* --- When each buffer is used */

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static int moment_back(const struct placement *placement, int step) { return 2 * placement->target - step; }

/* A buffer that is used from a moment to another; for one picture at a time if that is within the steps before the cut,
 * on the way forward or on the way back. All others last through the whole of these, since those steps come once for
 * each picture. */
static void use_buffer(const struct placement *placement, struct buffer *b, size_t bytes, int from, int to) {
    int first_single_back = moment_back(placement, placement->cut - 1), end = 2 * placement->target;
    bool single = placement->cut > placement->target || to < placement->cut || from >= first_single_back;
    *b = (struct buffer){.bytes = bytes, .joint = !single};
    b->from = !single && from < placement->cut ? 0 : from;
    b->to = !single && to >= first_single_back ? end : to;
}

static size_t value_floats(const struct executor *e, const struct placement *placement, int i) {
    struct map map = executor_map(e, placement->octave, e->step[i].last);
    return map_floats(&map, 1);
}

/* The last moment at which the value of step i is read. */
static int last_read(const struct executor *e, const struct placement *placement, int i) {
    int last = placement->reader[i];
    if (e->step[i].operation.kind->keeps_output)
        last = moment_back(placement, i);
    for (int j = placement->reader[i]; j > i; j--)
        for (int k = 0; placement->needed[j] && k < e->step[j].inputs; k++)
            if (e->step[j].input[k] == i && e->step[j].operation.kind->keeps_inputs && moment_back(placement, j) > last)
                last = moment_back(placement, j);
    return last;
}

static size_t note_bytes(const struct executor *e, int i) {
    const struct operation *o = &e->step[i].operation;
    return o->kind->note_bytes + activation_note_bytes(&o->activation);
}

bool placement_has_gradient(const struct executor *e, const struct placement *placement, int i, int k) {
    const struct step *step = &e->step[i];
    bool has = placement->reader[step->input[k]] != i;
    for (int before = 0; before < k; before++)
        has |= step->input[before] == step->input[k];
    return has;
}

/* An input that several gradients come to gets all but the first by way of `extra`. */
static size_t extra_floats(const struct executor *e, const struct placement *placement, int i) {
    size_t most = 0;
    for (int k = 0; k < e->step[i].inputs; k++) {
        int input = e->step[i].input[k];
        size_t floats = placement_has_gradient(e, placement, i, k) ? value_floats(e, placement, input) : 0;
        most = floats > most ? floats : most;
    }
    return most;
}

static void use_step(const struct executor *e, struct placement *placement, int i) {
    int target = placement->target, back = moment_back(placement, i);
    bool alone = i == target && placement_wants_one_channel(e, placement);
    size_t floats = i == target ? 0 : value_floats(e, placement, i);
    if (i == target && !alone) {
        struct map map = placement_target_map(e, placement);
        floats = map_floats(&map, 1);
    }
    size_t notes = alone ? 0 : floats * note_bytes(e, i);
    use_buffer(placement, &placement->value[i], i ? floats * sizeof(float) : 0, i,
               i == target ? i : last_read(e, placement, i));
    use_buffer(placement, &placement->notes[i], notes, i, back);
    use_buffer(placement, &placement->gradient[i], i ? floats * sizeof(float) : 0,
               i == target ? back : moment_back(placement, placement->reader[i]), back);
    use_buffer(placement, &placement->extra[i], extra_floats(e, placement, i) * sizeof(float), back, back);
}

static size_t scratch_floats(const struct executor *e, struct placement *placement, int i, bool is_target) {
    struct operation_call call = placement_call(e, placement, i, i < placement->cut ? 1 : placement->together);
    call.out = is_target ? placement_target_map(e, placement) : call.out;
    if (is_target && placement_wants_one_channel(e, placement))
        return wanted_scratch(call.operation, call.in, &call.out);
    return call.operation->kind->scratch ? call.operation->kind->scratch(&call) : 0;
}

static void use_scratch(const struct executor *e, struct placement *placement) {
    size_t most = 0;
    for (int i = 1; i <= placement->target; i++) {
        size_t floats =
            placement->needed[i] ? scratch_floats(e, placement, i, i == placement->target && !e->forward) : 0;
        most = floats > most ? floats : most;
    }
    struct map map = placement_target_map(e, placement);
    size_t z = 2 * (size_t)map.height * (size_t)map.width;
    placement->scratch = (struct buffer){.bytes = aligned(most * sizeof(float))};
    placement->z = (struct buffer){.bytes = aligned(z * sizeof(float))};
}

/* --- Where they stand */

/* Pictures stand close to each other, as operations on several take them. */
static size_t bytes_of(const struct placement *placement, const struct buffer *b) {
    return aligned(b->joint ? b->bytes * (size_t)placement->together : b->bytes);
}

static int compare_buffers(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->bytes != y->bytes ? (x->bytes > y->bytes ? -1 : 1) : 0;
}

static int drop_unused(struct placement *placement, int count, int moment) {
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (placement->in_use[i]->to >= moment)
            placement->in_use[kept++] = placement->in_use[i];
    return kept;
}

/* The lowest place that is free among the buffers in use, which are in the order of their places; returns how many
 * there are then. */
static int place_buffer(struct placement *placement, struct buffer *b, int count) {
    size_t bytes = bytes_of(placement, b);
    int at = 0;
    count = drop_unused(placement, count, b->from);
    for (b->offset = 0; at < count && placement->in_use[at]->offset < b->offset + bytes; at++)
        b->offset = placement->in_use[at]->offset + bytes_of(placement, placement->in_use[at]);
    memmove(placement->in_use + at + 1, placement->in_use + at, (size_t)(count - at) * sizeof *placement->in_use);
    placement->in_use[at] = b;
    return count + 1;
}

/* All buffers, in the order in which they come into use; returns the bytes up to their end. */
static size_t place_buffers(struct placement *placement) {
    struct buffer *const kinds[BUFFERS] = {placement->value, placement->notes, placement->gradient, placement->extra};
    int count = 0, in_use = 0;
    size_t end = 0;
    for (int i = 0; i <= placement->target; i++)
        for (int kind = 0; kind < BUFFERS && placement->needed[i]; kind++)
            if (kinds[kind][i].bytes)
                placement->sorted[count++] = &kinds[kind][i];
    qsort(placement->sorted, (size_t)count, sizeof *placement->sorted, compare_buffers);
    for (int i = 0; i < count; i++) {
        struct buffer *b = placement->sorted[i];
        in_use = place_buffer(placement, b, in_use);
        end = b->offset + bytes_of(placement, b) > end ? b->offset + bytes_of(placement, b) : end;
    }
    return end;
}

void placement_of_layer(const struct executor *e, int layer, int octave, int pictures, struct placement *placement) {
    struct target target = executor_target(e, layer);
    placement->target = target.step;
    placement->activation = target.activation;
    placement->octave = octave;
    find_readers(e, placement);
    placement->cut = find_cut(e, placement);
    placement->together = pictures_together(e, placement, pictures);
    for (int i = 0; i <= placement->target; i++)
        if (placement->needed[i])
            use_step(e, placement, i);
    use_scratch(e, placement);
    placement->scratch.offset = place_buffers(placement);
    placement->z.offset = placement->scratch.offset + placement->scratch.bytes;
    placement->bytes = placement->z.offset + placement->z.bytes;
}

void placement_of_forward(const struct executor *e, struct placement *placement) {
    placement->target = e->steps - 1;
    placement->octave = 0;
    placement->cut = e->steps;
    placement->together = 1;
    for (int i = 0; i < e->steps; i++) {
        placement->needed[i] = true;
        placement->reader[i] = i;
        for (int k = 0; k < e->step[i].inputs; k++)
            placement->reader[e->step[i].input[k]] = i;
    }
    for (int i = 0; i < e->steps; i++) {
        size_t floats = i ? value_floats(e, placement, i) : 0;
        use_buffer(placement, &placement->value[i], floats * sizeof(float), i, placement->reader[i]);
        use_buffer(placement, &placement->notes[i], floats * note_bytes(e, i), i, i);
        placement->gradient[i] = placement->extra[i] = (struct buffer){.bytes = 0};
    }
    use_scratch(e, placement);
    placement->scratch.offset = place_buffers(placement);
    placement->bytes = placement->scratch.offset + placement->scratch.bytes;
}
