#include "network.h"

#include "model_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A VGG's top is read only if it is asked for, or may be among what --costs names. All other layers than convolutions
 * are numbered with it. */
int network_read_selected(const struct options *options, const struct interrupt *interrupt, struct model *model,
                          struct selection *selection, bool *abandoned, struct error *error) {
    for (bool with_top = options->costs;; with_top = true) {
        int status = model_reader_read(options->weights, options->config, with_top, interrupt, model, abandoned, error);
        if (status)
            return status;
        status = selection_make(options, &model->layers, selection, error);
        bool more = !with_top && model->graph.left_out[0] && (status == STATUS_USAGE || selection->unusual);
        if (!more)
            return status;
        selection_free(selection);
        model_free(model);
    }
}

static void take_own_size(const struct graph *graph, struct options *options) {
    bool known =
        graph->width > 0 && graph->width <= OPTIONS_MAX_SIZE && graph->height > 0 && graph->height <= OPTIONS_MAX_SIZE;
    if (options->recipe == RECIPE_FOURIER && !options->size_given && known)
        options->size = (struct extent){graph->width, graph->height};
}

int network_read(struct options *options, const struct interrupt *interrupt, struct model *model,
                 struct selection *selection, bool *abandoned, struct error *error) {
    int status = network_read_selected(options, interrupt, model, selection, abandoned, error);
    if (status)
        return status;
    if (options->precision == WINOGRAD_BF16 && !model->layers.vgg)
        return error_set(error, STATUS_USAGE,
                         "--precision bf16: is there for VGG networks, %s is another; give --precision single",
                         model->layers.network);
    take_own_size(&model->graph, options);
    return selection_check_size(selection, options, model, error);
}

struct ascent_job network_job(const struct options *options, const struct graph *graph) {
    struct ascent_job job = options_job(options);
    job.grey = graph->node[0].channels == 1;
    return job;
}

void network_mark_nodes(const struct model *model, const bool *chosen, bool *nodes) {
    memset(nodes, 0, (size_t)model->graph.nodes * sizeof *nodes);
    for (int l = 0; l < model->layers.count; l++)
        nodes[model->layers.layer[l].node] |= chosen[l];
}

int network_make_costs(const struct model *model, const bool *chosen, const struct ascent_job *job,
                       const struct winograd_kernels *kernels, struct layer_cost **costs, struct error *error) {
    int layers = model->layers.count;
    bool *nodes = malloc((size_t)model->graph.nodes * sizeof *nodes);
    struct executor *executor = NULL;
    *costs = calloc((size_t)layers + 1, sizeof **costs);
    int status = nodes && *costs ? STATUS_OK : error_memory(error, layers * (double)sizeof **costs, "costs");
    if (!status) {
        network_mark_nodes(model, chosen, nodes);
        status = executor_make(&model->graph, &job->octaves, nodes, kernels, &executor, error);
    }
    for (int l = 0; l < layers && !status; l++)
        if (chosen[l])
            status = cost_of_layer(executor, job, model->layers.layer[l].node, &(*costs)[l], error);
    executor_free(executor);
    free(nodes);
    return status;
}

void network_say_preprocessing(const struct layers *layers) {
    if (layers->vgg)
        return;
    fprintf(stderr,
            "filteratlas: %s is given pictures as Keras's VGG and ResNet networks want them (--preprocess caffe); give "
            "--preprocess tf, torch, unit or none if it was trained on others\n",
            layers->network);
}
