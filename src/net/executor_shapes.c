#include "executor_parts.h"

#include <stdlib.h>

struct map executor_map(const struct executor *e, int octave, int node) {
    struct graph_shape shape = e->shapes[(size_t)octave * (size_t)e->graph->nodes + (size_t)node];
    return (struct map){shape.height, shape.width, shape.channels, map_stride(shape.channels)};
}

int executor_octave(const struct executor *e, int height, int width) {
    int octave = 0;
    while (e->octaves.height[octave] != height || e->octaves.width[octave] != width)
        octave++;
    return octave;
}

struct target executor_target(const struct executor *e, int layer) {
    int stage = e->graph->node[layer].stage, i = e->step_of[stage];
    const struct step *step = &e->step[i];
    struct target target = {.step = i, .activation = {.loops = step->operation.loops, .function = GRAPH_LINEAR}};
    if (step->activated >= 0 && stage >= step->activated)
        target.activation = step->operation.activation;
    return target;
}

int executor_filters(const struct executor *e, int layer) {
    return executor_map(e, 0, e->graph->node[layer].stage).channels;
}

int executor_number(const struct executor *e, int layer) { return e->graph->node[layer].number; }

int executor_channels(const struct executor *e) { return e->graph->node[0].channels; }

bool executor_rectifies(const struct executor *e, int layer) {
    if (vgg_part_layer(&e->vgg, layer) >= 0)
        return true;
    struct activation activation = executor_target(e, layer).activation;
    return activation_note_bytes(&activation) == 1;
}

/* Shapes at one octave, of all that the layers need. */
static int infer_shapes(struct executor *e, int octave, struct graph_shape *of_layer, struct error *error) {
    const struct graph *graph = e->graph;
    struct graph_shape *shapes = e->shapes + (size_t)octave * (size_t)graph->nodes;
    int status = STATUS_OK;
    for (int layer = graph->nodes - 1; layer > 0 && !status; layer--) { /* deep layers bring those before them */
        int stage = graph->node[layer].stage;
        if (!e->layers[layer] || shapes[stage].height)
            continue;
        status = graph_shapes(graph, e->octaves.height[octave], e->octaves.width[octave], stage, of_layer, error);
        for (int n = 0; n < graph->nodes && !status; n++)
            if (of_layer[n].height)
                shapes[n] = of_layer[n];
    }
    return status;
}

int executor_infer_shapes(struct executor *e, struct error *error) {
    size_t bytes = (size_t)e->graph->nodes * sizeof(struct graph_shape);
    struct graph_shape *of_layer = malloc(bytes);
    int status = of_layer ? STATUS_OK : error_memory(error, (double)bytes, "shapes of maps");
    for (int octave = 0; octave < e->octaves.steps && !status; octave++)
        status = infer_shapes(e, octave, of_layer, error);
    free(of_layer);
    return status;
}
