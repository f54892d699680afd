/* The first layer, the single channel and whole networks against plain loops in double precision; that a picture's bits
 * do not depend on its batch; and that the memory asked for is enough. */
#include "filled.h"
#include "filteratlas/net/first_layer.h"
#include "filteratlas/net/gemm.h"
#include "filteratlas/net/network.h"
#include "net/channel.h"
#include "net/strips.h"
#include "twin.h"
#include "twin_network.h"
#include "weights_writer.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char DEMO[] = "jobs/demo/demo_weights.h5";

static const char *const set_names[] = {"avx512", "avx2", "neon", "baseline", "bf16"};
enum { SETS = sizeof set_names / sizeof *set_names };

/* The kernel sets that this processor runs, fastest first, that of bfloat16 last. */
static const struct winograd_kernels *sets[SETS];
static int set_count, single_count; /* all; those of single precision */

static struct weights demo;
static const struct objective mean; /* of the whole map */

static int set_up(void **state) {
    (void)state;
    struct error error;
    gemm_use_one_thread();
    for (int i = 0; i < SETS; i++) {
        sets[set_count] = winograd_find_kernels(set_names[i]);
        if (sets[set_count])
            single_count += winograd_precision(sets[set_count++]) == WINOGRAD_SINGLE;
        else
            printf("# skip: this processor does not run the %s kernels\n", set_names[i]);
    }
    return weights_read(DEMO, NULL, &demo, &error);
}

static int tear_down(void **state) {
    (void)state;
    weights_free(&demo);
    return 0;
}

/* The first layer ------------------------------------------------------------------------------------------------- */

struct first_shape {
    int channels, height, width;
    bool pooled;
};

static const struct first_shape first_shapes[] = {
    {16, 1, 1, false},  {5, 3, 1, false}, {64, 5, 5, false}, {80, 7, 6, false}, {5, 1, 7, false},   {64, 42, 42, false},
    {80, 9, 42, false}, {16, 3, 5, true}, {80, 7, 6, true},  {5, 2, 7, true},   {64, 43, 42, true}, {64, 42, 43, true},
};
enum { FIRST_SHAPES = sizeof first_shapes / sizeof *first_shapes };

/* A first layer, its input and all that it writes. */
struct first {
    struct first_shape shape;
    struct twin_layer twin;
    struct first_layer layer;
    size_t in_floats, out_floats;
    float *kernel, *bias, *x, *grad_out, *out, *grad_in, *scratch;
    uint8_t *gate;
};

static struct first make_first(struct first_shape shape) {
    struct first f = {.shape = shape};
    int stride = winograd_padded(shape.channels);
    f.kernel = guarded_floats((size_t)27 * shape.channels);
    random_map(f.kernel, 27, shape.channels, shape.channels, 0.25F);
    f.bias = guarded_floats(stride);
    random_map(f.bias, 1, shape.channels, stride, 0.25F);
    f.twin = (struct twin_layer){3, shape.channels, 3, stride, shape.pooled, f.kernel, f.bias};
    f.in_floats = twin_in_count(&f.twin, shape.height, shape.width);
    f.out_floats = twin_out_count(&f.twin, shape.height, shape.width);
    f.x = guarded_floats(f.in_floats);
    random_map(f.x, f.in_floats, 1, 1, 1);
    f.grad_out = guarded_floats(f.out_floats);
    random_map(f.grad_out, f.out_floats / stride, shape.channels, stride, 1);
    return f;
}

static void free_first_results(struct first *f) {
    first_layer_free(&f->layer);
    guarded_free(f->out);
    guarded_free(f->gate);
    guarded_free(f->grad_in);
    guarded_free(f->scratch);
}

static void free_first(struct first *f) {
    free_first_results(f);
    guarded_free(f->kernel);
    guarded_free(f->bias);
    guarded_free(f->x);
    guarded_free(f->grad_out);
}

static void run_first(struct first *f, const struct winograd_kernels *kernels) {
    const struct first_shape *s = &f->shape;
    struct error error;
    free_first_results(f);
    assert_int_equal(first_layer_make(f->kernel, f->bias, s->channels, s->pooled, kernels, &f->layer, &error), 0);
    f->out = guarded_floats(f->out_floats);
    f->gate = guarded_allocate(f->out_floats);
    f->grad_in = guarded_floats(f->in_floats);
    f->scratch = guarded_floats(first_layer_scratch(&f->layer, s->width));
    first_layer_forward(&f->layer, f->x, s->height, s->width, f->out, f->gate, f->scratch);
    first_layer_backward(&f->layer, f->grad_out, f->gate, s->height, s->width, f->grad_in, f->scratch);
}

static const char *describe_first(const struct first *f) {
    static char text[96];
    snprintf(text, sizeof text, "first layer, %d channels, %d x %d%s, %s kernels", f->shape.channels, f->shape.height,
             f->shape.width, f->shape.pooled ? ", pooled" : "", winograd_kernels_name(f->layer.kernels));
    return text;
}

static void fail_if(bool bad, const char *subject, const char *what, double value) {
    if (bad)
        fail_msg("%s: %s (%g)", subject, what, value);
}

/* The twin's output and gates. */
static void twin_first(const struct first *f, double *out, uint8_t *gate) {
    const struct first_shape *s = &f->shape;
    double *in = twin_widen(f->x, f->in_floats), *z = twin_zeros((size_t)s->height * s->width * f->twin.out_stride);
    twin_convolve(&f->twin, in, s->height, s->width, z);
    twin_rectify(&f->twin, z, s->height, s->width, out, gate);
    free(z);
    free(in);
}

/* Gates may differ where two values are within rounding: one in a thousand is far more than random numbers give. */
static void compare_first_forward(const struct first *f) {
    double *out = twin_zeros(f->out_floats);
    uint8_t *gate = guarded_allocate(f->out_floats);
    size_t other = 0;
    twin_first(f, out, gate);
    double error = twin_error(f->out, out, f->out_floats);
    fail_if(error > 5e-7, describe_first(f), "error of the output", error);
    for (size_t i = 0; i < f->out_floats; i++) {
        bool open = f->shape.pooled ? f->gate[i] < 4 : f->gate[i];
        fail_if(open != (f->out[i] > 0), describe_first(f), "gate and output contradict each other", f->out[i]);
        fail_if(f->gate[i] != gate[i] && fabs(f->out[i] - out[i]) > 1e-5, describe_first(f), "wrong gate", f->gate[i]);
        other += f->gate[i] != gate[i];
    }
    fail_if(other > f->out_floats / 1000, describe_first(f), "wrong gates", other);
    guarded_free(gate);
    free(out);
}

static void compare_first_backward(const struct first *f) {
    double *grad_out = twin_widen(f->grad_out, f->out_floats), *grad_in = twin_zeros(f->in_floats);
    twin_backward(&f->twin, grad_out, f->gate, f->shape.height, f->shape.width, grad_in);
    double error = twin_error(f->grad_in, grad_in, f->in_floats);
    fail_if(error > 1e-6, describe_first(f), "error of the gradient", error);
    free(grad_out);
    free(grad_in);
}

static void first_layer_equals_double_precision(void **state) {
    (void)state;
    for (int i = 0; i < FIRST_SHAPES; i++) {
        struct first f = make_first(first_shapes[i]);
        for (int set = 0; set < set_count; set++) {
            run_first(&f, sets[set]);
            compare_first_forward(&f);
            compare_first_backward(&f);
        }
        free_first(&f);
    }
}

/* Small whole numbers make exact sums and many ties: output and gates are the twin's, all of them. */
static void first_of_equal_maxima_has_the_gate(void **state) {
    (void)state;
    struct first f = make_first((struct first_shape){20, 13, 10, true});
    double *out = twin_zeros(f.out_floats);
    uint8_t *gate = guarded_allocate(f.out_floats);
    for (size_t i = 0; i < f.in_floats; i++)
        f.x[i] = f.x[i] > 0;
    for (int i = 0; i < 27 * 20; i++)
        f.kernel[i] = i / 20 / 3 == 4; /* the middle of the window, all three channels */
    memset(f.bias, 0, f.twin.out_stride * sizeof(float));
    twin_first(&f, out, gate);
    for (int set = 0; set < set_count; set++) {
        run_first(&f, sets[set]);
        assert_memory_equal(f.gate, gate, f.out_floats);
        for (size_t i = 0; i < f.out_floats; i++)
            assert_true(f.out[i] == out[i]);
    }
    guarded_free(gate);
    free(out);
    free_first(&f);
}

/* One channel ----------------------------------------------------------------------------------------------------- */

struct channel_shape {
    int ins, stride, outs, channel, height, width;
};

/* A map without its padding, [positions][channels], and what must be 0 checked. */
static float *take_padding_off(const float *map, size_t positions, int channels, int stride) {
    float *dense = guarded_floats(positions * channels);
    for (size_t p = 0; p < positions; p++)
        for (int c = 0; c < stride; c++)
            if (c < channels)
                dense[p * channels + c] = map[p * stride + c];
            else
                assert_true(map[p * stride + c] == 0);
    return dense;
}

static void compare_channel_backward(const struct channel *channel, const struct twin_layer *twin,
                                     const struct channel_shape *s, float *scratch) {
    size_t positions = (size_t)s->height * s->width;
    int stride = s->stride;
    float *z_gradient = guarded_floats(positions), *in_gradient = guarded_floats(positions * stride);
    random_map(z_gradient, positions, 1, 1, 1);
    channel_backward(channel, z_gradient, s->height, s->width, in_gradient, scratch);
    float *dense = take_padding_off(in_gradient, positions, s->ins, stride);
    double *from = twin_widen(z_gradient, positions), *wanted = twin_zeros(positions * s->ins);
    twin_channel_backward(twin, s->channel, from, s->height, s->width, wanted);
    assert_true(twin_error(dense, wanted, positions * s->ins) < 5e-7);
    free(wanted);
    free(from);
    guarded_free(dense);
    guarded_free(in_gradient);
    guarded_free(z_gradient);
}

static void compare_channel_forward(const struct channel *channel, const struct twin_layer *twin,
                                    const struct channel_shape *s, float *scratch) {
    size_t positions = (size_t)s->height * s->width;
    int stride = s->stride;
    float *in = guarded_floats(positions * stride), *z = guarded_floats(positions);
    random_map(in, positions, s->ins, stride, 1);
    channel_forward(channel, in, s->height, s->width, z, scratch);
    float *dense = take_padding_off(in, positions, s->ins, stride);
    double *from = twin_widen(dense, positions * s->ins), *wanted = twin_zeros(positions);
    twin_channel_forward(twin, s->channel, from, s->height, s->width, wanted);
    assert_true(twin_error(z, wanted, positions) < 2e-6);
    free(wanted);
    free(from);
    guarded_free(dense);
    guarded_free(z);
    guarded_free(in);
}

static void a_channel_equals_double_precision(void **state) {
    (void)state;
    static const struct channel_shape shapes[] = {
        {3, 3, 5, 4, 1, 1},      {3, 3, 64, 0, 7, 1},    {3, 3, 16, 7, 13, 42},  {5, 16, 7, 6, 1, 9},
        {16, 16, 5, 0, 2, 2},    {20, 32, 16, 15, 6, 5}, {64, 64, 80, 79, 9, 7}, {100, 112, 3, 1, 4, 6},
        {512, 512, 20, 3, 5, 3}, {3, 16, 24, 5, 4, 9}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct channel_shape *s = &shapes[i];
        float *kernel = guarded_floats((size_t)9 * s->ins * s->outs), *bias = guarded_floats(s->outs);
        float *scratch = guarded_floats(channel_scratch(s->stride, s->height, s->width));
        random_map(kernel, 9 * s->ins, s->outs, s->outs, 1 / sqrtf(3.F * s->ins));
        random_map(bias, 1, s->outs, s->outs, 0.25F);
        const struct channel channel = {kernel, bias, s->ins, s->outs, s->stride, s->channel};
        const struct twin_layer twin = {s->ins, s->outs, s->ins, s->outs, false, kernel, bias};
        compare_channel_forward(&channel, &twin, s, scratch);
        compare_channel_backward(&channel, &twin, s, scratch);
        guarded_free(scratch);
        guarded_free(bias);
        guarded_free(kernel);
    }
}

/* Whole networks -------------------------------------------------------------------------------------------------- */

/* A network's memory, every part in an allocation of its own with guards, so that writing beyond one shows. */
struct guarded_memory {
    struct network_memory inside, outside;
};

/* The part that begins at `from` in the one arena and ends at `to`, moved. */
static void *move_part(const void *from, const void *to) {
    return guarded_allocate((size_t)((const char *)to - (const char *)from));
}

static void make_memory(const struct network *network, const struct octaves *octaves, int deepest, int pictures,
                        struct guarded_memory *memory) {
    struct error error;
    assert_int_equal(network_memory_make(network, octaves, deepest, pictures, &memory->inside, &error), 0);
    const struct network_memory *in = &memory->inside;
    struct network_memory *out = &memory->outside;
    /* The deepest layer has no gates, so behind it nothing is left but what rounding up took. */
    assert_in_range((const char *)in->arena + in->bytes - (const char *)in->gate[VGG_MAX_LAYERS - 1], 0, 1024);
    *out = *in;
    out->arena = NULL;
    out->activations[0] = move_part(in->activations[0], in->activations[1]);
    out->activations[1] = move_part(in->activations[1], in->z);
    out->z = move_part(in->z, in->scratch);
    out->scratch = move_part(in->scratch, in->gate[0]);
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        out->gate[l] =
            move_part(in->gate[l], l + 1 < VGG_MAX_LAYERS ? (void *)in->gate[l + 1] : (char *)in->arena + in->bytes);
}

static void free_memory(struct guarded_memory *memory) {
    struct network_memory *out = &memory->outside;
    guarded_free(out->activations[0]);
    guarded_free(out->activations[1]);
    guarded_free(out->z);
    guarded_free(out->scratch);
    for (int l = 0; l < VGG_MAX_LAYERS; l++)
        guarded_free(out->gate[l]);
    network_memory_free(&memory->inside);
}

static struct octaves sizes(int count, const int (*size)[2]) {
    struct octaves octaves = {.steps = count};
    for (int i = 0; i < count; i++) {
        octaves.height[i] = size[i][0];
        octaves.width[i] = size[i][1];
    }
    return octaves;
}

static struct octaves one_size(int height, int width) { return sizes(1, &(const int[2]){height, width}); }

/* A picture as the ascent meets it: around 128, or in [0, 1]. */
static float *random_picture(int height, int width, bool first_octave) {
    size_t count = (size_t)height * width * 3;
    float *x = guarded_floats(count);
    for (size_t i = 0; i < count; i++)
        x[i] = first_octave ? 128 + 10 * random_float() : 0.5F + 0.5F * random_float();
    return x;
}

/* z of one filter, and the loss. The caller frees z. */
static double *twin_filter(const struct twin_pass *pass, int layer, int filter, double *loss) {
    int positions = twin_height(pass, layer) * twin_width(pass, layer);
    double *z = twin_z(pass, layer, filter), sum = 0;
    for (int i = 0; i < positions; i++)
        sum += fmax(z[i], 0);
    *loss = sum / positions;
    return z;
}

/* Whether a filter sees enough in the picture for its loss to be more than a remainder of large terms. */
static bool is_live(const struct twin_pass *pass, int layer, int filter) {
    int positions = twin_height(pass, layer) * twin_width(pass, layer);
    double loss, size = 0, *z = twin_filter(pass, layer, filter, &loss);
    for (int i = 0; i < positions; i++)
        size += fabs(z[i]) / positions;
    free(z);
    return loss > 0.1 * size;
}

/* The first live filter from a number on that differs by layer; -1 if there is none. */
static int find_live(const struct twin_pass *pass, int layer) {
    int filters = pass->layer[layer].out_channels;
    for (int i = 0; i < filters; i++)
        if (is_live(pass, layer, (5 * layer + i) % filters))
            return (5 * layer + i) % filters;
    return -1;
}

/* The gradient of the mean where mask is above 0. The caller frees it. */
static double *twin_slope(const struct twin_pass *pass, int layer, const double *mask) {
    int positions = twin_height(pass, layer) * twin_width(pass, layer);
    double *slope = twin_zeros(positions);
    for (int i = 0; i < positions; i++)
        slope[i] = mask[i] > 0 ? 1.0 / positions : 0;
    return slope;
}

/* The greatest errors against the twin: of the loss, and of the gradient with the gates that network_gradients left,
 * and with the twin's own, where a ReLU within rounding of 0 may be open here and closed there. */
struct errors {
    double loss, held, own;
};

static void compare_gradient(const struct twin_pass *pass, const struct network_memory *memory, int layer,
                             const struct network_picture *picture, struct errors *errors) {
    uint8_t *gates[VGG_MAX_LAYERS] = {NULL};
    size_t count = (size_t)pass->height * pass->width * 3;
    double loss, *z = twin_filter(pass, layer, picture->filter, &loss);
    double *mask = twin_widen(memory->z, (size_t)twin_height(pass, layer) * twin_width(pass, layer));
    double *own_slope = twin_slope(pass, layer, z), *held_slope = twin_slope(pass, layer, mask);
    twin_copy_gates(pass, memory, layer, gates);
    double *own = twin_gradient(pass, layer, picture->filter, own_slope, pass->gate);
    double *held = twin_gradient(pass, layer, picture->filter, held_slope, gates);
    errors->loss = fmax(errors->loss, fabs(picture->loss / loss - 1));
    errors->held = fmax(errors->held, twin_error(picture->gradient, held, count));
    errors->own = fmax(errors->own, twin_error(picture->gradient, own, count));
    for (int l = 0; l < layer; l++)
        guarded_free(gates[l]);
    free(held);
    free(own);
    free(held_slope);
    free(own_slope);
    free(mask);
    free(z);
}

/* One layer at the size of the pass, in memory made for that size alone. */
static void compare_layer(const struct twin_pass *pass, const struct winograd_kernels *kernels, int layer,
                          const float *x, struct errors *errors) {
    struct octaves octaves = one_size(pass->height, pass->width);
    struct network network;
    struct guarded_memory memory;
    int filter = find_live(pass, layer);
    if (filter < 0)
        return;
    void *tables = filled_network(pass->weights, &octaves, layer, kernels, &network);
    make_memory(&network, &octaves, layer, 1, &memory);
    struct network_picture picture = {
        .filter = filter, .x = x, .gradient = guarded_floats((size_t)pass->height * pass->width * 3)};
    network_gradients(&network, &memory.outside, &mean, layer, pass->height, pass->width, &picture, 1, NULL);
    compare_gradient(pass, &memory.outside, layer, &picture, errors);
    guarded_free(picture.gradient);
    free_memory(&memory);
    network_free(&network);
    free(tables);
}

/* The layers [from, to) in all kernels. A flipped ReLU shows as an error of the gradient of up to about 1e-2. */
static void compare_network(const struct weights *weights, int from, int to, int height, int width, bool first_octave,
                            double loss_bound) {
    float *x = random_picture(height, width, first_octave);
    struct twin_pass pass = twin_run(weights, to - 1, x, height, width);
    for (int set = 0; set < single_count; set++) {
        struct errors errors = {0};
        for (int layer = from; layer < to; layer++)
            compare_layer(&pass, sets[set], layer, x, &errors);
        printf("# %s %d x %d, %s kernels: loss error %.1e, gradient error %.1e, with the twin's own gates %.1e\n",
               weights->net.variant, height, width, winograd_kernels_name(sets[set]), errors.loss, errors.held,
               errors.own);
        assert_true(errors.loss < loss_bound);
        assert_true(errors.held < 3e-5);
        assert_true(errors.own < 5e-2);
    }
    twin_end(&pass);
    guarded_free(x);
}

static void every_layer_equals_double_precision(void **state) {
    (void)state;
    compare_network(&demo, 0, demo.net.layers, 42, 42, true, 1e-5);
    compare_network(&demo, 0, demo.net.layers, 57, 79, false, 1e-5);
}

static void a_large_picture_equals_double_precision(void **state) {
    (void)state;
    int layer = vgg_find(&demo.net, "block3_conv2");
    compare_network(&demo, layer, layer + 1, 343, 343, true, 1e-5);
}

/* Random weights without a file; free values. */
static struct weights random_weights(int layers, const int *widths) {
    struct weights_recipe recipe = {.layers = layers, .bits = 32, .seed = 3};
    struct weights weights = {0};
    struct error error;
    memcpy(recipe.widths, widths, layers * sizeof *widths);
    assert_int_equal(vgg_make(layers, widths, &weights.net, &error), 0);
    weights.values = weights_recipe_values(&recipe);
    return weights;
}

/* Where a filter sees a handful of channels, rounding errors do not average out: 1.3e-5 was measured. */
static const double NARROW_LOSS = 4e-5;

/* A pooled first layer; numbers of channels from 1 on, some that no vector fits. */
static void other_networks_equal_double_precision(void **state) {
    (void)state;
    static const int vgg11[] = {20, 5, 17, 33, 16, 4, 40, 7}, vgg13[] = {1, 2, 6, 5, 8, 4, 12, 16, 20, 9};
    static const int vgg19[] = {64, 16, 80, 31, 32, 48, 16, 7, 50, 16, 2, 70, 64, 5, 16, 128};
    const struct {
        int layers;
        const int *widths;
    } nets[] = {{8, vgg11}, {10, vgg13}, {16, vgg19}};
    for (int i = 0; i < 3; i++) {
        struct weights weights = random_weights(nets[i].layers, nets[i].widths);
        compare_network(&weights, 0, nets[i].layers, 37, 50, false, NARROW_LOSS);
        free(weights.values);
    }
}

/* Three channels are the picture's only in the first layer: a narrow network may have as many anywhere. */
static void a_deep_layer_may_have_three_channels(void **state) {
    (void)state;
    static const int widths[] = {3, 3, 6, 6, 3, 3, 3, 24, 3, 3, 24, 24, 3}; /* VGG16's divided by 21, and narrower */
    struct weights weights = random_weights(13, widths);
    compare_network(&weights, 0, 13, 37, 50, false, NARROW_LOSS);
    free(weights.values);
}

/* Batches --------------------------------------------------------------------------------------------------------- */

enum { BATCH = 7 };

struct batch {
    int layer, height, width;
    struct network_picture picture[BATCH];
};

static void make_batch(struct batch *batch, int filters) {
    for (int i = 0; i < BATCH; i++)
        batch->picture[i] = (struct network_picture){
            .filter = i == 2 || i == 5 ? 0 : (11 * i + 3) % (filters - 1) + 1, /* filter 0 is dead */
            .x = random_picture(batch->height, batch->width, i % 2),
            .gradient = guarded_floats((size_t)batch->height * batch->width * 3)};
}

static void free_batch(struct batch *batch) {
    for (int i = 0; i < BATCH; i++) {
        guarded_free((float *)batch->picture[i].x);
        guarded_free(batch->picture[i].gradient);
    }
}

/* The pictures [first, first + count) together give what the whole batch gave. */
static void compare_part(const struct network *network, struct network_memory *memory, const struct batch *batch,
                         int first, int count) {
    size_t bytes = (size_t)batch->height * batch->width * 3 * sizeof(float);
    struct network_picture some[BATCH];
    for (int i = 0; i < count; i++) {
        some[i] = batch->picture[first + i];
        some[i].gradient = guarded_allocate(bytes);
        some[i].loss = -1;
    }
    network_gradients(network, memory, &mean, batch->layer, batch->height, batch->width, some, count, NULL);
    for (int i = 0; i < count; i++) {
        assert_true(some[i].loss == batch->picture[first + i].loss);
        assert_memory_equal(some[i].gradient, batch->picture[first + i].gradient, bytes);
        guarded_free(some[i].gradient);
    }
}

/* A dead filter's loss and gradient are 0, the others' are not. */
static void check_deaths(const struct batch *batch) {
    size_t count = (size_t)batch->height * batch->width * 3;
    for (int i = 0; i < BATCH; i++) {
        const struct network_picture *picture = &batch->picture[i];
        double sum = 0;
        for (size_t j = 0; j < count; j++)
            sum += fabs(picture->gradient[j]);
        assert_true((picture->loss > 0) == (sum > 0));
        assert_false(picture->filter == 0 && picture->loss != 0);
    }
}

/* Layers of which some are computed picture by picture and some together, in memory made for the batch or for one. */
static void compare_batch(const struct network *network, const struct octaves *octaves, int layer, int octave) {
    struct batch batch = {layer, octaves->height[octave], octaves->width[octave], {{0}}};
    struct guarded_memory many, single;
    make_memory(network, octaves, layer, BATCH, &many);
    make_memory(network, octaves, layer, 1, &single);
    make_batch(&batch, network->net.layer[layer].out_channels);
    network_gradients(network, &many.outside, &mean, layer, batch.height, batch.width, batch.picture, BATCH, NULL);
    check_deaths(&batch);
    for (int i = 0; i < BATCH; i++)
        compare_part(network, &single.outside, &batch, i, 1);
    compare_part(network, &many.outside, &batch, 1, 4);
    compare_part(network, &many.outside, &batch, 5, 2);
    free_batch(&batch);
    free_memory(&many);
    free_memory(&single);
}

/* The demo network, but filter 0 of every layer is dead. */
static void deaden(struct weights *weights) {
    struct error error;
    assert_int_equal(weights_read(DEMO, NULL, weights, &error), 0);
    for (int l = 0; l < weights->net.layers; l++)
        weights->values[weights_bias(weights, l) - weights->values] = -1e6F;
}

static void batches_have_the_bits_of_single_pictures(void **state) {
    (void)state;
    static const int size[][2] = {{40, 40}, {64, 48}, {150, 150}}, layers[] = {0, 1, 2, 6, 9, 12};
    struct octaves octaves = sizes(3, size);
    struct weights weights;
    struct network network;
    deaden(&weights);
    for (int set = 0; set < set_count; set++) {
        void *tables = filled_network(&weights, &octaves, 12, sets[set], &network);
        for (int octave = 0; octave < (set ? 2 : 3); octave++)
            for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
                compare_batch(&network, &octaves, layers[i], octave);
        network_free(&network);
        free(tables);
    }
    weights_free(&weights);
}

/* Strips ---------------------------------------------------------------------------------------------------------- */

/* Two layers' maps of one picture. */
struct maps {
    float *between, *out, *gradient;
    uint8_t *first_gate, *gate;
};

static struct maps make_maps(const struct first_layer *first, const struct winograd_layer *second, int height,
                             int width) {
    size_t positions = (size_t)height * width, outs = positions * winograd_padded(second->cout);
    return (struct maps){guarded_floats(positions * first->channels), guarded_floats(outs),
                         guarded_floats(positions * VGG_INPUT_CHANNELS), guarded_allocate(positions * first->channels),
                         guarded_allocate(outs)};
}

static void free_maps(struct maps *maps) {
    void *const owned[] = {maps->between, maps->out, maps->gradient, maps->first_gate, maps->gate};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        guarded_free(owned[i]);
}

static void run_apart(const struct first_layer *first, const struct winograd_layer *second, const float *x,
                      const float *out_gradient, int height, int width, struct maps *maps) {
    float *first_scratch = guarded_floats(first_layer_scratch(first, width));
    void *scratch = guarded_allocate(winograd_scratch_bytes(second, 1, height, width));
    first_layer_forward(first, x, height, width, maps->between, maps->first_gate, first_scratch);
    winograd_forward(second, maps->between, 1, height, width, maps->out, maps->gate, scratch);
    winograd_backward(second, out_gradient, maps->gate, 1, height, width, maps->between, scratch);
    first_layer_backward(first, maps->between, maps->first_gate, height, width, maps->gradient, first_scratch);
    guarded_free(first_scratch);
    guarded_free(scratch);
}

static void compare_strips(const struct network *network, int height, int width) {
    const struct first_layer *first = &network->first;
    const struct winograd_layer *second = &network->layer[1];
    size_t pixels = (size_t)height * width * VGG_INPUT_CHANNELS;
    size_t outs = (size_t)(height / 2) * (width / 2) * winograd_padded(second->cout); /* pooled */
    float *x = random_picture(height, width, false), *out_gradient = guarded_floats(outs);
    struct maps apart = make_maps(first, second, height, width), strips = make_maps(first, second, height, width);
    void *scratch = guarded_allocate(strips_scratch(first, second, height, width));
    random_map(out_gradient, outs, 1, 1, 1);
    run_apart(first, second, x, out_gradient, height, width, &apart);
    assert_true(
        strips_forward(first, second, x, height, width, strips.first_gate, strips.out, strips.gate, scratch, NULL));
    assert_true(strips_backward(first, second, out_gradient, strips.gate, strips.first_gate, height, width,
                                strips.gradient, scratch, NULL));
    assert_memory_equal(apart.first_gate, strips.first_gate, (size_t)height * width * first->channels);
    assert_memory_equal(apart.out, strips.out, outs * sizeof(float));
    assert_memory_equal(apart.gate, strips.gate, outs);
    assert_memory_equal(apart.gradient, strips.gradient, pixels * sizeof(float));
    free_maps(&apart);
    free_maps(&strips);
    guarded_free(scratch);
    guarded_free(out_gradient);
    guarded_free(x);
}

static void strips_have_the_bits_of_whole_maps(void **state) {
    (void)state;
    static const int size[][2] = {{43, 47}, {64, 300}, {101, 97}, {150, 18}, {2, 2}};
    struct octaves octaves = sizes(5, size);
    for (int set = 0; set < set_count; set++) {
        struct network network;
        void *tables = filled_network(&demo, &octaves, 2, sets[set], &network);
        for (int i = 0; i < octaves.steps; i++)
            compare_strips(&network, size[i][0], size[i][1]);
        network_free(&network);
        free(tables);
    }
}

/* Traffic --------------------------------------------------------------------------------------------------------- */

/* Bytes of a map at some positions, and of its gates. */
static double map_bytes(const struct network *network, int layer, double positions, bool gates) {
    return positions * winograd_padded(network->net.layer[layer].out_channels) * (sizeof(float) + (gates ? 1 : 0));
}

/* The first layers of a picture whose extents are even, by hand: of the first the picture and its gradient and, alone,
 * its map there and back with gates; with a second layer behind it, only the gates. */
static void check_first_layers(const struct network *network, int height, int width) {
    double pixels = (double)height * width, picture = 2 * pixels * 3 * sizeof(float);
    double gates = 2 * (map_bytes(network, 0, pixels, true) - map_bytes(network, 0, pixels, false));
    struct network_traffic none = network_traffic(network, 0, height, width, 1),
                           one = network_traffic(network, 1, height, width, 1),
                           two = network_traffic(network, 2, height, width, 1);
    assert_true(none.tables == 0 && none.maps == picture);
    assert_true(one.tables == 0 && one.maps == picture + 2 * map_bytes(network, 0, pixels, true) +
                                                   2 * map_bytes(network, 0, pixels, false));
    assert_true(two.maps == picture + gates + 2 * map_bytes(network, 1, pixels / 4, true) +
                                2 * map_bytes(network, 1, pixels / 4, false));
}

/* Tables are read as a whole: so often that no block has more than 48 tiles of so narrow a layer. */
static void check_table_passes(const struct network *network, int height, int width) {
    const struct winograd_layer *layer = network_layer(network, 1, height, width);
    double least = 0, once = 0;
    for (int d = 0; d < 2; d++) {
        enum winograd_tile tile = winograd_used_tile(layer, d, height, width);
        int side = tile == WINOGRAD_F6 ? 6 : 4;
        double bytes = (double)winograd_table_bytes(layer->kernels[d], tile, layer->cin, layer->cout);
        once += bytes;
        least += bytes * ceil((double)((height + side - 1) / side) * ((width + side - 1) / side) / 48);
    }
    double tables = network_traffic(network, 2, height, width, 1).tables;
    assert_true(tables >= least && tables <= 3 * least && fmod(tables, once / 2) == 0);
}

static void traffic_follows_from_the_shapes(void **state) {
    (void)state;
    static const int size[][2] = {{64, 80}, {34, 36}};
    struct octaves octaves = sizes(2, size);
    struct network network;
    int last = demo.net.layers - 1;
    void *tables = filled_network(&demo, &octaves, last, sets[0], &network);
    check_first_layers(&network, 64, 80);
    check_table_passes(&network, 64, 80);
    for (int i = 0; i < octaves.steps; i++) {
        struct network_traffic one = network_traffic(&network, last, size[i][0], size[i][1], 1),
                               eight = network_traffic(&network, last, size[i][0], size[i][1], 8);
        assert_true(eight.maps == 8 * one.maps);
        assert_true(eight.tables > one.tables && eight.tables < 8 * one.tables); /* small maps go together */
    }
    network_free(&network);
    free(tables);
}

/* Memory ---------------------------------------------------------------------------------------------------------- */

/* Layers up to `deepest` at all sizes, in full and small batches, in the one memory; free_memory looks at the guards.
 */
static void use_memory(const struct network *network, const struct octaves *octaves, int deepest, int pictures,
                       struct network_memory *memory) {
    struct network_picture batch[BATCH];
    for (int octave = 0; octave < octaves->steps; octave++) {
        int height = octaves->height[octave], width = octaves->width[octave];
        float *x = random_picture(height, width, false), *gradient = guarded_floats((size_t)height * width * 3);
        for (int i = 0; i < pictures; i++)
            batch[i] = (struct network_picture){.filter = 0, .x = x, .gradient = gradient};
        for (int layer = 0; layer <= deepest; layer++)
            for (int count = pictures; count > 0; count = count / 2)
                network_gradients(network, memory, &mean, layer, height, width, batch, count, NULL);
        guarded_free(x);
        guarded_free(gradient);
    }
}

static void fill_memory(const struct weights *weights, const struct octaves *octaves, int deepest,
                        const struct winograd_kernels *kernels) {
    struct network network;
    void *tables = filled_network(weights, octaves, deepest, kernels, &network);
    for (int pictures = 1; pictures <= BATCH; pictures += 3) {
        struct guarded_memory memory;
        make_memory(&network, octaves, deepest, pictures, &memory);
        use_memory(&network, octaves, deepest, pictures, &memory.outside);
        free_memory(&memory);
    }
    network_free(&network);
    free(tables);
}

static void the_memory_asked_for_is_enough_and_no_more(void **state) {
    (void)state;
    static const int narrow[] = {5, 16, 20, 33, 16, 48, 40, 7}, wide[] = {80, 2, 16, 7, 64, 5, 70, 16, 8, 24};
    static const int size[][2] = {{16, 21}, {44, 17}, {45, 49}, {83, 91}, {97, 52}}, flat[][2] = {{2, 90}, {3, 31}};
    const struct octaves octaves = sizes(5, size), flat_octaves = sizes(2, flat);
    struct weights nets[] = {random_weights(8, narrow), random_weights(10, wide)};
    for (int i = 0; i < 2; i++) {
        for (int set = 0; set < set_count; set += set_count - 1)
            fill_memory(&nets[i], &octaves, nets[i].net.layers - 1, sets[set]);
        fill_memory(&nets[i], &flat_octaves, 1,
                    sets[0]); /* a row's memory, for the first layer, is more than a map's */
        free(nets[i].values);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_layer_equals_double_precision),
        cmocka_unit_test(first_of_equal_maxima_has_the_gate),
        cmocka_unit_test(a_channel_equals_double_precision),
        cmocka_unit_test(every_layer_equals_double_precision),
        cmocka_unit_test(a_large_picture_equals_double_precision),
        cmocka_unit_test(other_networks_equal_double_precision),
        cmocka_unit_test(a_deep_layer_may_have_three_channels),
        cmocka_unit_test(batches_have_the_bits_of_single_pictures),
        cmocka_unit_test(strips_have_the_bits_of_whole_maps),
        cmocka_unit_test(traffic_follows_from_the_shapes),
        cmocka_unit_test(the_memory_asked_for_is_enough_and_no_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
