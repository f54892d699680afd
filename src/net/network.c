#include "filteratlas/net/network.h"

#include "channel.h"
#include "filteratlas/base/huge_pages.h"
#include "strips.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

const struct winograd_layer *network_layer(const struct network *network, int layer, int height, int width) {
    const struct winograd_layer *precise = &network->precise[layer];
    bool small = network_is_small(height, width);
    return small && precise->table[WINOGRAD_FORWARD][WINOGRAD_F4] ? precise : &network->layer[layer];
}

/* A map with fewer tiles than this is better joined with those of the other pictures: below about 50 tiles the products
 * wait for the weights (67 MB for 512 x 512 channels). */
enum { FEW_POSITIONS = 50 * 36 };

int network_first_joint(const struct vgg *net, int layer, int height, int width) {
    int joint = 1;
    while (joint < layer && vgg_extent(net, joint, height) * vgg_extent(net, joint, width) >= FEW_POSITIONS)
        joint++;
    return joint;
}

/* Tiles of the last layer that are enough for fast products. More pictures than make so many need not go through the
 * joint layers together: at 343 pixels and 8 filters of block5, two groups of 4 take 110 MB less memory. */
enum { ENOUGH_TILES = 100 };

static int most_together(const struct network *network, int layer, int height, int width) {
    int h = vgg_extent(&network->net, layer, height), w = vgg_extent(&network->net, layer, width);
    int tiles = ((h + 3) / 4) * ((w + 3) / 4);
    return (ENOUGH_TILES + tiles - 1) / tiles;
}

/* Pictures that go through the joint layers together, of `count`: groups of nearly equal size. */
static int group_size(int count, int most) {
    int groups = (count + most - 1) / most;
    return (count + groups - 1) / groups;
}

/* One call ------------------------------------------------------------------------------------------ */

/* Layers before `joint` are computed picture by picture, so that only one picture's large maps are in memory; from
 * there on all pictures go through a layer together, since a small map alone makes too few tiles for fast products. */
struct pass {
    const struct network *network;
    struct network_memory *memory;
    int layer, height, width, joint;
    const struct interrupt *interrupt;
};

static int map_height(const struct pass *pass, int layer) {
    return vgg_extent(&pass->network->net, layer, pass->height);
}
static int map_width(const struct pass *pass, int layer) { return vgg_extent(&pass->network->net, layer, pass->width); }

/* Floats from one position of a layer's input to the next. */
static int input_stride(const struct pass *pass, int layer) {
    return layer == 0 ? VGG_INPUT_CHANNELS : winograd_padded(pass->network->net.layer[layer].in_channels);
}

static struct pass pass_of(const struct network *network, struct network_memory *memory, int layer, int height,
                           int width) {
    return (struct pass){.network = network,
                         .memory = memory,
                         .layer = layer,
                         .height = height,
                         .width = width,
                         .joint = network_first_joint(&network->net, layer, height, width)};
}

static const struct winograd_layer *layer_of(const struct pass *pass, int layer) {
    return network_layer(pass->network, layer, pass->height, pass->width);
}

static size_t greater(size_t a, size_t b) { return a > b ? a : b; }

static size_t round_up(size_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Elements of the output of a layer, of its gradient and of its gates. */
static size_t output_floats(const struct pass *pass, int layer) {
    const struct vgg_layer *shape = &pass->network->net.layer[layer];
    int shrink = shape->pooled ? 2 : 1;
    return (size_t)(map_height(pass, layer) / shrink) * (map_width(pass, layer) / shrink) *
           winograd_padded(shape->out_channels);
}

/* Whether all layers are computed picture by picture. */
static bool is_single(const struct pass *pass) { return pass->joint == pass->layer; }

/* Whether the output of a layer stands in memory for all pictures at once. */
static bool is_joint_output(const struct pass *pass, int layer) { return !is_single(pass) && layer >= pass->joint - 1; }

/* The output of a layer for a picture, or its gradient. */
static float *output_of(const struct pass *pass, int layer, int picture) {
    float *base = pass->memory->activations[layer % 2];
    return is_joint_output(pass, layer)
               ? base + pass->memory->single[layer % 2] + (size_t)picture * output_floats(pass, layer)
               : base;
}

static uint8_t *gates_of(const struct pass *pass, int layer, int picture) {
    return pass->memory->gate[layer] + (is_single(pass) ? 0 : (size_t)picture * output_floats(pass, layer));
}

/* Whether the first two layers go in strips: the map between them then never stands in memory. */
static bool has_strips(const struct pass *pass) {
    return pass->joint > 1 && pass->layer > 1 && !pass->network->net.layer[0].pooled;
}

/* Memory -------------------------------------------------------------------------------------------------------- */

struct demand {
    size_t single[2], joint[2]; /* floats of activations */
    size_t gates[VGG_MAX_LAYERS];
    size_t z, scratch; /* floats, bytes */
};

static void demand_pass(const struct pass *pass, int pictures, struct demand *demand) {
    const struct network *network = pass->network;
    demand->z = greater(demand->z, (size_t)pass->height * pass->width);
    demand->scratch = greater(demand->scratch, first_layer_scratch(&network->first, pass->width) * sizeof(float));
    for (int l = 0; l <= pass->layer; l++)
        demand->scratch =
            greater(demand->scratch,
                    channel_scratch(input_stride(pass, l), map_height(pass, l), map_width(pass, l)) * sizeof(float));
    if (has_strips(pass))
        demand->scratch =
            greater(demand->scratch, strips_scratch(&network->first, layer_of(pass, 1), pass->height, pass->width));
    for (int l = 0; l < pass->layer; l++) {
        size_t floats = output_floats(pass, l);
        size_t *part = is_joint_output(pass, l) ? &demand->joint[l % 2] : &demand->single[l % 2];
        if (l > 0 || !has_strips(pass))
            *part = greater(*part, is_joint_output(pass, l) ? pictures * floats : floats);
        demand->gates[l] = greater(demand->gates[l], is_single(pass) ? floats : pictures * floats);
        if (l > 0)
            demand->scratch =
                greater(demand->scratch, winograd_scratch_bytes(layer_of(pass, l), l < pass->joint ? 1 : pictures,
                                                                map_height(pass, l), map_width(pass, l)));
    }
}

static size_t total_bytes(const struct demand *demand) {
    enum { PARTS = 4 }; /* beside the gates, each rounded up */
    size_t floats = demand->single[0] + demand->joint[0] + demand->single[1] + demand->joint[1] + demand->z;
    size_t bytes = floats * sizeof(float) + demand->scratch + PARTS * ALIGNMENT;
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        bytes += round_up(demand->gates[l]);
    return round_up(bytes);
}

static void *take(char **free_space, size_t bytes) {
    void *taken = *free_space;
    *free_space += round_up(bytes);
    return taken;
}

static void divide_arena(const struct demand *demand, struct network_memory *memory) {
    char *space = (char *)memory->arena;
    for (int parity = 0; parity < 2; parity++) {
        memory->single[parity] = demand->single[parity];
        memory->activations[parity] = take(&space, (demand->single[parity] + demand->joint[parity]) * sizeof(float));
    }
    memory->z = take(&space, demand->z * sizeof(float));
    memory->scratch = take(&space, demand->scratch);
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        memory->gate[l] = take(&space, demand->gates[l]);
}

int network_memory_make(const struct network *network, const struct octaves *octaves, int deepest, int pictures,
                        struct network_memory *memory, struct error *error) {
    struct demand demand = {0};
    *memory = (struct network_memory){0};
    for (int octave = 0; octave < octaves->steps; octave++)
        for (int layer = 0; layer <= deepest; layer++) {
            int height = octaves->height[octave], width = octaves->width[octave];
            struct pass pass = pass_of(network, memory, layer, height, width);
            int most = most_together(network, layer, height, width);
            demand_pass(&pass, pictures < most ? pictures : most, &demand);
        }
    memory->bytes = total_bytes(&demand);
    memory->arena = huge_pages_allocate(memory->bytes);
    if (!memory->arena)
        return error_memory(error, (double)memory->bytes, "activations");
    divide_arena(&demand, memory);
    return STATUS_OK;
}

void network_memory_free(struct network_memory *memory) { free(memory->arena); }

/* The passes ---------------------------------------------------------------------------------------------------- */

/* Layers [from, to) of `count` pictures that stand together, from picture number `first` on. False if interrupted. */
static bool forward(const struct pass *pass, int from, int to, const float *x, int first, int count) {
    const struct network *network = pass->network;
    for (int l = from; l < to; l++) {
        float *out = output_of(pass, l, first);
        uint8_t *gates = gates_of(pass, l, first);
        if (!interrupt_goes_on(pass->interrupt))
            return false;
        if (l == 0 && has_strips(pass)) {
            l = 1;
            if (!strips_forward(&network->first, layer_of(pass, 1), x, pass->height, pass->width, gates,
                                output_of(pass, 1, first), gates_of(pass, 1, first), pass->memory->scratch,
                                pass->interrupt))
                return false;
        } else if (l == 0)
            first_layer_forward(&network->first, x, map_height(pass, l), map_width(pass, l), out, gates,
                                pass->memory->scratch);
        else
            winograd_forward(layer_of(pass, l), output_of(pass, l - 1, first), count, map_height(pass, l),
                             map_width(pass, l), out, gates, pass->memory->scratch);
    }
    return true;
}

static bool backward(const struct pass *pass, int from, int to, float *x_gradient, int first, int count) {
    const struct network *network = pass->network;
    for (int l = to - 1; l >= from; l--) {
        const float *out_gradient = output_of(pass, l, first);
        const uint8_t *gates = gates_of(pass, l, first);
        if (!interrupt_goes_on(pass->interrupt))
            return false;
        if (l == 1 && has_strips(pass)) {
            l = 0;
            if (!strips_backward(&network->first, layer_of(pass, 1), out_gradient, gates, gates_of(pass, 0, first),
                                 pass->height, pass->width, x_gradient, pass->memory->scratch, pass->interrupt))
                return false;
        } else if (l == 0)
            first_layer_backward(&network->first, out_gradient, gates, map_height(pass, l), map_width(pass, l),
                                 x_gradient, pass->memory->scratch);
        else
            winograd_backward(layer_of(pass, l), out_gradient, gates, count, map_height(pass, l), map_width(pass, l),
                              output_of(pass, l - 1, first), pass->memory->scratch);
    }
    return true;
}

/* The wanted channel alone, both ways: the output of the layer before becomes its gradient. */
static void turn_around(const struct pass *pass, const struct objective *objective, int number,
                        struct network_picture *picture) {
    const struct network *network = pass->network;
    int h = map_height(pass, pass->layer), w = map_width(pass, pass->layer);
    const struct channel channel = {.kernel = weights_kernel(network->weights, pass->layer),
                                    .bias = weights_bias(network->weights, pass->layer),
                                    .in_channels = network->net.layer[pass->layer].in_channels,
                                    .out_channels = network->net.layer[pass->layer].out_channels,
                                    .in_stride = input_stride(pass, pass->layer),
                                    .channel = picture->filter};
    float *z = pass->memory->z;
    const float *in = pass->layer ? output_of(pass, pass->layer - 1, number) : picture->x;
    float *in_gradient = pass->layer ? output_of(pass, pass->layer - 1, number) : picture->gradient;
    channel_forward(&channel, in, h, w, z, pass->memory->scratch);
    picture->loss = objective_turn(objective, z, h, w);
    if (picture->gradient)
        channel_backward(&channel, z, h, w, in_gradient, pass->memory->scratch);
}

/* All layers picture by picture. */
static bool run_singly(const struct pass *pass, const struct objective *objective, struct network_picture *pictures,
                       int count) {
    for (int i = 0; i < count; i++) {
        if (!forward(pass, 0, pass->layer, pictures[i].x, 0, 1))
            return false;
        turn_around(pass, objective, 0, &pictures[i]);
        if (pictures[i].gradient && !backward(pass, 0, pass->layer, pictures[i].gradient, 0, 1))
            return false;
    }
    return true;
}

/* The first layers picture by picture, the joint ones together. */
static bool run_group(const struct pass *pass, const struct objective *objective, struct network_picture *pictures,
                      int count) {
    bool goes_on = true;
    for (int i = 0; i < count && goes_on; i++)
        goes_on = forward(pass, 0, pass->joint, pictures[i].x, i, 1);
    goes_on = goes_on && forward(pass, pass->joint, pass->layer, NULL, 0, count);
    for (int i = 0; i < count && goes_on; i++)
        turn_around(pass, objective, i, &pictures[i]);
    if (!pictures->gradient)
        return goes_on;
    goes_on = goes_on && backward(pass, pass->joint, pass->layer, NULL, 0, count);
    for (int i = 0; i < count && goes_on; i++)
        goes_on = backward(pass, 0, pass->joint, pictures[i].gradient, i, 1);
    return goes_on;
}

bool network_gradients(const struct network *network, struct network_memory *memory, const struct objective *objective,
                       int layer, int height, int width, struct network_picture *pictures, int count,
                       const struct interrupt *interrupt) {
    struct pass pass = pass_of(network, memory, layer, height, width);
    pass.interrupt = interrupt;
    if (is_single(&pass) || layer == 0)
        return run_singly(&pass, objective, pictures, count);
    int size = group_size(count, most_together(network, layer, height, width));
    for (int first = 0; first < count; first += size)
        if (!run_group(&pass, objective, pictures + first, count - first < size ? count - first : size))
            return false;
    return true;
}

/* Traffic ------------------------------------------------------------------------------------------------------- */

/* The first layer, of one picture; where it goes in strips, its outputs don't travel. */
static double first_layer_bytes(const struct pass *pass) {
    double positions = (double)map_height(pass, 0) * map_width(pass, 0);
    double outputs = (double)output_floats(pass, 0), written = has_strips(pass) ? 0 : sizeof(float);
    return 2 * (positions * VGG_INPUT_CHANNELS * sizeof(float) + outputs * (written + sizeof(uint8_t)));
}

/* Layer l > 0, both ways, for so many pictures at once. */
static void add_traffic(const struct pass *pass, int l, int pictures, struct network_traffic *sum) {
    bool strips = l == 1 && has_strips(pass);
    int height = map_height(pass, l), width = map_width(pass, l);
    for (enum winograd_direction d = WINOGRAD_FORWARD; d <= WINOGRAD_BACKWARD; d++) {
        struct winograd_traffic moved = strips ? winograd_strip_traffic(layer_of(pass, l), d, height, width)
                                               : winograd_traffic(layer_of(pass, l), d, pictures, height, width);
        double between = d == WINOGRAD_FORWARD ? moved.in : moved.out;
        sum->tables += moved.table;
        sum->maps += moved.in + moved.out - (strips ? between : 0);
    }
}

struct network_traffic network_traffic(const struct network *network, int layer, int height, int width, int count) {
    struct pass pass = pass_of(network, NULL, layer, height, width);
    int size = group_size(count, most_together(network, layer, height, width));
    double inputs = (double)map_height(&pass, layer) * map_width(&pass, layer) * input_stride(&pass, layer);
    struct network_traffic sum = {.maps = count * 2 * inputs * sizeof(float)}; /* of the wanted channel */
    if (layer > 0)
        sum.maps += count * first_layer_bytes(&pass);
    for (int l = 1; l < layer; l++) {
        int together = l < pass.joint ? 1 : size;
        for (int first = 0; first < count; first += together)
            add_traffic(&pass, l, count - first < together ? count - first : together, &sum);
    }
    return sum;
}
