#include "filteratlas/model/layers.h"

#include "filteratlas/model/weights.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Only what every file system, shell and table takes as it is; no leading dash. */
static void make_safe(const char *own, char *name, size_t size) {
    snprintf(name, size, "%s", *own ? own : "_");
    for (char *c = name; *c; c++)
        if (!(isascii((unsigned char)*c) && isalnum((unsigned char)*c)) && (*c != '-' || c == name))
            *c = '_';
}

/* "job" and "atlas" are names of a store's own locks. */
static bool is_taken(const struct layers *layers, const char *name) {
    if (!strcasecmp(name, "job") || !strcasecmp(name, "atlas"))
        return true;
    for (int l = 0; l < layers->count; l++)
        if (!strcasecmp(layers->layer[l].name, name))
            return true;
    return false;
}

/* The safe name, with a number where it is another's already. */
static void choose_name(const struct layers *layers, const char *own, char name[LAYER_NAME_SIZE]) {
    enum { TAIL = 12 };
    char base[LAYER_NAME_SIZE];
    make_safe(own, base, sizeof base);
    strcpy(name, base);
    for (int i = 2; is_taken(layers, name); i++)
        snprintf(name, LAYER_NAME_SIZE, "%.*s_%d", LAYER_NAME_SIZE - TAIL, base, i);
}

static bool is_convolution(const struct graph_node *node) {
    return node->operation == GRAPH_CONVOLUTION || node->operation == GRAPH_DEPTHWISE ||
           node->operation == GRAPH_TRANSPOSED;
}

/* A VGG's convolutions first take their names, so that no other layer has them. */
static void name_vgg(const struct vgg *net, const int *nodes, struct layers *layers) {
    for (int l = 0; l < layers->count; l++)
        for (int v = 0; v < net->layers; v++)
            if (layers->layer[l].node == nodes[v])
                snprintf(layers->layer[l].name, sizeof layers->layer[l].name, "%s", net->layer[v].name);
}

/* The usual ones first, so that their names do not depend on whether there are others. */
static void name_others(struct layers *layers, bool usual) {
    for (int l = 0; l < layers->count; l++) {
        char name[LAYER_NAME_SIZE];
        if (layers->layer[l].name[0] || layers->layer[l].usual != usual)
            continue;
        choose_name(layers, layers->layer[l].own_name, name);
        strcpy(layers->layer[l].name, name);
    }
}

/* All that can be asked for, still without names. */
static int collect(const struct graph *graph, struct layers *layers, struct error *error) {
    bool convolutions = false;
    layers->layer = calloc((size_t)graph->nodes + 1, sizeof *layers->layer);
    if (!layers->layer)
        return error_memory(error, graph->nodes * (double)sizeof *layers->layer, "the network's layers");
    for (int n = 1; n < graph->nodes; n++)
        convolutions |= is_convolution(&graph->node[n]);
    for (int n = 1; n < graph->nodes; n++) {
        const struct graph_node *node = &graph->node[n];
        int filters = node->stage >= 0 ? graph->node[node->stage].channels : 0;
        if (!filters)
            continue;
        struct layer *layer = &layers->layer[layers->count++];
        *layer = (struct layer){.node = n, .filters = filters};
        layer->usual = convolutions ? is_convolution(node) : node->operation == GRAPH_DENSE;
        strcpy(layer->own_name, node->name);
        strcpy(layer->class_name, node->class_name);
    }
    return STATUS_OK;
}

int layers_make(const struct graph *graph, struct layers *layers, struct error *error) {
    struct vgg net;
    int nodes[VGG_MAX_LAYERS];
    struct error no;
    *layers = (struct layers){.vgg = !weights_find_vgg(graph, "", &net, nodes, &no)};
    make_safe(layers->vgg ? net.variant : graph->name, layers->network, sizeof layers->network);
    if (collect(graph, layers, error))
        return error->status;
    if (layers->vgg)
        name_vgg(&net, nodes, layers);
    name_others(layers, true);
    name_others(layers, false);
    return STATUS_OK;
}

void layers_free(struct layers *layers) {
    free(layers->layer);
    *layers = (struct layers){.count = 0};
}

int layers_find(const struct layers *layers, const char *name) {
    for (int l = 0; l < layers->count; l++)
        if (!strcmp(layers->layer[l].name, name))
            return l;
    return -1;
}

int layers_filters(const struct layers *layers) {
    int sum = 0;
    for (int l = 0; l < layers->count; l++)
        sum += layers->layer[l].usual ? layers->layer[l].filters : 0;
    return sum;
}
