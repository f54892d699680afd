#include "filteratlas/model/graph.h"

#include <stdlib.h>
#include <string.h>

enum {
    VECTOR_FACTOR = 10,   /* a vector may have so many times more channels than a map */
    MAX_VALUES = 1 << 29, /* 27 times VGG19: more is no network but a broken or hostile file */
    FIRST_CAPACITY = 64,  /* nodes and inputs; doubled from there */
};

/* Room for one more of `count` elements, doubled whenever a power of two is reached. */
static void *widen(void *elements, int count, int more, size_t size) {
    int capacity = FIRST_CAPACITY, needed = count + more;
    while (capacity < count)
        capacity *= 2;
    if (elements && needed <= capacity)
        return elements;
    while (capacity < needed)
        capacity *= 2;
    return realloc(elements, capacity * size);
}

/* --- Channels ---------------------------------------------------------------------------------------------------- */

static bool brings_channels(enum graph_operation operation) {
    return operation == GRAPH_INPUT || operation == GRAPH_CONVOLUTION || operation == GRAPH_DEPTHWISE ||
           operation == GRAPH_TRANSPOSED || operation == GRAPH_DENSE;
}

/* Of a join of channels a and b, 0 where that depends on the size; -1 if they don't fit. */
static int join_channels(int a, int b) {
    if (a == 0 || b == 0)
        return 0;
    return a == b || b == 1 ? a : a == 1 ? b : -1;
}

/* What follows from the inputs, in so far as it doesn't depend on the size. */
static int infer_channels(const struct graph *graph, enum graph_operation operation, const int *inputs, int count) {
    int channels = graph->node[inputs[0]].channels;
    if (operation == GRAPH_FLATTEN)
        return 0;
    for (int i = 1; i < count && channels > 0; i++) {
        int other = graph->node[inputs[i]].channels;
        channels = operation != GRAPH_CONCATENATE ? join_channels(channels, other) : other ? channels + other : 0;
    }
    return channels;
}

static int check_channels(const struct graph_node *node, struct error *error) {
    int most = node->operation == GRAPH_DENSE ? VECTOR_FACTOR * GRAPH_MAX_CHANNELS : GRAPH_MAX_CHANNELS;
    if (node->channels < 0)
        return error_set(error, STATUS_USAGE, "%s (%s) joins maps whose channels don't fit", node->name,
                         node->class_name);
    if (node->channels > most || (node->channels == 0 && brings_channels(node->operation)))
        return error_set(error, STATUS_USAGE, "%s (%s) has %d channels; 1 to %d can be used", node->name,
                         node->class_name, node->channels, most);
    return STATUS_OK;
}

/* The channels that an operation with weights was made for are those it gets. */
static int check_input(const struct graph *graph, const struct graph_node *node, const int *inputs,
                       struct error *error) {
    int given = node->in_channels ? graph->node[inputs[0]].channels : 0;
    if (given && given != node->in_channels)
        return error_set(error, STATUS_USAGE, "%s (%s) takes %d channels but gets %d", node->name, node->class_name,
                         node->in_channels, given);
    return STATUS_OK;
}

/* --- Nodes and values -------------------------------------------------------------------------------------------- */

static int make_room(struct graph *graph, int count, struct error *error) {
    struct graph_node *node = widen(graph->node, graph->nodes, 1, sizeof *node);
    if (node)
        graph->node = node;
    int *input = widen(graph->input, graph->inputs, count, sizeof *input);
    if (input)
        graph->input = input;
    return node && input ? STATUS_OK : error_memory(error, (double)graph->nodes * sizeof *node, "the network's layers");
}

int graph_append(struct graph *graph, const struct graph_node *node, const int *inputs, int count,
                 struct error *error) {
    struct graph_node new = *node;
    if (graph->nodes >= GRAPH_MAX_NODES || count > GRAPH_MAX_NODES || graph->inputs > 16 * GRAPH_MAX_NODES) {
        error_set(error, STATUS_USAGE, "has more than %d layers", GRAPH_MAX_NODES);
        return -1;
    }
    if (!brings_channels(new.operation))
        new.channels = infer_channels(graph, new.operation, inputs, count);
    if (check_channels(&new, error) || check_input(graph, &new, inputs, error) || make_room(graph, count, error))
        return -1;
    new.first_input = graph->inputs;
    new.inputs = count;
    new.consumers = 0;
    new.stage = new.number = -1;
    for (int i = 0; i < count; i++) {
        graph->input[graph->inputs++] = inputs[i];
        graph->node[inputs[i]].consumers++;
    }
    graph->node[graph->nodes] = new;
    return graph->nodes++;
}

size_t graph_reserve(struct graph *graph, size_t count, struct error *error) {
    if (count > MAX_VALUES || graph->value_count > MAX_VALUES - count) {
        error_set(error, STATUS_USAGE, "has more than %d weights", MAX_VALUES);
        return GRAPH_NOTHING;
    }
    size_t place = graph->value_count, total = place + count;
    float *values = realloc(graph->values, (total ? total : 1) * sizeof *values);
    if (!values) {
        error_memory(error, (double)total * sizeof *values, "the network's weights");
        return GRAPH_NOTHING;
    }
    graph->values = values;
    graph->value_count = total;
    return place;
}

void graph_free(struct graph *graph) {
    free(graph->node);
    free(graph->input);
    free(graph->values);
    memset(graph, 0, sizeof *graph);
}

/* --- Looking around ---------------------------------------------------------------------------------------------- */

void graph_ancestors(const struct graph *graph, int target, bool *needed) {
    memset(needed, 0, graph->nodes * sizeof *needed);
    needed[target] = true;
    for (int n = target; n > 0; n--)
        for (int i = 0; needed[n] && i < graph->node[n].inputs; i++)
            needed[graph_input(graph, n, i)] = true;
}

int graph_find(const struct graph *graph, const char *name) {
    for (int n = 0; n < graph->nodes; n++)
        if (graph->node[n].stage >= 0 && !strcmp(graph->node[n].name, name))
            return n;
    return -1;
}
