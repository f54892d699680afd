/* Weights alone: what a file lists, and the VGG network that this is, if it can be no other. */
#ifndef MODEL_KERAS_VGG_H
#define MODEL_KERAS_VGG_H

#include "filteratlas/model/model_file.h"
#include "keras_weights.h"

enum { VGG_ITEM_NAME_SIZE = 64, VGG_MAX_ITEMS = 2048 };

enum vgg_item_kind {
    VGG_CONVOLUTION,
    VGG_POOLING,
    VGG_PADDING,
    VGG_NORMALISATION,
    VGG_STRANGE, /* may compute anything */
    VGG_END      /* a dense layer, a flattened map, the end of a nested model: what follows is a top */
};

struct vgg_item {
    enum vgg_item_kind kind;
    char name[VGG_ITEM_NAME_SIZE]; /* "block3_conv2", also if the file calls it "conv3_2"; else as the file calls it */
    int block, number;             /* in such a name; else 0 */
    char kernel[KERAS_PATH_SIZE], bias[KERAS_PATH_SIZE];
    struct hdf5_array kernel_array, bias_array; /* bias: of rank 0 if there is none */
};

/* What a file lists. */
struct vgg_list {
    const struct hdf5_file *file;
    const char *layout;
    struct vgg_item *item; /* [count], owned */
    int count;
    bool sorted;   /* the order of the list is the network's */
    bool poolings; /* all poolings are listed ... */
    bool placed;   /* ... where they stand */
};

/* Lists the layers of a file; the caller ends with vgg_list_free. */
int vgg_list_read(const struct hdf5_file *file, const struct keras_layout *layout, struct vgg_list *list,
                  struct error *error);
void vgg_list_free(struct vgg_list *list);

/* Fills result's graph and layout with the VGG network whose weights a file holds. STATUS_USAGE if it holds another's,
 * or if that can't be told. */
int keras_vgg_read(const struct hdf5_file *file, const struct keras_layout *layout, const char *backend,
                   struct model_file *result, struct error *error);

#endif
