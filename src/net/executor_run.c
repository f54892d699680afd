#include "executor_parts.h"

#include "wanted.h"

#include <string.h>

struct run {
    const struct executor *executor;
    struct executor_memory *memory;
    struct placement *placement;
    const struct objective *objective;
    struct network_picture *pictures; /* those that go through the joint steps together */
    const struct interrupt *interrupt;
};

static void *place(const struct run *run, const struct buffer *b, int picture) {
    return run->memory->arena + b->offset + (b->joint ? (size_t)picture * b->bytes : 0);
}

static float *scratch_of(const struct run *run) { return place(run, &run->placement->scratch, 0); }

static const float *value_of(const struct run *run, int step, int picture) {
    return step ? place(run, &run->placement->value[step], picture) : run->pictures[picture].x;
}

static float *gradient_of(const struct run *run, int step, int picture) {
    return step ? place(run, &run->placement->gradient[step], picture) : run->pictures[picture].gradient;
}

/* Step i for pictures first ... first + count - 1, which stand together. */
static struct operation_call call_of(const struct run *run, int i, int first, int count) {
    const struct step *step = &run->executor->step[i];
    struct operation_call call = placement_call(run->executor, run->placement, i, count);
    for (int k = 0; k < step->inputs; k++)
        run->placement->x[k] = value_of(run, step->input[k], first);
    call.x = run->placement->x;
    call.y = place(run, &run->placement->value[i], first);
    call.notes = place(run, &run->placement->notes[i], first);
    call.y_gradient = gradient_of(run, i, first);
    call.scratch = scratch_of(run);
    return call;
}

/* Bias and activation of operations that leave them to others. */
static void activate(const struct operation_call *call) {
    const struct operation *o = call->operation;
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    if (!o->kind->activates && (o->bias || o->activation.function != GRAPH_LINEAR))
        activation_forward(&o->activation, &rows, call->y, o->bias, call->y, call->notes);
}

static void activate_back(const struct operation_call *call) {
    const struct operation *o = call->operation;
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    if (!o->kind->activates && o->activation.function != GRAPH_LINEAR)
        activation_backward(&o->activation, &rows, call->y_gradient, call->notes, call->y_gradient);
}

/* The gradients at the inputs of step i, from that at its output before the activation. */
static void pull_back(const struct run *run, int i, int first, struct operation_call *call) {
    const struct step *step = &run->executor->step[i];
    for (int k = 0; k < step->inputs; k++) {
        float *gradient = gradient_of(run, step->input[k], first);
        bool again = placement_has_gradient(run->executor, run->placement, i, k);
        call->which = k;
        call->x_gradient = again ? place(run, &run->placement->extra[i], first) : gradient;
        call->operation->kind->backward(call);
        if (again)
            call->operation->loops->sum(map_floats(&call->in[k], call->pictures), call->x_gradient, gradient, gradient);
    }
}

/* Steps from ... to - 1; false if interrupted. */
static bool forward(const struct run *run, int from, int to, int first, int count) {
    for (int i = from > 1 ? from : 1; i < to; i++) {
        if (!run->placement->needed[i])
            continue;
        if (!interrupt_goes_on(run->interrupt))
            return false;
        struct operation_call call = call_of(run, i, first, count);
        call.operation->kind->forward(&call);
        activate(&call);
    }
    return true;
}

static bool backward(const struct run *run, int from, int to, int first, int count) {
    for (int i = to - 1; i >= from && i > 0; i--) {
        if (!run->placement->needed[i])
            continue;
        if (!interrupt_goes_on(run->interrupt))
            return false;
        struct operation_call call = call_of(run, i, first, count);
        activate_back(&call);
        pull_back(run, i, first, &call);
    }
    return true;
}

/* --- The target */

/* z of the wanted channel -> loss, and the gradient in its place. `slopes` is as large. */
static double turn(const struct run *run, const struct map *map, int channel, float *z, float *slopes) {
    const struct activation *a = &run->placement->activation;
    int positions = map->height * map->width;
    if (activation_is_relu(a))
        return objective_turn(run->objective, z, map->height, map->width);
    for (int p = 0; p < positions; p++)
        z[p] = activation_value(a, p, channel, z[p], &slopes[p]);
    double loss = objective_turn_slopes(run->objective, z, slopes, map->height, map->width);
    if (run->objective->leak && activation_note_bytes(a) == 1 && loss <= OBJECTIVE_SILENT) {
        for (int p = 0; p < positions; p++)
            slopes[p] = 1;
        objective_turn_slopes(run->objective, z, slopes, map->height, map->width);
    }
    memcpy(z, slopes, (size_t)positions * sizeof *z);
    return loss;
}

static void turn_one_channel(const struct run *run, int picture) {
    struct network_picture *p = &run->pictures[picture];
    struct operation_call call = call_of(run, run->placement->target, picture, 1);
    struct map map = placement_target_map(run->executor, run->placement);
    float *z = place(run, &run->placement->z, 0), *slopes = z + (size_t)map.height * (size_t)map.width;
    wanted_forward(call.operation, call.in, &map, p->filter, call.x[0], z, call.scratch);
    p->loss = turn(run, &map, p->filter, z, slopes);
    if (p->gradient)
        wanted_backward(call.operation, call.in, &map, p->filter, z,
                        gradient_of(run, run->executor->step[run->placement->target].input[0], picture), call.scratch);
}

/* One channel of y -> z, and back into a gradient that is 0 in all others. */
static void turn_channel(const struct run *run, int picture, const struct operation_call *call) {
    struct network_picture *p = &run->pictures[picture];
    const struct operation *o = call->operation;
    size_t positions = (size_t)call->out.height * (size_t)call->out.width, stride = (size_t)call->out.stride;
    float *z = place(run, &run->placement->z, 0), *gradient = gradient_of(run, run->placement->target, picture);
    const float *y = value_of(run, run->placement->target, picture);
    float bias = !o->kind->activates && o->bias ? o->bias[p->filter] : 0;
    for (size_t i = 0; i < positions; i++)
        z[i] = y[i * stride + (size_t)p->filter] + bias;
    p->loss = turn(run, &call->out, p->filter, z, z + positions);
    if (!p->gradient)
        return;
    memset(gradient, 0, positions * stride * sizeof *gradient);
    for (size_t i = 0; i < positions; i++)
        gradient[i * stride + (size_t)p->filter] = z[i];
}

/* The target as a whole, without its activation. */
static void turn_whole(const struct run *run, int first, int count) {
    struct operation_call call = call_of(run, run->placement->target, first, count);
    struct operation plain = *call.operation;
    plain.activation = (struct activation){.loops = plain.loops, .function = GRAPH_LINEAR};
    plain.pooled = false;
    call.operation = &plain;
    call.out = placement_target_map(run->executor, run->placement);
    plain.kind->forward(&call);
    for (int picture = first; picture < first + count; picture++)
        turn_channel(run, picture, &call);
    if (run->pictures->gradient)
        pull_back(run, run->placement->target, first, &call);
}

static void turn_around(const struct run *run, int first, int count) {
    if (!placement_wants_one_channel(run->executor, run->placement)) {
        turn_whole(run, first, count);
        return;
    }
    for (int picture = first; picture < first + count; picture++)
        turn_one_channel(run, picture);
}

/* --- All of it */

/* Steps before the cut picture by picture, the others together. */
static bool run_group(const struct run *run, int count) {
    const struct placement *placement = run->placement;
    int cut = placement->cut < placement->target ? placement->cut : placement->target;
    bool goes_on = true;
    for (int i = 0; i < count && goes_on; i++)
        goes_on = forward(run, 1, cut, i, 1);
    goes_on = goes_on && forward(run, cut, placement->target, 0, count);
    if (!goes_on)
        return false;
    turn_around(run, 0, count);
    if (!run->pictures->gradient)
        return true;
    goes_on = backward(run, cut, placement->target, 0, count);
    for (int i = 0; i < count && goes_on; i++)
        goes_on = backward(run, 1, cut, i, 1);
    return goes_on;
}

/* Groups of nearly equal size. */
static int group_size(int count, int most) {
    int groups = (count + most - 1) / most;
    return (count + groups - 1) / groups;
}

bool executor_gradients(const struct executor *e, struct executor_memory *memory, const struct objective *objective,
                        int layer, int height, int width, struct network_picture *pictures, int count,
                        const struct interrupt *interrupt) {
    int vgg_layer = vgg_part_layer(&e->vgg, layer);
    if (vgg_layer >= 0)
        return network_gradients(&e->vgg.network, &memory->vgg, objective, vgg_layer, height, width, pictures, count,
                                 interrupt);
    int octave = executor_octave(e, height, width);
    if (memory->layer != layer || memory->placement.octave != octave)
        placement_of_layer(e, layer, octave, memory->pictures, &memory->placement);
    memory->layer = layer;
    struct run run = {.executor = e,
                      .memory = memory,
                      .placement = &memory->placement,
                      .objective = objective,
                      .interrupt = interrupt};
    int size = group_size(count, memory->placement.together);
    bool goes_on = true;
    for (int first = 0; first < count && goes_on; first += size) {
        run.pictures = pictures + first;
        goes_on = run_group(&run, count - first < size ? count - first : size);
    }
    return goes_on;
}

bool executor_forward(const struct executor *e, struct executor_memory *memory, const float *x,
                      void (*look)(void *context, int layer, const struct executor_map *map), void *context,
                      const struct interrupt *interrupt) {
    struct network_picture picture = {.x = x};
    const struct run run = {
        .executor = e, .memory = memory, .placement = &memory->placement, .pictures = &picture, .interrupt = interrupt};
    for (int i = 1; i < e->steps; i++) {
        if (!forward(&run, i, i + 1, 0, 1))
            return false;
        for (int layer = 1; layer < e->graph->nodes; layer++) {
            if (!e->layers[layer] || e->step_of[e->graph->node[layer].stage] != i)
                continue;
            struct map map = executor_map(e, 0, e->graph->node[layer].stage);
            const struct executor_map seen = {value_of(&run, i, 0), map.height, map.width, map.stride, map.channels};
            look(context, layer, &seen);
        }
    }
    return true;
}
