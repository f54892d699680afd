/* A network ready to be drawn: read from a file, its normalisation folded in, its layers named. */
#ifndef FILTERATLAS_MODEL_H
#define FILTERATLAS_MODEL_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/sha256.h"
#include "filteratlas/model/graph.h"
#include "filteratlas/model/layers.h"
#include "filteratlas/model/model_file.h"

#include <stdbool.h>

struct model {
    struct graph graph; /* folded and packed */
    struct layers layers;
    char layout[MODEL_FILE_LAYOUT_SIZE];
    char sha256[SHA256_HEX_SIZE]; /* model_file_digest */
};

/* Reads a file, with the description in the file `config` unless that is NULL. Of a VGG what reads a flattened map,
 * most of its numbers, is left out if it isn't asked for `with_top`; model->graph.left_out then names it. STATUS_USAGE
 * says why a file can't be drawn: what model_file_read can't use, a network without layers to draw, pictures of other
 * than 1 or 3 channels. Release with model_free; after a failure it holds nothing. */
int model_read(const char *path, const char *config, bool with_top, struct model *model, struct error *error);
void model_free(struct model *model);

#endif
