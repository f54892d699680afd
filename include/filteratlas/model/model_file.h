/* A network from a file that Keras saved:
 *
 * - whole models, .h5 and .keras: the file's own description says what the network is;
 * - weights with a description beside them, as model.to_json() writes it: another file;
 * - weights alone: VGG networks, told by their names and poolings; anything else is refused, since such a file doesn't
 *   say what its network computes. */
#ifndef FILTERATLAS_MODEL_FILE_H
#define FILTERATLAS_MODEL_FILE_H

#include "filteratlas/base/error.h"
#include "filteratlas/base/sha256.h"
#include "filteratlas/model/graph.h"

#include <stdbool.h>

enum { MODEL_FILE_LAYOUT_SIZE = 96 };

struct model_file {
    struct graph graph;
    char layout[MODEL_FILE_LAYOUT_SIZE]; /* for people: "Keras model (model_weights), kernels HWIO, float32" */
};

/* Reads a file; `config` is the path of a description beside it, or NULL. With `without_top`, what reads a flattened
 * map is left out, which in old networks is most of the numbers. A file that can't be used is STATUS_USAGE in one line
 * that names file and layer; nothing is printed by a library. On success the caller releases the graph with graph_free,
 * on failure it holds nothing. */
int model_file_read(const char *path, const char *config, bool without_top, struct model_file *model,
                    struct error *error);

/* The SHA-256 of the whole file, in hexadecimal digits; with a description beside it, of the digests of both. */
int model_file_digest(const char *path, const char *config, char sha256[SHA256_HEX_SIZE], struct error *error);

/* The library that reads them, "HDF5 library version: 1.10.8", static. */
const char *model_file_library(void);

#endif
