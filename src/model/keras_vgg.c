#include "keras_vgg.h"

#include "filteratlas/model/vgg.h"
#include "keras_operations.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIVE_MODEL "give the whole model, as model.save writes it, or its description with --config"

enum { MAX_NUMBER = 9, BLOCKS = 5 }; /* a block's number, or a convolution's in it, in a name */

/* The convolutions of a list that may be a VGG's, in the network's order. */
struct chain {
    const struct vgg_list *list;
    const char *path;
    int at[VGG_MAX_ITEMS]; /* [count] places in the list */
    int count;
    bool named; /* by block and number */
};

static const struct vgg_item *item_of(const struct chain *chain, int l) { return &chain->list->item[chain->at[l]]; }

/* --- Which they are ---------------------------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b, void *context) {
    const struct vgg_list *list = context;
    const struct vgg_item *one = &list->item[*(const int *)a], *other = &list->item[*(const int *)b];
    return one->block != other->block ? one->block - other->block : one->number - other->number;
}

/* Where names tell blocks: these, and what follows them is a top, a decoder, a head. */
static int keep_named(struct chain *chain, struct error *error) {
    int kept = 0, last = -1;
    for (int l = 0; l < chain->count; l++)
        last = item_of(chain, l)->block ? l : last;
    for (int l = 0; l <= last; l++) {
        if (!item_of(chain, l)->block && chain->list->sorted)
            return error_set(
                error, STATUS_USAGE,
                "%s: %s stands before other convolutions of the network and belongs to no VGG; " GIVE_MODEL,
                chain->path, item_of(chain, l)->name);
        if (item_of(chain, l)->block)
            chain->at[kept++] = chain->at[l];
    }
    chain->count = kept;
    chain->named = true;
    if (!chain->list->sorted)
        qsort_r(chain->at, chain->count, sizeof *chain->at, compare_items, (void *)chain->list);
    return STATUS_OK;
}

/* The N of "conv2d_N", 0 of "conv2d"; `base` is what is before it. */
static int find_number(const char *name, char base[VGG_ITEM_NAME_SIZE]) {
    const char *end = strrchr(name, '_');
    bool numbered = end && isdigit((unsigned char)end[1]) && strspn(end + 1, "0123456789") == strlen(end + 1) &&
                    strlen(end + 1) < 6;
    snprintf(base, VGG_ITEM_NAME_SIZE, "%.*s", numbered ? (int)(end - name) : (int)strlen(name), name);
    return numbered ? atoi(end + 1) : 0;
}

/* In a nested model's list the trainable layers come first, and Keras 3's groups have no order but their numbers. */
static int sort_numbered(struct chain *chain, struct error *error) {
    char first[VGG_ITEM_NAME_SIZE], base[VGG_ITEM_NAME_SIZE];
    find_number(item_of(chain, 0)->name, first);
    for (int l = 0; l < chain->count; l++) {
        struct vgg_item *item = &chain->list->item[chain->at[l]];
        item->number = find_number(item->name, base);
        if (strcmp(first, base))
            return error_set(error, STATUS_USAGE,
                             "%s: doesn't tell the order of its convolutions %s and %s (looked for are names such as "
                             "block1_conv1, conv1_1 or conv2d, conv2d_1 ...); " GIVE_MODEL,
                             chain->path, item_of(chain, 0)->name, item->name);
    }
    qsort_r(chain->at, chain->count, sizeof *chain->at, compare_items, (void *)chain->list);
    for (int l = 1; l < chain->count; l++)
        if (item_of(chain, l)->number == item_of(chain, l - 1)->number)
            return error_set(error, STATUS_USAGE, "%s: lists two convolutions of the name %s; " GIVE_MODEL, chain->path,
                             item_of(chain, l)->name);
    return STATUS_OK;
}

static int find_chain(struct chain *chain, struct error *error) {
    bool named = false;
    for (int i = 0; i < chain->list->count; i++)
        if (chain->list->item[i].kind == VGG_CONVOLUTION) {
            chain->at[chain->count++] = i;
            named |= chain->list->item[i].block > 0;
        }
    if (chain->count == 0)
        return error_set(error, STATUS_USAGE, "%s: holds no convolution's kernel; " GIVE_MODEL, chain->path);
    if (named)
        return keep_named(chain, error);
    return chain->list->sorted ? STATUS_OK : sort_numbered(chain, error);
}

/* --- Blocks ------------------------------------------------------------------------------------------------------ */

/* Marks the blocks and numbers that the layers' names give. */
static void mark_names(const struct chain *chain, bool found[MAX_NUMBER + 1][MAX_NUMBER + 1]) {
    for (int l = 0; l < chain->count; l++)
        found[item_of(chain, l)->block][item_of(chain, l)->number] = true;
}

/* Of a variant's layers, how many the file has, and the first that it lacks ("" if none). */
static int compare_names(const struct vgg *net, bool found[MAX_NUMBER + 1][MAX_NUMBER + 1],
                         char lacking[VGG_NAME_SIZE]) {
    int present = 0;
    lacking[0] = '\0';
    for (int l = 0; l < net->layers; l++) {
        int block, number;
        sscanf(net->layer[l].name, "block%d_conv%d", &block, &number);
        present += found[block][number];
        if (!found[block][number] && !lacking[0])
            snprintf(lacking, VGG_NAME_SIZE, "%s", net->layer[l].name);
    }
    return present;
}

/* The smallest variant that has all the names must be there whole. Names beyond all variants are left to the check of
 * number. */
static int check_names(const struct chain *chain, struct error *error) {
    static const int variants[] = {8, 10, 13, 16};
    static const int widths[VGG_MAX_LAYERS];
    bool found[MAX_NUMBER + 1][MAX_NUMBER + 1] = {{false}};
    mark_names(chain, found);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        struct vgg net;
        char lacking[VGG_NAME_SIZE];
        if (vgg_make(variants[v], widths, &net, error))
            return error->status;
        if (compare_names(&net, found, lacking) < chain->count)
            continue;
        if (lacking[0])
            return error_set(error, STATUS_USAGE, "%s: %s is missing; save all of %s's convolutions", chain->path,
                             lacking, net.variant);
        return STATUS_OK;
    }
    return STATUS_OK;
}

/* Names stand for positions: a file that lists block5_conv2 before block5_conv1 would be drawn under wrong names. */
static int check_positions(const struct chain *chain, const struct vgg *net, struct error *error) {
    for (int l = 0; l < net->layers; l++)
        if (strcmp(item_of(chain, l)->name, net->layer[l].name))
            return error_set(error, STATUS_USAGE, "%s: lists %s where %s belongs; save the layers in order",
                             chain->path, item_of(chain, l)->name, net->layer[l].name);
    return STATUS_OK;
}

/* Whether a pooling stands behind convolution l of a list in order. */
static bool is_pooled(const struct chain *chain, int l) {
    int end = l + 1 < chain->count ? chain->at[l + 1] : chain->list->count;
    for (int i = chain->at[l] + 1; i < end; i++)
        if (chain->list->item[i].kind == VGG_POOLING || chain->list->item[i].kind == VGG_END)
            return chain->list->item[i].kind == VGG_POOLING;
        else if (chain->list->item[i].kind == VGG_CONVOLUTION)
            return false;
    return false;
}

/* Without names, what stands behind the fifth pooling is a top. */
static void cut_top(struct chain *chain) {
    int poolings = 0;
    for (int l = 0; l < chain->count; l++) {
        poolings += is_pooled(chain, l);
        if (poolings == BLOCKS)
            chain->count = l + 1;
    }
}

static int check_poolings(const struct chain *chain, const struct vgg *net, struct error *error) {
    for (int l = 0; l + 1 < net->layers; l++)
        if (is_pooled(chain, l) != net->layer[l].pooled)
            return error_set(error, STATUS_USAGE,
                             "%s: %s pooling stands behind %s, which makes another network than %s; " GIVE_MODEL,
                             chain->path, is_pooled(chain, l) ? "a" : "no", item_of(chain, l)->name, net->variant);
    return STATUS_OK;
}

static int width_of(const struct chain *chain, int l) {
    const struct hdf5_array *array = &item_of(chain, l)->kernel_array;
    bool straight = array->extent[0] == 3 && array->extent[1] == 3;
    return (int)(straight ? array->extent[3] : array->extent[0]);
}

/* Where neither names nor poolings tell the blocks, the widths may: alike in a block, others in the next, but for the
 * last two. */
static bool tell_widths(const struct chain *chain, const struct vgg *net) {
    for (int l = 0, block = 0; l + 1 < net->layers; block += net->layer[l++].pooled) {
        bool alike = width_of(chain, l) == width_of(chain, l + 1);
        if (net->layer[l].pooled ? alike && block < BLOCKS - 2 : !alike)
            return false;
    }
    return true;
}

static int count_poolings(const struct vgg_list *list) {
    int count = 0;
    for (int i = 0; i < list->count; i++)
        count += list->item[i].kind == VGG_POOLING;
    return count;
}

/* Whether the blocks are a VGG's. */
static int check_blocks(const struct chain *chain, const struct vgg *net, struct error *error) {
    const struct vgg_list *list = chain->list;
    int poolings = count_poolings(list);
    if (list->placed && list->sorted)
        return check_poolings(chain, net, error);
    if (list->poolings && !list->placed && poolings != BLOCKS && poolings != BLOCKS - 1)
        return error_set(error, STATUS_USAGE, "%s: has %d poolings, and %s has %d; " GIVE_MODEL, chain->path, poolings,
                         net->variant, BLOCKS);
    if (chain->named || (list->poolings && poolings == BLOCKS) || tell_widths(chain, net))
        return STATUS_OK;
    return error_set(error, STATUS_USAGE,
                     "%s: doesn't tell where its poolings are, neither by names (block1_conv1, conv1_1) nor by listing "
                     "them; " GIVE_MODEL,
                     chain->path);
}

/* --- What else stands there -------------------------------------------------------------------------------------- */

static int refuse_item(const struct chain *chain, int i, bool before, struct error *error) {
    const struct vgg_item *item = &chain->list->item[i];
    if (item->kind == VGG_NORMALISATION && before)
        return error_set(error, STATUS_USAGE,
                         "%s: %s normalises the network's input, which weights alone don't tell how; " GIVE_MODEL,
                         chain->path, item->name);
    if (item->kind == VGG_NORMALISATION)
        return error_set(error, STATUS_USAGE,
                         "%s: %s normalises between the convolutions, which weights alone don't tell how; " GIVE_MODEL
                         " or, if it belongs to the top, save the weights without the top",
                         chain->path, item->name);
    return error_set(error, STATUS_USAGE,
                     "%s: %s stands %s the convolutions, and weights alone don't tell what it does; " GIVE_MODEL,
                     chain->path, item->name, before ? "before" : "between");
}

/* Zeros around each map make "valid" convolutions "same": so there is one such layer before each convolution, or none.
 */
static int check_paddings(const struct chain *chain, struct error *error) {
    int paddings = 0;
    for (int i = 0; i < chain->at[chain->count - 1]; i++)
        paddings += chain->list->item[i].kind == VGG_PADDING;
    if (paddings == 0)
        return STATUS_OK;
    for (int l = 0; l < chain->count; l++)
        if (chain->at[l] == 0 || chain->list->item[chain->at[l] - 1].kind != VGG_PADDING || paddings != chain->count)
            return error_set(error, STATUS_USAGE,
                             "%s: zeros are put around some maps, but not just before %s; " GIVE_MODEL, chain->path,
                             item_of(chain, l)->name);
    return STATUS_OK;
}

/* Up to what ends the convolutions nothing else may stand. */
static int check_others(const struct chain *chain, struct error *error) {
    const struct vgg_list *list = chain->list;
    int first = list->count, last = -1;
    for (int l = 0; l < chain->count; l++) {
        first = chain->at[l] < first ? chain->at[l] : first;
        last = chain->at[l] > last ? chain->at[l] : last;
    }
    bool counted = !list->sorted && !list->placed && list->layout[6] == '3'; /* no places at all */
    for (int i = 0; i < list->count; i++) {
        enum vgg_item_kind kind = list->item[i].kind;
        if (i > last && !counted && (kind == VGG_POOLING || kind == VGG_END))
            break;
        if (kind == VGG_NORMALISATION || kind == VGG_STRANGE)
            return refuse_item(chain, i, i < first && !counted, error);
    }
    return list->sorted ? check_paddings(chain, error) : STATUS_OK;
}

/* --- Shapes ------------------------------------------------------------------------------------------------------ */

/* Where the four extents of a kernel stand in its shape. */
struct axes {
    int rows, columns, in, out;
};
static const struct axes tensorflow = {0, 1, 2, 3}, theano = {2, 3, 1, 0};

/* How many of the first layers have 3x3 kernels that chain from 3 channels, if stored so. */
static int count_fitting(const struct chain *chain, const struct axes *axes) {
    size_t channels = VGG_INPUT_CHANNELS;
    for (int l = 0; l < chain->count; l++) {
        const size_t *shape = item_of(chain, l)->kernel_array.extent;
        if (shape[axes->rows] != 3 || shape[axes->columns] != 3 || shape[axes->in] != channels)
            return l;
        channels = shape[axes->out];
    }
    return chain->count;
}

static int check_layer(const char *path, const struct vgg_item *item, const struct axes *axes, size_t channels,
                       struct error *error) {
    const size_t *s = item->kernel_array.extent, out = s[axes->out];
    if (s[axes->rows] != 3 || s[axes->columns] != 3)
        return error_set(
            error, STATUS_USAGE,
            "%s: %s's kernel is of shape %zux%zux%zux%zu, not 3x3; give the weights of a VGG network, or of "
            "another with its description (model.save, --config)",
            path, item->name, s[0], s[1], s[2], s[3]);
    if (s[axes->in] != channels)
        return error_set(error, STATUS_USAGE,
                         "%s: %s takes %zu channels but gets %zu, as a VGG network on RGB input has them; " GIVE_MODEL,
                         path, item->name, s[axes->in], channels);
    if (out < 1 || out > VGG_MAX_CHANNELS)
        return error_set(error, STATUS_USAGE, "%s: %s has %zu output channels; 1 to %d can be used", path, item->name,
                         out, VGG_MAX_CHANNELS);
    if (!item->bias[0])
        return error_set(error, STATUS_USAGE, "%s: %s has no bias; train and save it with use_bias=True", path,
                         item->name);
    if (item->bias_array.extent[0] != out)
        return error_set(error, STATUS_USAGE, "%s: %s has %zu biases for %zu output channels; save the weights again",
                         path, item->name, item->bias_array.extent[0], out);
    return STATUS_OK;
}

static int check_layers(const struct chain *chain, const struct axes *axes, struct error *error) {
    size_t channels = VGG_INPUT_CHANNELS;
    for (int l = 0; l < chain->count; l++) {
        if (check_layer(chain->path, item_of(chain, l), axes, channels, error))
            return error->status;
        channels = item_of(chain, l)->kernel_array.extent[axes->out];
    }
    return STATUS_OK;
}

/* --- The network ------------------------------------------------------------------------------------------------- */

/* Makes the network that the list describes, or says what is wrong with it. */
static int make_network(struct chain *chain, const struct axes **axes, struct vgg *net, struct error *error) {
    int widths[VGG_MAX_LAYERS] = {0};
    struct error why;
    if (chain->named && check_names(chain, error))
        return error->status;
    if (!chain->named && chain->list->placed && chain->list->sorted)
        cut_top(chain);
    if (vgg_make(chain->count, widths, net, &why))
        return error_set(error, why.status, "%s: %s, and weights alone say no more of a network; " GIVE_MODEL,
                         chain->path, why.message);
    *axes = count_fitting(chain, &theano) > count_fitting(chain, &tensorflow) ? &theano : &tensorflow;
    if ((chain->named && check_positions(chain, net, error)) || check_others(chain, error) ||
        check_layers(chain, *axes, error) || check_blocks(chain, net, error))
        return error->status;
    for (int l = 0; l < chain->count; l++)
        widths[l] = (int)item_of(chain, l)->kernel_array.extent[(*axes)->out];
    return vgg_make(chain->count, widths, net, error);
}

static int append_activation(struct keras_context *context, const struct keras_use *use, int input,
                             struct error *error) {
    struct keras_layer relu = {.name = use->name, .class_name = "ReLU"};
    struct keras_use own = {.layer = &relu, .name = use->name, .input = &input, .inputs = 1};
    return keras_operation_append(context, &own, error);
}

static int append_layer(struct keras_context *context, const struct vgg_layer *layer, const struct vgg_item *item,
                        int input, struct error *error) {
    struct keras_layer conv = {.name = layer->name, .class_name = "Conv2D", .weights = 2};
    struct keras_use use = {.layer = &conv, .name = layer->name, .input = &input, .inputs = 1};
    struct graph_node node = {.operation = GRAPH_CONVOLUTION,
                              .in_channels = layer->in_channels,
                              .channels = layer->out_channels,
                              .kernel = {3, 3},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .groups = 1,
                              .same = true};
    struct keras_kernel kernel = {"kernel", 4, {3, 3, layer->in_channels, layer->out_channels}, layer->out_channels};
    conv.weight[0] = (struct keras_weight){.label = "kernel", .array = item->kernel_array};
    conv.weight[1] = (struct keras_weight){.label = "bias", .array = item->bias_array};
    memcpy(conv.weight[0].path, item->kernel, sizeof item->kernel);
    memcpy(conv.weight[1].path, item->bias, sizeof item->bias);
    if (keras_kernel_read(context, &conv, &kernel, &node, error))
        return KERAS_FAILED;
    int n = keras_node_append(context, &use, &node, &input, 1, error);
    return n < 0 ? n : append_activation(context, &use, n, error);
}

static int append_pooling(struct keras_context *context, int block, int input, struct error *error) {
    char name[VGG_NAME_SIZE];
    struct keras_layer pool = {.class_name = "MaxPooling2D"};
    struct keras_use use = {.layer = &pool, .name = name, .input = &input, .inputs = 1};
    snprintf(name, sizeof name, "block%d_pool", block);
    return keras_operation_append(context, &use, error);
}

static int fill_graph(struct keras_context *context, const struct chain *chain, const struct vgg *net,
                      struct error *error) {
    struct graph_node input = {.name = "input",
                               .class_name = "InputLayer",
                               .channels = VGG_INPUT_CHANNELS,
                               .weights = GRAPH_NOTHING,
                               .bias = GRAPH_NOTHING};
    int n = graph_append(context->graph, &input, NULL, 0, error);
    for (int l = 0, block = 1; l < net->layers && n >= 0; block += net->layer[l++].pooled) {
        n = append_layer(context, &net->layer[l], item_of(chain, l), n, error);
        if (n >= 0 && net->layer[l].pooled)
            n = append_pooling(context, block, n, error);
    }
    snprintf(context->graph->name, sizeof context->graph->name, "%s", net->variant);
    return n < 0 ? error->status : graph_mark_stages(context->graph, error);
}

static int read_chain(struct chain *chain, const char *backend, struct model_file *result, struct error *error) {
    struct vgg net;
    const struct axes *axes = &tensorflow;
    if (find_chain(chain, error) || make_network(chain, &axes, &net, error))
        return error->status;
    struct keras_context context = {.file = chain->list->file,
                                    .graph = &result->graph,
                                    .theano = !strcmp(backend, "theano"),
                                    .tensorflow = !strcmp(backend, "tensorflow"),
                                    .prefers_turned = axes == &theano};
    if (fill_graph(&context, chain, &net, error))
        return error->status;
    keras_describe_layout(&context, chain->list->layout, result->layout, sizeof result->layout);
    return STATUS_OK;
}

int keras_vgg_read(const struct hdf5_file *file, const struct keras_layout *layout, const char *backend,
                   struct model_file *result, struct error *error) {
    struct vgg_list list;
    if (vgg_list_read(file, layout, &list, error))
        return error->status;
    struct chain *chain = calloc(1, sizeof *chain);
    if (!chain) {
        vgg_list_free(&list);
        return error_memory(error, sizeof *chain, "the names of layers");
    }
    chain->list = &list;
    chain->path = hdf5_file_path(file);
    int status = read_chain(chain, backend, result, error);
    free(chain);
    vgg_list_free(&list);
    return status;
}
