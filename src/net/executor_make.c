#include "executor_parts.h"

#include <stdlib.h>
#include <string.h>

/* --- Steps: which nodes become one operation */

enum { WINOGRAD_LEAST_CHANNELS = 16 };

static const struct operation_kind *const kinds[] = {
    [GRAPH_CONVOLUTION] = &product_convolution,
    [GRAPH_DEPTHWISE] = &depthwise_convolution,
    [GRAPH_TRANSPOSED] = &transposed_convolution,
    [GRAPH_DENSE] = &product_convolution,
    [GRAPH_AFFINE] = &affine_operation,
    [GRAPH_ACTIVATION] = &activation_operation,
    [GRAPH_PAD] = &pad_operation,
    [GRAPH_CROP] = &crop_operation,
    [GRAPH_MAX_POOLING] = &max_pooling,
    [GRAPH_AVERAGE_POOLING] = &average_pooling,
    [GRAPH_GLOBAL_MAX] = &global_max,
    [GRAPH_GLOBAL_AVERAGE] = &global_average,
    [GRAPH_UPSAMPLE] = &upsampling,
    [GRAPH_ADD] = &sum_join,
    [GRAPH_SUBTRACT] = &sum_join,
    [GRAPH_MULTIPLY] = &product_join,
    [GRAPH_AVERAGE] = &sum_join,
    [GRAPH_MAXIMUM] = &maximum_join,
    [GRAPH_CONCATENATE] = &concatenation,
    [GRAPH_FLATTEN] = &flattening,
};

/* What is known while steps are made. */
struct making {
    struct executor *executor;
    bool *is_stage; /* [nodes] some layer's map is asked for as it is here */
    int input_count;
    const struct loops *loops;
};

static struct step *step_of(const struct making *m, int node) { return &m->executor->step[m->executor->step_of[node]]; }

static const struct graph_node *node_of(const struct making *m, int n) { return &m->executor->graph->node[n]; }

/* The step that node n could be taken into: that of its only input, which nobody else reads. */
static struct step *step_before(const struct making *m, int n) {
    int input = graph_input(m->executor->graph, n, 0);
    struct step *step = step_of(m, input);
    bool alone = node_of(m, n)->inputs == 1 && node_of(m, input)->consumers == 1;
    return alone && step->last == input && input > 0 ? step : NULL;
}

static bool is_convolution(const struct step *step) {
    return step->operation.kind->one_channel || step->operation.kind == &transposed_convolution;
}

/* A normalisation behind a convolution, before any activation: into its weights, unless some layer is asked for as it
 * is without. Activations and poolings leave what stands before them in reach. */
static bool takes_affine(const struct making *m, const struct step *step) {
    return step && step->activated < 0 && is_convolution(step) && !m->is_stage[step->last];
}

static bool takes_activation(const struct step *step) {
    return step && step->activated < 0 && step->operation.kind->note_bytes == 0 && !step->operation.kind->keeps_output;
}

/* 2x2 poolings that the Winograd kernels do themselves. */
static bool takes_pooling(const struct making *m, const struct step *step, const struct graph_node *pooling) {
    bool halves = !pooling->same && pooling->kernel[0] == 2 && pooling->kernel[1] == 2 && pooling->stride[0] == 2 &&
                  pooling->stride[1] == 2;
    bool seen = step && m->executor->forward && m->is_stage[step->last]; /* as it is without */
    return step && halves && !seen && step->operation.kind == &winograd_convolution && !step->operation.pooled &&
           activation_is_relu(&step->operation.activation);
}

/* The same value for each channel, 0 in the padding. */
static int make_channels(int channels, float value, float **array, struct error *error) {
    size_t bytes = ((size_t)map_stride(channels) * sizeof(float) + 63) / 64 * 64;
    *array = aligned_alloc(64, bytes);
    if (!*array)
        return error_memory(error, (double)bytes, "the weights");
    memset(*array, 0, bytes);
    for (int c = 0; c < channels; c++)
        (*array)[c] = value;
    return STATUS_OK;
}

/* The values at a place in the graph; NULL for GRAPH_NOTHING. */
static const float *values_at(const struct making *m, size_t place) {
    return place == GRAPH_NOTHING ? NULL : m->executor->graph->values + place;
}

static int take_affine(const struct making *m, int n, struct step *step, struct error *error) {
    struct operation *o = &step->operation;
    const struct graph_node *affine = node_of(m, n);
    const float *weights = values_at(m, affine->weights), *bias = values_at(m, affine->bias);
    int status = o->scale ? STATUS_OK : make_channels(affine->channels, 1, &o->scale, error);
    for (int c = 0; c < affine->channels && !status; c++) {
        float factor = weights ? weights[c] : 1;
        o->scale[c] *= factor;
        o->bias[c] = o->bias[c] * factor + (bias ? bias[c] : 0);
    }
    step->last = n;
    return status;
}

/* Behind a flattened map only operations with weights know their channels. */
static int channels_of(const struct graph_node *node) { return node->channels ? node->channels : node->in_channels; }

static struct activation activation_of(const struct making *m, int n) {
    const struct graph_node *node = node_of(m, n);
    struct activation a = {
        .loops = m->loops, .function = node->function, .full = node->full, .channels = channels_of(node)};
    memcpy(a.parameter, node->parameter, sizeof a.parameter);
    a.slopes = values_at(m, node->weights);
    return a;
}

/* --- New steps */

/* A convolution of 3x3 that keeps its map's size, with channels enough for the Winograd kernels. */
static bool suits_winograd(const struct making *m, int n, const int border[4]) {
    const struct graph_node *node = node_of(m, n);
    bool framed = true, simple = node->groups <= 1 && node->operation == GRAPH_CONVOLUTION;
    for (int axis = 0; axis < 2; axis++)
        simple &= node->kernel[axis] == 3 && node->stride[axis] <= 1 && node->dilation[axis] <= 1;
    for (int side = 0; side < 4; side++)
        framed &= node->same ? border[side] == 0 : border[side] == 1;
    return simple && framed && node->in_channels >= WINOGRAD_LEAST_CHANNELS &&
           node->channels >= WINOGRAD_LEAST_CHANNELS;
}

/* Factors of each channel, of GRAPH_AFFINE; weights of each tap and channel, of GRAPH_DEPTHWISE, with the scale of a
 * normalisation behind it. */
static int make_small_weights(const struct making *m, struct operation *o, struct error *error) {
    const struct graph_node *node = node_of(m, o->node);
    const float *weights = values_at(m, node->weights);
    int taps = node->operation == GRAPH_DEPTHWISE ? node->kernel[0] * node->kernel[1] : 1, channels = channels_of(node);
    size_t stride = (size_t)map_stride(channels), bytes = (size_t)taps * stride * sizeof(float);
    float *small = o->small = calloc(1, bytes);
    if (!small)
        return error_memory(error, (double)bytes, "the weights");
    for (int tap = 0; tap < taps; tap++)
        for (int c = 0; c < channels; c++) {
            float weight = weights ? weights[tap * channels + c] : 1;
            small[(size_t)tap * stride + (size_t)c] = o->scale ? weight * o->scale[c] : weight;
        }
    return STATUS_OK;
}

static bool has_weights(enum graph_operation operation) {
    return operation == GRAPH_CONVOLUTION || operation == GRAPH_DEPTHWISE || operation == GRAPH_TRANSPOSED ||
           operation == GRAPH_DENSE || operation == GRAPH_AFFINE;
}

static int make_bias(const struct making *m, struct operation *o, struct error *error) {
    const struct graph_node *node = node_of(m, o->node);
    const float *bias = values_at(m, node->bias);
    if (!has_weights(node->operation))
        return STATUS_OK;
    int status = make_channels(channels_of(node), 0, &o->bias, error);
    if (!status && bias)
        memcpy(o->bias, bias, (size_t)channels_of(node) * sizeof *bias);
    return status;
}

/* A convolution without zeros of its own takes those of a padding in front of it. */
static void take_padding(const struct making *m, struct step *step) {
    const struct graph_node *node = node_of(m, step->operation.node);
    const struct step *before = &m->executor->step[step->input[0]];
    bool convolves = node->operation == GRAPH_CONVOLUTION || node->operation == GRAPH_DEPTHWISE;
    if (!convolves || node->same || before->operation.kind != &pad_operation)
        return;
    const struct graph_node *padding = node_of(m, before->operation.node);
    memcpy(step->operation.border, padding->border, sizeof padding->border);
    m->executor->inputs[m->input_count - 1] = before->input[0];
}

static void choose_kind(const struct making *m, struct step *step) {
    struct operation *o = &step->operation;
    const struct graph_node *node = node_of(m, o->node);
    o->kind = kinds[node->operation];
    if (node->operation == GRAPH_ACTIVATION) {
        o->activation = activation_of(m, o->node);
        step->activated = o->node;
    }
    if (node->operation == GRAPH_ACTIVATION && node->function == GRAPH_SOFTMAX) {
        o->activation = (struct activation){.loops = m->loops, .function = GRAPH_LINEAR};
        o->kind = &softmax_operation;
    }
    if (suits_winograd(m, o->node, o->border))
        o->kind = &winograd_convolution;
}

static int add_step(struct making *m, int n, struct error *error) {
    struct executor *e = m->executor;
    struct step *step = &e->step[e->steps];
    const struct graph_node *node = node_of(m, n);
    *step = (struct step){.operation = {.graph = e->graph,
                                        .node = n,
                                        .kernels = winograd_single_kernels(e->kernels),
                                        .loops = m->loops,
                                        .activation.loops = m->loops},
                          .input = e->inputs + m->input_count,
                          .inputs = node->inputs,
                          .last = n,
                          .activated = -1};
    for (int i = 0; i < node->inputs; i++)
        e->inputs[m->input_count++] = e->step_of[graph_input(e->graph, n, i)];
    e->step_of[n] = e->steps++;
    step->operation.kind = &activation_operation; /* of the picture too, which is there without it */
    if (n == 0)
        return STATUS_OK;
    take_padding(m, step);
    choose_kind(m, step);
    return make_bias(m, &step->operation, error);
}

/* Takes a node into the step before it; false if it has to be a step of its own. */
static bool take_in(struct making *m, int n, int *status, struct error *error) {
    const struct graph_node *node = node_of(m, n);
    struct step *step = n > 0 ? step_before(m, n) : NULL;
    bool activates = node->operation == GRAPH_ACTIVATION && node->function != GRAPH_SOFTMAX;
    if (node->operation == GRAPH_AFFINE && takes_affine(m, step)) {
        *status = take_affine(m, n, step, error);
    } else if (activates && takes_activation(step)) {
        step->operation.activation = activation_of(m, n);
        step->activated = n;
    } else if (node->operation == GRAPH_MAX_POOLING && takes_pooling(m, step, node)) {
        step->operation.pooled = true;
    } else {
        return false;
    }
    step->last = n;
    m->executor->step_of[n] = m->executor->step_of[graph_input(m->executor->graph, n, 0)];
    return true;
}

/* What follows from all that an operation has taken in. */
static int finish_step(const struct making *m, struct step *step, struct error *error) {
    struct operation *o = &step->operation;
    const struct graph_node *node = node_of(m, o->node);
    o->winograd = (struct winograd_layer){.cin = node->in_channels,
                                          .cout = node->channels,
                                          .pooled = o->pooled,
                                          .linear = !activation_is_relu(&o->activation),
                                          .bias = o->bias,
                                          .kernels = {o->kernels, o->kernels}};
    bool small = node->operation == GRAPH_DEPTHWISE || node->operation == GRAPH_AFFINE;
    return small ? make_small_weights(m, o, error) : STATUS_OK;
}

/* Which nodes the layers that may be asked for need. */
static int find_needed(const struct executor *e, bool *needed, struct error *error) {
    bool *ancestors = malloc((size_t)e->graph->nodes * sizeof *ancestors);
    if (!ancestors)
        return error_memory(error, e->graph->nodes, "the network");
    for (int layer = 0; layer < e->graph->nodes; layer++) {
        if (!e->layers[layer])
            continue;
        graph_ancestors(e->graph, e->graph->node[layer].stage, ancestors);
        for (int n = 0; n < e->graph->nodes; n++)
            needed[n] |= ancestors[n];
    }
    free(ancestors);
    return STATUS_OK;
}

static void mark_stages(struct making *m) {
    const struct graph *graph = m->executor->graph;
    for (int n = 0; n < graph->nodes; n++)
        if (graph->node[n].stage >= 0)
            m->is_stage[graph->node[n].stage] = true;
}

int executor_make_steps(struct executor *e, struct error *error) {
    size_t nodes = (size_t)e->graph->nodes;
    bool *needed = calloc(nodes, sizeof *needed);
    struct making m = {.executor = e,
                       .is_stage = calloc(nodes, sizeof(bool)),
                       .loops = loops_for(winograd_single_kernels(e->kernels))};
    int status = needed && m.is_stage ? find_needed(e, needed, error) : error_memory(error, nodes, "the network");
    if (!status)
        mark_stages(&m);
    for (int n = 0; n < e->graph->nodes && !status; n++) {
        e->step_of[n] = -1;
        if ((n == 0 || needed[n]) && !take_in(&m, n, &status, error) && !status)
            status = add_step(&m, n, error);
    }
    for (int i = 1; i < e->steps && !status; i++)
        status = finish_step(&m, &e->step[i], error);
    free(m.is_stage);
    free(needed);
    return status;
}
