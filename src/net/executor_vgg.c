#include "executor_parts.h"

#include <stdlib.h>
#include <string.h>

/* A graph that is a VGG's goes the way that is made for it: struct network, which takes the same graph for granted and
 * is a little faster. */

static size_t kernel_floats(const struct vgg_layer *layer) {
    return (size_t)9 * (size_t)layer->in_channels * (size_t)layer->out_channels;
}

/* Whether kernels and biases stand in the graph as struct weights wants them, one behind the other. */
static bool stand_together(const struct graph *graph, const struct vgg *net, const int *nodes) {
    size_t place = graph->node[nodes[0]].weights;
    for (int l = 0; l < net->layers; l++) {
        const struct graph_node *node = &graph->node[nodes[l]];
        if (node->weights != place || node->bias != place + kernel_floats(&net->layer[l]))
            return false;
        place += vgg_parameters(&net->layer[l]);
    }
    return true;
}

static int copy_values(const struct graph *graph, const int *nodes, struct weights *weights, struct error *error) {
    float *to = weights->values = calloc(weights->count, sizeof *to);
    if (!to)
        return error_memory(error, (double)weights->count * sizeof *to, "the weights");
    for (int l = 0; l < weights->net.layers; l++) {
        const struct graph_node *node = &graph->node[nodes[l]];
        size_t kernel = kernel_floats(&weights->net.layer[l]);
        memcpy(to, graph->values + node->weights, kernel * sizeof *to);
        if (node->bias != GRAPH_NOTHING)
            memcpy(to + kernel, graph->values + node->bias, (size_t)node->channels * sizeof *to);
        to += vgg_parameters(&weights->net.layer[l]);
    }
    return STATUS_OK;
}

static int take_weights(const struct graph *graph, struct vgg_part *v, struct error *error) {
    for (int l = 0; l < v->weights.net.layers; l++)
        v->weights.count += vgg_parameters(&v->weights.net.layer[l]);
    if (!stand_together(graph, &v->weights.net, v->nodes))
        return copy_values(graph, v->nodes, &v->weights, error);
    v->borrows = true;
    v->weights.values = graph->values + graph->node[v->nodes[0]].weights;
    return STATUS_OK;
}

int vgg_part_layer(const struct vgg_part *v, int node) {
    for (int l = 0; l < v->weights.net.layers; l++)
        if (v->nodes[l] == node)
            return l;
    return -1;
}

int vgg_part_take(struct executor *e, struct error *error) {
    struct vgg_part *v = &e->vgg;
    struct error no;
    v->deepest = -1;
    if (weights_find_vgg(e->graph, "the network", &v->weights.net, v->nodes, &no)) {
        v->weights.net.layers = 0;
        return STATUS_OK;
    }
    for (int l = 0; l < v->weights.net.layers; l++)
        if (e->layers[v->nodes[l]]) {
            e->layers[v->nodes[l]] = false;
            v->deepest = l;
        }
    return v->deepest < 0 ? STATUS_OK : take_weights(e->graph, v, error);
}

size_t vgg_part_table_bytes(const struct executor *e) {
    return e->vgg.deepest < 0 ? 0 : network_table_bytes(&e->vgg.weights.net, &e->octaves, e->vgg.deepest, e->kernels);
}

int vgg_part_place(struct executor *e, float *tables, struct error *error) {
    struct vgg_part *v = &e->vgg;
    if (v->deepest < 0)
        return STATUS_OK;
    v->placed = true;
    return network_place(&v->weights, &e->octaves, v->deepest, e->kernels, tables, &v->network, error);
}

void vgg_part_free(struct vgg_part *v) {
    if (v->placed)
        network_free(&v->network);
    if (!v->borrows)
        free(v->weights.values);
}
