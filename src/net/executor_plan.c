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

int plan_make(const struct executor *e, struct plan *plan, struct error *error) {
    size_t steps = (size_t)e->steps;
    *plan = (struct plan){.needed = calloc(steps, sizeof *plan->needed),
                          .reader = calloc(steps, sizeof *plan->reader),
                          .value = calloc(steps, sizeof *plan->value),
                          .notes = calloc(steps, sizeof *plan->notes),
                          .gradient = calloc(steps, sizeof *plan->gradient),
                          .extra = calloc(steps, sizeof *plan->extra),
                          .in = calloc((size_t)most_inputs(e), sizeof *plan->in),
                          .x = calloc((size_t)most_inputs(e), sizeof *plan->x),
                          .order = calloc(BUFFERS * steps, sizeof *plan->order),
                          .in_use = calloc(BUFFERS * steps + 1, sizeof *plan->in_use)};
    bool enough = plan->needed && plan->reader && plan->value && plan->notes && plan->gradient && plan->extra &&
                  plan->in && plan->x && plan->order && plan->in_use;
    return enough ? STATUS_OK : error_memory(error, (double)BUFFERS * steps * sizeof *plan->value, "the network");
}

void plan_free(struct plan *plan) {
    free(plan->needed);
    free(plan->reader);
    free(plan->value);
    free(plan->notes);
    free(plan->gradient);
    free(plan->extra);
    free(plan->in);
    free(plan->x);
    free(plan->order);
    free(plan->in_use);
}

struct operation_call plan_call(const struct executor *e, struct plan *plan, int i, int pictures) {
    const struct step *step = &e->step[i];
    for (int k = 0; k < step->inputs; k++)
        plan->in[k] = executor_map(e, plan->octave, e->step[step->input[k]].last);
    return (struct operation_call){.operation = &step->operation,
                                   .pictures = pictures,
                                   .in = plan->in,
                                   .out = executor_map(e, plan->octave, step->last)};
}

struct map plan_target_map(const struct executor *e, const struct plan *plan) {
    return executor_map(e, plan->octave, e->step[plan->target].operation.node);
}

bool plan_wants_one_channel(const struct executor *e, const struct plan *plan) {
    return e->step[plan->target].operation.kind->one_channel;
}

/* --- What is needed, and by whom it is read last */

static void find_readers(const struct executor *e, struct plan *plan) {
    for (int i = 0; i <= plan->target; i++) {
        plan->needed[i] = i == plan->target;
        plan->reader[i] = -1;
    }
    for (int i = plan->target; i > 0; i--)
        for (int k = 0; plan->needed[i] && k < e->step[i].inputs; k++) {
            int input = e->step[i].input[k];
            plan->needed[input] = true;
            plan->reader[input] = plan->reader[input] > i ? plan->reader[input] : i;
        }
}

/* --- Which maps are small */

static int positions_of(const struct executor *e, const struct plan *plan, int i) {
    struct map map = executor_map(e, plan->octave, e->step[i].last);
    return map.height * map.width;
}

/* The first step from which on all maps are small and none reads the pictures, which do not stand in one place. */
static int find_cut(const struct executor *e, const struct plan *plan) {
    int cut = plan->target;
    while (cut > plan->reader[0] + 1 && (!plan->needed[cut - 1] || positions_of(e, plan, cut - 1) <= FEW_POSITIONS))
        cut--;
    bool pays = cut < plan->target && positions_of(e, plan, plan->target) <= FEW_POSITIONS;
    return pays ? cut : plan->target + 1;
}

static int pictures_together(const struct executor *e, const struct plan *plan, int pictures) {
    int positions = positions_of(e, plan, plan->target);
    int most = (ENOUGH_POSITIONS + positions - 1) / positions;
    most = most < MOST_TOGETHER ? most : MOST_TOGETHER;
    if (plan->cut > plan->target)
        return 1;
    return pictures < most ? pictures : most;
}

/* --- When each buffer is used */

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static int moment_back(const struct plan *plan, int step) { return 2 * plan->target - step; }

/* A buffer that is used from a moment to another; for one picture at a time if that is within the steps before the cut,
 * on the way forward or on the way back. All others last through the whole of these, since those steps come once for
 * each picture. */
static void use_buffer(const struct plan *plan, struct buffer *b, size_t bytes, int from, int to) {
    int first_single_back = moment_back(plan, plan->cut - 1), end = 2 * plan->target;
    bool single = plan->cut > plan->target || to < plan->cut || from >= first_single_back;
    *b = (struct buffer){.bytes = bytes, .joint = !single};
    b->from = !single && from < plan->cut ? 0 : from;
    b->to = !single && to >= first_single_back ? end : to;
}

static size_t value_floats(const struct executor *e, const struct plan *plan, int i) {
    struct map map = executor_map(e, plan->octave, e->step[i].last);
    return map_floats(&map, 1);
}

/* The last moment at which the value of step i is read. */
static int last_read(const struct executor *e, const struct plan *plan, int i) {
    int last = plan->reader[i];
    if (e->step[i].operation.kind->keeps_output)
        last = moment_back(plan, i);
    for (int j = plan->reader[i]; j > i; j--)
        for (int k = 0; plan->needed[j] && k < e->step[j].inputs; k++)
            if (e->step[j].input[k] == i && e->step[j].operation.kind->keeps_inputs && moment_back(plan, j) > last)
                last = moment_back(plan, j);
    return last;
}

static size_t note_bytes(const struct executor *e, int i) {
    const struct operation *o = &e->step[i].operation;
    return o->kind->note_bytes + activation_note_bytes(&o->activation);
}

bool plan_has_gradient(const struct executor *e, const struct plan *plan, int i, int k) {
    const struct step *step = &e->step[i];
    bool has = plan->reader[step->input[k]] != i;
    for (int before = 0; before < k; before++)
        has |= step->input[before] == step->input[k];
    return has;
}

/* An input that several gradients come to gets all but the first by way of `extra`. */
static size_t extra_floats(const struct executor *e, const struct plan *plan, int i) {
    size_t most = 0;
    for (int k = 0; k < e->step[i].inputs; k++) {
        int input = e->step[i].input[k];
        size_t floats = plan_has_gradient(e, plan, i, k) ? value_floats(e, plan, input) : 0;
        most = floats > most ? floats : most;
    }
    return most;
}

static void use_step(const struct executor *e, struct plan *plan, int i) {
    int target = plan->target, back = moment_back(plan, i);
    bool alone = i == target && plan_wants_one_channel(e, plan);
    size_t floats = i == target ? 0 : value_floats(e, plan, i);
    if (i == target && !alone) {
        struct map map = plan_target_map(e, plan);
        floats = map_floats(&map, 1);
    }
    size_t notes = alone ? 0 : floats * note_bytes(e, i);
    use_buffer(plan, &plan->value[i], i ? floats * sizeof(float) : 0, i, i == target ? i : last_read(e, plan, i));
    use_buffer(plan, &plan->notes[i], notes, i, back);
    use_buffer(plan, &plan->gradient[i], i ? floats * sizeof(float) : 0,
               i == target ? back : moment_back(plan, plan->reader[i]), back);
    use_buffer(plan, &plan->extra[i], extra_floats(e, plan, i) * sizeof(float), back, back);
}

static size_t scratch_floats(const struct executor *e, struct plan *plan, int i, bool is_target) {
    struct operation_call call = plan_call(e, plan, i, i < plan->cut ? 1 : plan->together);
    call.out = is_target ? plan_target_map(e, plan) : call.out;
    if (is_target && plan_wants_one_channel(e, plan))
        return wanted_scratch(call.operation, call.in, &call.out);
    return call.operation->kind->scratch ? call.operation->kind->scratch(&call) : 0;
}

static void use_scratch(const struct executor *e, struct plan *plan) {
    size_t most = 0;
    for (int i = 1; i <= plan->target; i++) {
        size_t floats = plan->needed[i] ? scratch_floats(e, plan, i, i == plan->target && !e->forward) : 0;
        most = floats > most ? floats : most;
    }
    struct map map = plan_target_map(e, plan);
    size_t z = 2 * (size_t)map.height * (size_t)map.width;
    plan->scratch = (struct buffer){.bytes = aligned(most * sizeof(float))};
    plan->z = (struct buffer){.bytes = aligned(z * sizeof(float))};
}

/* --- Where they stand */

/* Pictures stand close to each other, as operations on several take them. */
static size_t bytes_of(const struct plan *plan, const struct buffer *b) {
    return aligned(b->joint ? b->bytes * (size_t)plan->together : b->bytes);
}

static int compare_buffers(const void *a, const void *b) {
    const struct buffer *x = *(struct buffer *const *)a, *y = *(struct buffer *const *)b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->bytes != y->bytes ? (x->bytes > y->bytes ? -1 : 1) : 0;
}

static int drop_unused(struct plan *plan, int count, int moment) {
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (plan->in_use[i]->to >= moment)
            plan->in_use[kept++] = plan->in_use[i];
    return kept;
}

/* The lowest place that is free among the buffers in use, which are in the order of their places; returns how many
 * there are then. */
static int place_buffer(struct plan *plan, struct buffer *b, int count) {
    size_t bytes = bytes_of(plan, b);
    int at = 0;
    count = drop_unused(plan, count, b->from);
    for (b->offset = 0; at < count && plan->in_use[at]->offset < b->offset + bytes; at++)
        b->offset = plan->in_use[at]->offset + bytes_of(plan, plan->in_use[at]);
    memmove(plan->in_use + at + 1, plan->in_use + at, (size_t)(count - at) * sizeof *plan->in_use);
    plan->in_use[at] = b;
    return count + 1;
}

/* All buffers, in the order in which they come into use; returns the bytes up to their end. */
static size_t place_buffers(struct plan *plan) {
    struct buffer *const kinds[BUFFERS] = {plan->value, plan->notes, plan->gradient, plan->extra};
    int count = 0, in_use = 0;
    size_t end = 0;
    for (int i = 0; i <= plan->target; i++)
        for (int kind = 0; kind < BUFFERS && plan->needed[i]; kind++)
            if (kinds[kind][i].bytes)
                plan->order[count++] = &kinds[kind][i];
    qsort(plan->order, (size_t)count, sizeof *plan->order, compare_buffers);
    for (int i = 0; i < count; i++) {
        struct buffer *b = plan->order[i];
        in_use = place_buffer(plan, b, in_use);
        end = b->offset + bytes_of(plan, b) > end ? b->offset + bytes_of(plan, b) : end;
    }
    return end;
}

void plan_layer(const struct executor *e, int layer, int octave, int pictures, struct plan *plan) {
    struct target target = executor_target(e, layer);
    plan->target = target.step;
    plan->activation = target.activation;
    plan->octave = octave;
    find_readers(e, plan);
    plan->cut = find_cut(e, plan);
    plan->together = pictures_together(e, plan, pictures);
    for (int i = 0; i <= plan->target; i++)
        if (plan->needed[i])
            use_step(e, plan, i);
    use_scratch(e, plan);
    plan->scratch.offset = place_buffers(plan);
    plan->z.offset = plan->scratch.offset + plan->scratch.bytes;
    plan->bytes = plan->z.offset + plan->z.bytes;
}

void plan_forward(const struct executor *e, struct plan *plan) {
    plan->target = e->steps - 1;
    plan->octave = 0;
    plan->cut = e->steps;
    plan->together = 1;
    for (int i = 0; i < e->steps; i++) {
        plan->needed[i] = true;
        plan->reader[i] = i;
        for (int k = 0; k < e->step[i].inputs; k++)
            plan->reader[e->step[i].input[k]] = i;
    }
    for (int i = 0; i < e->steps; i++) {
        size_t floats = i ? value_floats(e, plan, i) : 0;
        use_buffer(plan, &plan->value[i], floats * sizeof(float), i, plan->reader[i]);
        use_buffer(plan, &plan->notes[i], floats * note_bytes(e, i), i, i);
        plan->gradient[i] = plan->extra[i] = (struct buffer){.bytes = 0};
    }
    use_scratch(e, plan);
    plan->scratch.offset = place_buffers(plan);
    plan->bytes = plan->scratch.offset + plan->scratch.bytes;
}
