#include "network_share.h"

#include <stdlib.h>
#include <string.h>

int network_share_array(const struct cluster *cluster, size_t bytes, void **array, struct error *error) {
    if (cluster->rank)
        *array = malloc(bytes + 1);
    int status = cluster_agree(cluster, *array ? STATUS_OK : error_memory(error, (double)bytes, "the network"), error);
    if (!status)
        cluster_broadcast(*array, bytes);
    return status;
}

int network_share_graph(const struct cluster *cluster, struct model *model, struct error *error) {
    struct graph *graph = &model->graph;
    void *node = graph->node, *input = graph->input;
    float *values = graph->values;
    cluster_broadcast(graph, sizeof *graph);
    graph->values = values;
    graph->node = NULL;
    graph->input = NULL;
    int status = network_share_array(cluster, (size_t)graph->nodes * sizeof *graph->node, &node, error);
    graph->node = node;
    if (!status)
        status = network_share_array(cluster, (size_t)graph->inputs * sizeof *graph->input, &input, error);
    graph->input = input;
    if (!status && cluster->rank)
        status = layers_make(graph, &model->layers, error);
    return cluster_agree(cluster, status, error);
}

int network_share_values(const struct cluster *cluster, struct model *model, size_t tables, bool wanted,
                         struct shared *shared, void **place, struct error *error) {
    enum { LINE = 64 };
    float *own = model->graph.values;
    size_t values = model->graph.value_count * sizeof *own, before = (values + LINE - 1) / LINE * LINE;
    cluster_broadcast(&tables, sizeof tables);
    int status = shared_allocate(cluster, before + tables, wanted, shared, error);
    if (status)
        return status;
    if (own)
        memcpy(shared->bytes, own, values);
    free(own);
    model->graph.values = shared->bytes;
    *place = (char *)shared->bytes + before;
    shared_broadcast(cluster, shared, values);
    return STATUS_OK;
}

void network_share_free(struct model *model, struct shared *shared) {
    if (model->graph.values == shared->bytes)
        model->graph.values = NULL;
    shared_free(shared);
    model_free(model);
}
