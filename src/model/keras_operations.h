/* What each class of Keras's layers computes, as nodes of a graph. */
#ifndef MODEL_KERAS_OPERATIONS_H
#define MODEL_KERAS_OPERATIONS_H

#include "filteratlas/model/graph.h"
#include "keras_model.h"

enum {
    KERAS_FAILED = -1, /* an error is set: the file can't be used */
    KERAS_UNKNOWN = -2 /* what the layer computes isn't known here, or it reads such a layer */
};

/* Where the file and the conventions of who wrote it are kept while its graph is made. */
struct keras_context {
    const struct hdf5_file *file;
    struct graph *graph;
    bool version3;       /* Keras 3, whose hard_sigmoid is another */
    bool theano;         /* kernels are turned by 180 degrees */
    bool tensorflow;     /* the file says they are not */
    bool channels_first; /* axis 1 is the channels' */
    bool without_top;    /* what reads a flattened map is left out */
    bool prefers_turned; /* where a kernel's shape fits both ways it is [out][in][rows][columns] */
    bool turned;         /* a kernel was stored [out][in][rows][columns] */
    bool bfloat16;       /* a kernel's numbers are */
    int bits;            /* of a number of the first kernel, 0 before it */
};

/* One use of a layer, and its name through the models that hold it. */
struct keras_use {
    const struct keras_layer *layer;
    const char *name;
    const int *input; /* [inputs] nodes of the graph */
    int inputs;
};

/* Appends the nodes of a layer; returns the one that gives its output, which may be an input where the layer does
 * nothing, KERAS_FAILED or KERAS_UNKNOWN. */
int keras_operation_append(struct keras_context *context, const struct keras_use *use, struct error *error);

/* Whether a class holds filters to be drawn: such a layer must be known. */
bool keras_class_is_convolution(const char *class_name);

/* --- Of keras_affine.c */

/* Channels that the layer's first input has; 0 behind a flattened map. */
int keras_in_channels(const struct keras_context *context, const struct keras_use *use);

/* A vector: what global pooling, flattening or a dense layer behind them gives. */
bool keras_is_vector(const struct graph *graph, int n);

/* Whether an axis, a number or a list of one, is the channels'. */
bool keras_is_channel_axis(const struct keras_context *context, const struct document *axis, int input);

/* Layers that multiply each channel by a number and add another. */
int keras_batch_normalisation_append(struct keras_context *context, const struct keras_use *use, struct error *error);
int keras_rescaling_append(struct keras_context *context, const struct keras_use *use, struct error *error);
int keras_normalisation_append(struct keras_context *context, const struct keras_use *use, struct error *error);

/* --- Of keras_activations.c */

/* An activation by its name, as a layer's own or Activation's. Nothing is appended for linear.
 */
int keras_activation_append(struct keras_context *context, const struct keras_use *use, int input,
                            const struct document *activation, struct error *error);
int keras_activation_layer_append(struct keras_context *context, const struct keras_use *use, struct error *error);
bool keras_class_is_activation(const char *class_name);

/* --- Of keras_values.c */

/* Appends one node of a layer, with its name and class; returns its number or KERAS_FAILED. */
int keras_node_append(struct keras_context *context, const struct keras_use *use, struct graph_node *node,
                      const int *inputs, int count, struct error *error);

/* NULL if the layer has none of that label. */
const struct keras_weight *keras_weight_find(const struct keras_layer *layer, const char *label);

/* graph_reserve, with the file and the layer in its message. */
size_t keras_reserve(const struct keras_context *context, const struct keras_layer *layer, size_t count,
                     struct error *error);

/* Reads all of a weight of exactly that many numbers. */
int keras_values_read(const struct keras_context *context, const struct keras_layer *layer, const char *label,
                      size_t count, float *values, struct error *error);

struct keras_kernel {
    const char *label;
    int rank;     /* 4, or 2 of a dense layer */
    int shape[4]; /* [rows][columns][in][out], or [in][out] */
    int biases;   /* that the layer has behind this kernel, if it has any */
};

/* Reads a kernel and its bias into the graph and gives their places to the node; turns what Theano wrote; refuses
 * another shape and values that are not finite. */
int keras_kernel_read(struct keras_context *context, const struct keras_layer *layer, const struct keras_kernel *kernel,
                      struct graph_node *node, struct error *error);

/* "LAYOUT, kernels HWIO, float32" */
void keras_describe_layout(const struct keras_context *context, const char *layout, char *text, size_t size);

/* Refuses values that are not finite. */
int keras_check_finite(const char *file, const char *name, size_t bits, const float *values, size_t count,
                       struct error *error);

/* A number of the config, or one that an old Keras wrote as {"type": "ndarray", "value": ...}; `otherwise` if it is
 * null or missing. false if it is anything else. */
bool keras_config_number(const struct keras_layer *layer, const char *key, double otherwise, double *number);

/* A pair [rows, columns], or one number for both; `otherwise` if it is null or missing. */
bool keras_config_pair(const struct keras_layer *layer, const char *key, int least, int otherwise, int pair[2]);

#endif
