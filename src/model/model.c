#include "filteratlas/model/model.h"

#include <string.h>

/* Whether there is something to draw, and pictures can be what it takes. */
static int check(const char *path, const struct model *model, struct error *error) {
    int channels = model->graph.node[0].channels;
    if (!layers_filters(&model->layers))
        return error_set(error, STATUS_USAGE,
                         "%s: %.60s has neither a convolution nor a dense layer; give a network with filters to draw",
                         path, model->layers.network);
    if (channels != 1 && channels != 3)
        return error_set(error, STATUS_USAGE,
                         "%s: %.60s takes pictures of %d channels; networks of 1 or 3 can be drawn", path,
                         model->layers.network, channels);
    return STATUS_OK;
}

static int read_once(const char *path, const char *config, bool with_top, struct model *model, struct error *error) {
    struct model_file file;
    *model = (struct model){.layers.count = 0};
    if (model_file_read(path, config, !with_top, &file, error))
        return error->status;
    model->graph = file.graph;
    strcpy(model->layout, file.layout);
    int status = graph_fold(&model->graph, error);
    if (!status)
        status = graph_pack(&model->graph, error);
    if (!status)
        status = layers_make(&model->graph, &model->layers, error);
    if (!status)
        status = check(path, model, error);
    if (status)
        model_free(model);
    return status;
}

/* Only a VGG may do without its top, most of its numbers: its layers are known by themselves. */
int model_read(const char *path, const char *config, bool with_top, struct model *model, struct error *error) {
    int status = read_once(path, config, with_top, model, error);
    bool lacks = !status && !with_top && !model->layers.vgg && model->graph.left_out[0];
    if (lacks || (status == STATUS_USAGE && !with_top)) { /* a dense network has nothing else */
        model_free(model);
        status = read_once(path, config, true, model, error);
    }
    if (!status)
        status = model_file_digest(path, config, model->sha256, error);
    if (status)
        model_free(model);
    return status;
}

void model_free(struct model *model) {
    graph_free(&model->graph);
    layers_free(&model->layers);
}
