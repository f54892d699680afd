/* Writes narrow VGGs, and networks that are almost one, in the layouts in which Keras has saved models and weights. A
 * failure to write ends the process with a message: only tests call this. */
#ifndef TESTS_MODEL_WRITER_H
#define TESTS_MODEL_WRITER_H

#include <stdbool.h>
#include <stddef.h>

enum { MODEL_MAX_LAYERS = 128, MODEL_MAX_WEIGHTS = 4, MODEL_NAME_SIZE = 64 };

struct model_weight {
    char name[4 * MODEL_NAME_SIZE];
    int rank, extent[4];
    float *value; /* owned */
};

struct model_layer {
    char class_name[MODEL_NAME_SIZE], name[MODEL_NAME_SIZE];
    char config[1024]; /* entries of its config behind the name, "\"filters\":8,..." */
    int weights;
    struct model_weight weight[MODEL_MAX_WEIGHTS];
};

struct sample {
    int layers;
    struct model_layer layer[MODEL_MAX_LAYERS];
};

enum model_names { MODEL_BLOCKS, MODEL_CAFFE, MODEL_PLAIN }; /* block1_conv1, conv1_1, conv2d_1 */

/* How the network differs from VGG16: what is 0 or NULL doesn't. */
struct model_recipe {
    enum model_names names;
    int convolutions;                                 /* the first so many, of 13; more are a head of further ones */
    int width, channels;                              /* of every convolution; of the input */
    int kernel, kernel_at;                            /* extent, of convolution kernel_at - 1, or of all if that is 0 */
    const char *pool_class, *pool_name, *pool_config; /* name: a format for the block's number */
    int skip_pool;                                    /* block that has none */
    const char *conv_config;                          /* entries of convolutions conv_from to the end */
    int conv_from;
    const char *between, *between_config, *before_conv; /* a layer's class behind, or before, each convolution */
    const char *first, *first_config;                   /* before all */
    bool top;                                           /* Flatten and Dense */
};

struct sample *sample_make(const struct model_recipe *recipe);
void sample_free(struct sample *model);

struct model_layer *sample_find(struct sample *model, const char *name);
struct model_layer *sample_insert(struct sample *model, int place, const char *class_name, const char *name,
                                  const char *config);
void model_add_weight(struct model_layer *layer, const char *name, int rank, const int *extent);

/* All numbers of the convolutions in order, kernel then bias; the caller frees them. */
float *sample_numbers(const struct sample *model, int convolutions, size_t *count);

/* The description, as model_config has it; the caller frees it. `link`: NULL, or a layer that reads the one before it
 * and also `to`. */
char *sample_functional(const struct sample *model, const char *link, const char *to);
char *sample_sequential(const struct sample *model, bool bare_list);

/* --- Files: `file` is an HDF5 file that is being written. */

typedef long long model_file_id;
model_file_id sample_create(const char *path);
void sample_close(model_file_id file);
void model_put_text(model_file_id file, const char *group, const char *attribute, const char *text);
void model_put_count(model_file_id file, const char *attribute, int value);
void model_put_group(model_file_id file, const char *path);
void model_put_weight(model_file_id file, const char *path, const struct model_weight *weight);

enum sample_numbers { MODEL_FLOAT, MODEL_BFLOAT16, MODEL_INTEGERS, MODEL_FILTERED, MODEL_LOST, MODEL_COMPACT };
void model_put_weight_as(model_file_id file, const char *path, const struct model_weight *weight,
                         enum sample_numbers numbers);

/* layer_names and a group per layer below `root` ("" is the file's). `limit`: names per attribute, 0 for all. */
void model_put_listed(model_file_id file, const char *root, const struct sample *model, enum sample_numbers numbers,
                      int limit);

/* One layer "vgg16" that holds all; layers from..to (convolutions, counted from 0) train and come first. `prefix`
 * stands before each weight's name. */
void model_put_nested(model_file_id file, const char *root, const struct sample *model, const char *prefix, int from,
                      int to, int limit);

/* Groups counted by class below `root`, joined by `separator`; `step` is what a layer with weights counts. */
void model_put_counted(model_file_id file, const char *root, const char *separator, const struct sample *model,
                       int step, bool named, enum sample_numbers numbers);

#endif
