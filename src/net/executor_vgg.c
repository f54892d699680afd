#include "executor_parts.h"

#include <stdlib.h>
#include <string.h>

/* A graph that is a VGG's goes the way that is made for it: struct network, which takes the same graph for granted and
 * is a little faster. */

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
    if (e->forward || weights_find_vgg(e->graph, "the network", &v->weights.net, v->nodes, &no)) {
        v->weights.net.layers = 0;
        return STATUS_OK;
    }
    for (int l = 0; l < v->weights.net.layers; l++)
        if (e->layers[v->nodes[l]]) {
            e->layers[v->nodes[l]] = false;
            v->deepest = l;
        }
    return v->deepest < 0 ? STATUS_OK : weights_of_graph(e->graph, &v->weights, &v->borrows, error);
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
