/* Which dataset of a file is which weight of a model: the layouts in which Keras has saved weights, read with the
 * model's description at hand.
 *
 * - Keras 1 and 2, and Keras 3's .h5: a group per layer, in it the attribute `weight_names`, trainable weights first;
 * in a model that is a layer that runs across its layers, so that frozen ones come last (keras/engine/saving.py);
 * - the same of Keras before 1.0: attribute `nb_layers`, groups layer_0/param_0 ...;
 * - Keras 3's .keras and .weights.h5, and tf.keras from 2.12: a group per layer, named by its class and counted,
 * weights vars/0, 1 ... (keras/src/saving/saving_lib.py); Windows wrote backslashes into the names. */
#ifndef MODEL_KERAS_WEIGHTS_H
#define MODEL_KERAS_WEIGHTS_H

#include "keras_model.h"

/* What the layout of a file is called, and where in it the layers are. */
struct keras_layout {
    const char *description; /* "Keras weights (layer_names)" */
    const char *root;        /* group that holds the layers */
    enum { KERAS_LISTED, KERAS_COUNTED, KERAS_NUMBERED } kind;
};

/* NULL if the file holds no Keras weights. */
const struct keras_layout *keras_layout_find(const struct hdf5_file *file);

/* Finds a dataset for every weight that the layers known here have by their classes. STATUS_USAGE names what is missing
 * or can't be told. */
int keras_weights_find(const struct hdf5_file *file, const struct keras_layout *layout, struct keras_model *model,
                       struct error *error);

/* --- Of keras_lists.c */

/* Of an attribute that is a list of names, or one that Keras split into NAME0, NAME1 ... because it was too long. */
bool keras_has_list(const struct hdf5_file *file, const char *group, const char *attribute);
int keras_read_list(const struct hdf5_file *file, const char *group, const char *attribute, struct hdf5_names *names,
                    struct error *error);

/* Joins a group and a name; false if the path would be too long for any network. */
bool keras_join(char path[KERAS_PATH_SIZE], const char *group, const char *name);

/* "Conv2D" -> "conv2d", "LeakyReLU" -> "leaky_re_lu". */
void keras_snake_case(const char *class_name, char *name, size_t size);

/* Says of a dataset that it can't be used, if so: no numbers, never written, filtered by what this HDF5 lacks. `layer`
 * is whose it is. */
int keras_check_array(const struct hdf5_file *file, const char *layer, const char *path, const struct hdf5_array *array,
                      struct error *error);

/* Says that a group or dataset that `lister` names isn't there, and why if that can be told. */
int keras_refuse_missing(const struct hdf5_file *file, const char *path, const char *name, const char *lister,
                         struct error *error);

/* --- Of keras_counted.c */

/* Of the counted layout; called by keras_weights_find. */
int keras_counted_find(const struct hdf5_file *file, const char *root, struct keras_model *model, struct error *error);

/* One layer's group in the counted layout. */
struct keras_counted {
    char container[KERAS_PATH_SIZE]; /* "layers/functional/layers" */
    char group[KERAS_PATH_SIZE];     /* "conv2d_3" */
    char path[KERAS_PATH_SIZE];      /* of its group `vars`, as HDF5 has it */
    char *name;                      /* the layer's own, since Keras 3.6; NULL if it isn't there */
    int weights;
};

/* All of them below a root, by container and then by number. The caller ends with keras_counted_free. */
int keras_counted_list(const struct hdf5_file *file, const char *root, struct keras_counted **layers, size_t *count,
                       struct error *error);
void keras_counted_free(struct keras_counted *layers, size_t count);

#endif
