#include "executor_parts.h"

#include "filteratlas/base/huge_pages.h"

#include <stdlib.h>
#include <string.h>

static int make(const struct graph *graph, const struct octaves *octaves, const bool *layers, bool forward,
                const struct winograd_kernels *kernels, struct executor **executor, struct error *error) {
    size_t nodes = (size_t)graph->nodes;
    struct executor *e = *executor = calloc(1, sizeof *e);
    if (!e)
        return error_memory(error, sizeof *e, "the network");
    *e = (struct executor){.graph = graph,
                           .octaves = *octaves,
                           .kernels = kernels,
                           .forward = forward,
                           .layers = calloc(nodes, sizeof *e->layers),
                           .step = calloc(nodes, sizeof *e->step),
                           .inputs = calloc((size_t)graph->inputs + 1, sizeof *e->inputs),
                           .step_of = calloc(nodes, sizeof *e->step_of),
                           .shapes = calloc((size_t)octaves->steps * nodes, sizeof *e->shapes)};
    if (!e->layers || !e->step || !e->inputs || !e->step_of || !e->shapes)
        return error_memory(error, (double)nodes * sizeof *e->step, "the network");
    memcpy(e->layers, layers, nodes * sizeof *layers);
    int status = executor_infer_shapes(e, error);
    if (!status)
        status = vgg_part_take(e, error);
    if (!status)
        status = executor_make_steps(e, error);
    return status ? status : executor_size_tables(e, error);
}

int executor_make(const struct graph *graph, const struct octaves *octaves, const bool *layers,
                  const struct winograd_kernels *kernels, struct executor **executor, struct error *error) {
    return make(graph, octaves, layers, false, kernels, executor, error);
}

int executor_make_forward(const struct graph *graph, int height, int width, const bool *layers,
                          const struct winograd_kernels *kernels, struct executor **executor, struct error *error) {
    const struct octaves one = {.steps = 1, .height = {height, height}, .width = {width, width}};
    return make(graph, &one, layers, true, kernels, executor, error);
}

void executor_free(struct executor *e) {
    if (!e)
        return;
    for (int i = 0; i < e->steps; i++) {
        free(e->step[i].operation.scale);
        free(e->step[i].operation.bias);
        free(e->step[i].operation.small);
    }
    vgg_part_free(&e->vgg);
    free(e->layers);
    free(e->step);
    free(e->inputs);
    free(e->step_of);
    free(e->shapes);
    free(e);
}

const struct graph *executor_graph(const struct executor *e) { return e->graph; }

bool executor_has_layer(const struct executor *e, int layer) {
    int of_vgg = vgg_part_layer(&e->vgg, layer);
    return of_vgg >= 0 ? of_vgg <= e->vgg.deepest : e->layers[layer];
}

/* --- Its memory */

/* The largest of all placements. */
static void measure(const struct executor *e, struct executor_memory *m) {
    if (e->forward) {
        placement_of_forward(e, &m->placement);
        m->bytes = m->placement.bytes;
        return;
    }
    for (int layer = 0; layer < e->graph->nodes; layer++)
        for (int octave = 0; octave < e->octaves.steps && e->layers[layer]; octave++) {
            placement_of_layer(e, layer, octave, m->pictures, &m->placement);
            m->bytes = m->placement.bytes > m->bytes ? m->placement.bytes : m->bytes;
        }
}

int executor_memory_make(const struct executor *e, int pictures, struct executor_memory **memory, struct error *error) {
    struct executor_memory *m = *memory = calloc(1, sizeof *m);
    if (!m)
        return error_memory(error, sizeof *m, "activations");
    m->pictures = pictures;
    m->layer = -1;
    int status = placement_make(e, &m->placement, error);
    if (status)
        return status;
    measure(e, m);
    m->arena = huge_pages_allocate(m->bytes);
    if (!m->arena)
        return error_memory(error, (double)m->bytes, "activations");
    if (!e->vgg.placed)
        return STATUS_OK;
    return network_memory_make(&e->vgg.network, &e->octaves, e->vgg.deepest, pictures, &m->vgg, error);
}

void executor_memory_free(struct executor_memory *m) {
    if (!m)
        return;
    placement_free(&m->placement);
    network_memory_free(&m->vgg);
    free(m->arena);
    free(m);
}

double executor_memory_bytes(const struct executor_memory *m) { return (double)m->bytes + (double)m->vgg.bytes; }
