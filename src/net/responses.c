#include "filteratlas/net/responses.h"

#include "filteratlas/model/weights.h"
#include "filteratlas/net/executor.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* A layer asked for. */
struct wanted {
    int node, filters;
    int first;     /* its first filter among all */
    int vgg_first; /* the same among all of a VGG's */
};

struct responses {
    const struct graph *graph;
    const struct winograd_kernels *kernels;
    int extent, count, filters;
    struct wanted *wanted; /* [count] */
    float *row;            /* [the widest map's stride] */
    /* A VGG: */
    bool is_vgg;
    struct weights weights;
    bool borrows; /* their values are the graph's */
    int deepest, vgg_filters;
    struct activations *activations;
    struct activation *all; /* [ACTIVATIONS_MOST_IMAGES][vgg_filters] */
    /* Any other network: */
    struct executor *executor;
    struct executor_memory *memory;
};

/* A VGG --------------------------------------------------------------------------------------------------------- */

/* Whether all that is wanted are a VGG's convolutions, and no pooling on the way leaves a remainder. */
static bool takes_vgg(struct responses *r) {
    struct vgg *net = &r->weights.net;
    int nodes[VGG_MAX_LAYERS];
    struct error no;
    if (weights_find_vgg(r->graph, "", net, nodes, &no))
        return false;
    for (int i = 0; i < r->count; i++) {
        int first = 0, layer = 0;
        for (; layer < net->layers && nodes[layer] != r->wanted[i].node; layer++)
            first += net->layer[layer].out_channels;
        if (layer == net->layers)
            return false;
        r->wanted[i].vgg_first = first;
        r->deepest = layer > r->deepest ? layer : r->deepest;
    }
    return r->extent % vgg_least_extent(net, r->deepest) == 0;
}

static int make_vgg(struct responses *r, struct error *error) {
    for (int l = 0; l <= r->deepest; l++)
        r->vgg_filters += r->weights.net.layer[l].out_channels;
    size_t answers = (size_t)ACTIVATIONS_MOST_IMAGES * (size_t)r->vgg_filters;
    r->all = malloc(answers * sizeof *r->all);
    return r->all ? weights_of_graph(r->graph, &r->weights, &r->borrows, error)
                  : error_memory(error, (double)answers * sizeof *r->all, "activations");
}

static bool measure_vgg(struct responses *r, const float *x, int count, struct activation *highest,
                        const struct interrupt *interrupt) {
    if (!activations_measure(r->activations, x, count, r->all, interrupt))
        return false;
    for (int image = 0; image < count; image++)
        for (int i = 0; i < r->count; i++) {
            const struct wanted *w = &r->wanted[i];
            memcpy(highest + (size_t)image * (size_t)r->filters + w->first,
                   r->all + (size_t)image * (size_t)r->vgg_filters + w->vgg_first,
                   (size_t)w->filters * sizeof *highest);
        }
    return true;
}

/* Any other network --------------------------------------------------------------------------------------------- */

static int make_executor(struct responses *r, struct error *error) {
    bool *layers = calloc((size_t)r->graph->nodes, sizeof *layers);
    if (!layers)
        return error_memory(error, r->graph->nodes, "the network");
    for (int i = 0; i < r->count; i++)
        layers[r->wanted[i].node] = true;
    int status = executor_make_forward(r->graph, r->extent, r->extent, layers, r->kernels, &r->executor, error);
    free(layers);
    return status;
}

/* Where an image's answers go. */
struct looking {
    struct responses *responses;
    struct activation *highest;
};

static void look(void *context, int layer, const struct executor_map *map) {
    const struct looking *looking = context;
    struct responses *r = looking->responses;
    const struct scanned_map seen = {.values = map->values,
                                     .height = map->height,
                                     .width = map->width,
                                     .stride = map->stride,
                                     .channels = map->channels};
    for (int i = 0; i < r->count; i++)
        if (r->wanted[i].node == layer)
            scan_map(&seen, r->row, looking->highest + r->wanted[i].first);
}

static bool measure_graph(struct responses *r, const float *x, int count, struct activation *highest,
                          const struct interrupt *interrupt) {
    size_t values = (size_t)r->extent * (size_t)r->extent * (size_t)executor_channels(r->executor);
    bool goes_on = true;
    for (int image = 0; image < count && goes_on; image++) {
        struct looking looking = {r, highest + (size_t)image * (size_t)r->filters};
        goes_on = executor_forward(r->executor, r->memory, x + (size_t)image * values, look, &looking, interrupt);
    }
    return goes_on;
}

/* Either -------------------------------------------------------------------------------------------------------- */

static int take_layers(struct responses *r, const int *nodes, struct error *error) {
    int widest = 0;
    r->wanted = calloc((size_t)r->count + 1, sizeof *r->wanted);
    for (int i = 0; i < r->count && r->wanted; i++) {
        int filters = r->graph->node[r->graph->node[nodes[i]].stage].channels;
        r->wanted[i] = (struct wanted){.node = nodes[i], .filters = filters, .first = r->filters};
        r->filters += filters;
        widest = filters > widest ? filters : widest;
    }
    r->row = malloc((size_t)winograd_padded(widest) * sizeof *r->row);
    return r->wanted && r->row ? STATUS_OK : error_memory(error, r->filters * (double)sizeof *r->row, "the layers");
}

int responses_make(const struct graph *graph, const int *nodes, int count, int extent,
                   const struct winograd_kernels *kernels, struct responses **responses, struct error *error) {
    struct responses *r = *responses = calloc(1, sizeof *r);
    if (!r)
        return error_memory(error, sizeof *r, "the network");
    *r = (struct responses){.graph = graph, .kernels = kernels, .extent = extent, .count = count};
    if (take_layers(r, nodes, error))
        return error->status;
    r->is_vgg = takes_vgg(r);
    return r->is_vgg ? make_vgg(r, error) : make_executor(r, error);
}

void responses_free(struct responses *r) {
    if (!r)
        return;
    activations_free(r->activations);
    executor_memory_free(r->memory);
    executor_free(r->executor);
    if (!r->borrows)
        free(r->weights.values);
    free(r->all);
    free(r->wanted);
    free(r->row);
    free(r);
}

size_t responses_table_bytes(const struct responses *r) {
    return r->is_vgg ? activations_table_bytes(&r->weights.net, r->deepest, r->extent, r->kernels)
                     : executor_table_bytes(r->executor);
}

int responses_place(struct responses *r, void *tables, struct error *error) {
    if (r->is_vgg)
        return activations_make(&r->weights, r->deepest, r->extent, r->kernels, tables, &r->activations, error);
    int status = executor_place(r->executor, tables, error);
    return status ? status : executor_memory_make(r->executor, 1, &r->memory, error);
}

int responses_fill_tables(const struct responses *r, int part, int parts, struct error *error) {
    if (!r->is_vgg)
        return executor_fill_tables(r->executor, part, parts, error);
    activations_fill_tables(r->activations, part, parts);
    return STATUS_OK;
}

bool responses_measure(struct responses *r, const float *x, int count, struct activation *highest,
                       const struct interrupt *interrupt) {
    return r->is_vgg ? measure_vgg(r, x, count, highest, interrupt) : measure_graph(r, x, count, highest, interrupt);
}
