/* A model as Keras describes it in JSON: layers, what each reads, and models that are layers of models. Nothing is
 * known here of what a layer computes (keras_operations.h) or where its weights lie (keras_weights.h).
 *
 * Understood are Sequential (its config an object with `layers`, or the list itself, as Keras wrote before 2.2.3) and
 * Model or Functional, with the inbound_nodes of Keras 1 and 2 (nested lists) and of Keras 3 (__keras_tensor__). */
#ifndef MODEL_KERAS_MODEL_H
#define MODEL_KERAS_MODEL_H

#include "document.h"
#include "filteratlas/base/error.h"
#include "hdf5_file.h"

#include <stdbool.h>

enum { KERAS_MAX_WEIGHTS = 5, KERAS_MAX_LAYERS = 16384, KERAS_MAX_NESTING = 16, KERAS_PATH_SIZE = 512 };

/* Output `output` of call `call` of a layer. */
struct keras_tensor {
    int layer, call, output;
};

/* One use of a layer. */
struct keras_call {
    int first, count; /* model->tensor[first ... first + count - 1] */
    bool strange;     /* gets more than tensors: a constant, say */
};

/* A weight that a layer has by its class and config, and where the file keeps it. */
struct keras_weight {
    const char *label; /* "kernel", "moving_mean" */
    bool trains;
    char path[KERAS_PATH_SIZE]; /* of the dataset; "" as long as it isn't found */
    struct hdf5_array array;    /* its shape and type */
};

struct keras_layer {
    const char *name, *class_name;
    const struct document *config;
    struct keras_model *model; /* of a layer that is a model, owned; else NULL */
    bool trains, is_operation; /* a function of keras.ops, not a layer */
    int first_call, calls;     /* model->call[first_call ... first_call + calls - 1] */
    int weights;
    struct keras_weight weight[KERAS_MAX_WEIGHTS];
};

struct keras_model {
    const char *name;
    bool sequential;
    int layers, calls, tensors, inputs, outputs;
    struct keras_layer *layer;   /* [layers] in the file's order, owned */
    struct keras_call *call;     /* [calls], owned */
    struct keras_tensor *tensor; /* [tensors], owned */
    struct keras_tensor *input;  /* [inputs], owned; of a Sequential none: its first layer reads */
    struct keras_tensor *output; /* [outputs], owned */
};

/* Reads the description of a whole model, {"class_name": ..., "config": ...}; texts in it belong to the document.
 * Messages don't name the file. The caller ends with keras_model_free. */
int keras_model_read(const struct document *document, struct keras_model **model, struct error *error);
void keras_model_free(struct keras_model *model);

/* The channels of the network's input and its own size, 0 if it takes any; false if the description doesn't say. */
bool keras_model_input(const struct keras_model *model, int *height, int *width, int *channels);

/* Whether the convolutions are said to have their channels first. */
bool keras_model_channels_first(const struct keras_model *model);

#endif
