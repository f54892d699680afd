/* Operations of the graph's executor, forward and back, against plain loops in double precision and central
 * differences; that fusions change nothing; that a picture's bits depend neither on its batch nor on who filled the
 * tables; and that the memory is enough. */
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/executor.h"
#include "graph_builder.h"
#include "net/executor_parts.h"
#include "twin.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
/* clang-format on */
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct objective mean; /* of the whole map */

/* An executor with its tables, for one size and layer, and its memory. */
struct machine {
    const struct graph *graph;
    struct executor *executor;
    struct executor_memory *memory;
    void *tables;
};

static struct octaves sizes(int count, const int (*size)[2]) {
    struct octaves octaves = {.steps = count};
    for (int i = 0; i < count; i++) {
        octaves.height[i] = size[i][0];
        octaves.width[i] = size[i][1];
    }
    return octaves;
}

static void check(int status, const struct error *error) {
    if (status)
        fail_msg("%s", error->message);
}

static void fill(struct machine *m, int parts) {
    struct error error;
    memset(m->tables, 255, executor_table_bytes(m->executor)); /* NaN */
    for (int part = parts - 1; part >= 0; part--)
        check(executor_fill_tables(m->executor, part, parts, &error), &error);
}

static struct machine make_machine(const struct graph *graph, const struct octaves *octaves, const bool *layers,
                                   const char *kernels, int pictures) {
    struct machine m = {.graph = graph};
    struct error error;
    check(executor_make(graph, octaves, layers, winograd_find_kernels(kernels), &m.executor, &error), &error);
    size_t bytes = executor_table_bytes(m.executor);
    m.tables = huge_pages_allocate(bytes);
    check(executor_place(m.executor, m.tables, &error), &error);
    fill(&m, 1);
    check(executor_memory_make(m.executor, pictures, &m.memory, &error), &error);
    return m;
}

static void free_machine(struct machine *m) {
    executor_memory_free(m->memory);
    executor_free(m->executor);
    free(m->tables);
}

static bool *only(const struct graph *graph, int layer) {
    bool *layers = calloc(graph->nodes, sizeof *layers);
    layers[layer] = true;
    return layers;
}

/* Pictures [count], which differ. */
static float *random_pictures(const struct graph *graph, int height, int width, int count) {
    size_t floats = (size_t)count * height * width * graph->node[0].channels;
    float *x = guarded_floats(floats);
    random_map(x, floats, 1, 1, 1);
    return x;
}

static const char *kernel_names[] = {"avx512", "avx2", "neon", "baseline"};

/* What the twin says of a layer's channel at one size, and the picture. */
struct wanted {
    int height, width, layer, channel;
    size_t count;
    float *x;
    double loss, *gradient;
};

static struct wanted ask_twin(const struct graph *graph, int height, int width, int layer, int channel) {
    struct wanted w = {.height = height, .width = width, .layer = layer, .channel = channel};
    int stage = graph->node[layer].stage;
    w.count = (size_t)height * width * graph->node[0].channels;
    w.x = random_pictures(graph, height, width, 1);
    double *wide = twin_widen(w.x, w.count);
    w.gradient = graph_gradient(graph, height, width, stage, channel, wide);
    w.loss = graph_loss(graph, height, width, stage, channel, wide);
    free(wide);
    return w;
}

/* Memory holds NaN, which would go into the results, and into the processor's flags, if anything read what it has not
 * written. */
static void spoil(struct machine *m) {
    memset(m->memory->arena, 255, m->memory->bytes);
    feclearexcept(FE_ALL_EXCEPT);
}

static void compare(const struct graph *graph, const struct wanted *w, const char *kernels, const char *what) {
    const int size[2] = {w->height, w->width};
    struct octaves octaves = sizes(1, &size);
    bool *layers = only(graph, w->layer);
    struct machine m = make_machine(graph, &octaves, layers, kernels, 1);
    float *gradient = guarded_floats(w->count);
    struct network_picture picture = {.filter = w->channel, .x = w->x, .gradient = gradient};
    spoil(&m);
    assert_true(executor_gradients(m.executor, m.memory, &mean, w->layer, w->height, w->width, &picture, 1, NULL));
    if (fetestexcept(FE_INVALID | FE_OVERFLOW | FE_DIVBYZERO))
        fail_msg("%s, node %d, %s: the processor's flags are set", what, w->layer, kernels);
    double error = twin_error(gradient, w->gradient, w->count);
    if (fabs(picture.loss - w->loss) > 2e-6 * (1 + fabs(w->loss)))
        fail_msg("%s, node %d, channel %d, %s: loss %.9g instead of %.9g", what, w->layer, w->channel, kernels,
                 picture.loss, w->loss);
    if (!(error < 2e-5))
        fail_msg("%s, node %d, channel %d, %s: gradient differs by %g", what, w->layer, w->channel, kernels, error);
    guarded_free(gradient);
    free(layers);
    free_machine(&m);
}

static void compare_layer(const struct graph *graph, int height, int width, int layer, int channel, const char *what) {
    struct wanted w = ask_twin(graph, height, width, layer, channel);
    for (size_t set = 0; set < sizeof kernel_names / sizeof *kernel_names; set++)
        if (winograd_find_kernels(kernel_names[set]))
            compare(graph, &w, kernel_names[set], what);
    free(w.gradient);
    guarded_free(w.x);
}

/* The last channel of every layer that may be asked for. */
static void compare_all(struct graph *graph, int height, int width, const char *what) {
    build_finish(graph);
    for (int n = 1; n < graph->nodes; n++) {
        int stage = graph->node[n].stage;
        if (stage >= 0)
            compare_layer(graph, height, width, n, graph->node[stage].channels ? graph->node[stage].channels - 1 : 1,
                          what);
    }
    graph_free(graph);
}

/* --- Each operation in the middle of a network, and as its end ---------------------------------------------------- */

/* Convolutions around an operation of that number of channels. */
static void surround(const struct graph_node *like, int channels, int height, int width, const char *title) {
    char what[200];
    snprintf(what, sizeof what, "%s: operation %d, function %d, parameters %g %g %g, kernel %d x %d, %d channels",
             title, like->operation, like->function, like->parameter[0], like->parameter[1], like->parameter[2],
             like->kernel[0], like->kernel[1], channels);
    struct graph graph;
    int x = build_convolution(&graph, build_input(&graph, 1), 1, channels);
    x = build_activation(&graph, x, GRAPH_TANH);
    x = build_after(&graph, like, x);
    x = build_activation(&graph, x, GRAPH_TANH);
    build_convolution(&graph, x, 1, 5);
    compare_all(&graph, height, width, what);
}

static void convolutions_equal_double_precision(void **state) {
    (void)state;
    static const struct graph_node likes[] = {
        {.kernel = {3, 3}, .channels = 18, .same = true},
        {.kernel = {3, 3}, .channels = 18},
        {.kernel = {1, 1}, .channels = 20},
        {.kernel = {1, 1}, .channels = 7, .stride = {2, 2}, .same = true},
        {.kernel = {2, 2}, .channels = 6, .same = true},
        {.kernel = {4, 3}, .channels = 70, .stride = {2, 1}, .same = true},
        {.kernel = {5, 1}, .channels = 3, .stride = {1, 3}},
        {.kernel = {3, 3}, .channels = 12, .dilation = {2, 2}, .same = true},
        {.kernel = {3, 2}, .channels = 12, .dilation = {1, 2}},
        {.kernel = {3, 3}, .channels = 18, .groups = 2, .same = true},
        {.kernel = {3, 3}, .channels = 54, .groups = 18, .stride = {2, 2}, .same = true},
        {.kernel = {1, 1}, .channels = 6, .groups = 3},
    };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
        struct graph_node like = likes[i];
        like.operation = GRAPH_CONVOLUTION;
        surround(&like, 18, 7, 9, "convolution");
        if (like.groups < 2)
            surround(&like, 5, 6, 5, "convolution of few channels");
    }
}

static void many_channels_equal_double_precision(void **state) {
    (void)state;
    const struct graph_node wide = {.operation = GRAPH_CONVOLUTION, .kernel = {1, 1}, .channels = 80};
    const struct graph_node deep = {
        .operation = GRAPH_CONVOLUTION, .kernel = {3, 3}, .stride = {2, 2}, .channels = 35, .same = true};
    struct graph graph;
    int x = build_convolution(&graph, build_input(&graph, 1), 1, 130); /* more rows than a slab of a product has */
    x = build_activation(&graph, x, GRAPH_TANH);
    x = build_after(&graph, &deep, x);
    x = build_activation(&graph, x, GRAPH_TANH);
    x = build_after(&graph, &wide, x);
    build_convolution(&graph, build_activation(&graph, x, GRAPH_TANH), 1, 3);
    compare_all(&graph, 13, 11, "many channels");
}

static void other_convolutions_equal_double_precision(void **state) {
    (void)state;
    static const struct graph_node likes[] = {
        {.operation = GRAPH_DEPTHWISE, .kernel = {3, 3}, .same = true},
        {.operation = GRAPH_DEPTHWISE, .kernel = {3, 5}, .stride = {2, 2}, .same = true},
        {.operation = GRAPH_DEPTHWISE, .kernel = {3, 2}, .dilation = {2, 1}},
        {.operation = GRAPH_DEPTHWISE, .kernel = {3, 3}, .channels = 36, .same = true},
        {.operation = GRAPH_DEPTHWISE, .kernel = {2, 2}, .channels = 54, .stride = {2, 3}},
        {.operation = GRAPH_TRANSPOSED, .kernel = {3, 3}, .channels = 4, .stride = {2, 2}, .same = true},
        {.operation = GRAPH_TRANSPOSED, .kernel = {2, 2}, .channels = 20, .stride = {2, 2}},
        {.operation = GRAPH_TRANSPOSED, .kernel = {4, 3}, .channels = 17, .stride = {1, 2}, .same = true},
        {.operation = GRAPH_TRANSPOSED, .kernel = {1, 1}, .channels = 16},
        {.operation = GRAPH_DENSE, .channels = 21},
    };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
        surround(&likes[i], 18, 6, 7, "convolution of another kind");
        if (likes[i].channels <= 21)
            surround(&likes[i], 4, 6, 7, "convolution of another kind and few channels");
    }
}

static void poolings_equal_double_precision(void **state) {
    (void)state;
    static const struct graph_node likes[] = {
        {.kernel = {2, 2}, .stride = {2, 2}},
        {.kernel = {3, 3}, .stride = {2, 2}, .same = true},
        {.kernel = {3, 2}, .stride = {1, 1}, .same = true},
        {.kernel = {1, 1}, .stride = {2, 2}, .same = true},
        {.kernel = {4, 4}, .stride = {3, 2}, .same = true},
    };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++)
        for (int mean_too = 0; mean_too < 2; mean_too++) {
            struct graph_node like = likes[i];
            like.operation = mean_too ? GRAPH_AVERAGE_POOLING : GRAPH_MAX_POOLING;
            surround(&like, 18, 7, 8, "pooling");
            surround(&like, 3, 8, 7, "pooling of few channels");
        }
    surround(&(struct graph_node){.operation = GRAPH_GLOBAL_MAX}, 18, 5, 6, "global maximum");
    surround(&(struct graph_node){.operation = GRAPH_GLOBAL_AVERAGE}, 7, 5, 6, "global average");
}

static void moves_equal_double_precision(void **state) {
    (void)state;
    static const struct graph_node likes[] = {
        {.operation = GRAPH_PAD, .border = {1, 2, 0, 3}},
        {.operation = GRAPH_CROP, .border = {1, 0, 2, 1}},
        {.operation = GRAPH_UPSAMPLE, .stride = {2, 3}},
        {.operation = GRAPH_UPSAMPLE, .stride = {3, 2}, .bilinear = true},
        {.operation = GRAPH_UPSAMPLE, .stride = {1, 2}, .bilinear = true},
        {.operation = GRAPH_AFFINE},
    };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
        surround(&likes[i], 18, 5, 6, "move");
        surround(&likes[i], 2, 5, 6, "move of few channels");
    }
}

/* --- Activations -------------------------------------------------------------------------------------------------- */

static void activations_equal_double_precision(void **state) {
    (void)state;
    static const struct graph_node likes[] = {
        {.function = GRAPH_LINEAR},
        {.function = GRAPH_RELU, .parameter = {INFINITY, 0, 0}},
        {.function = GRAPH_RELU, .parameter = {0.7F, 0, 0}},
        {.function = GRAPH_RELU, .parameter = {INFINITY, 0.3F, 0}},
        {.function = GRAPH_RELU, .parameter = {0.8F, 0.1F, 0.2F}},
        {.function = GRAPH_RELU, .parameter = {INFINITY, 0, 0.4F}},
        {.function = GRAPH_PRELU},
        {.function = GRAPH_PRELU, .full = true, .kernel = {5, 6}},
        {.function = GRAPH_ELU, .parameter = {0.8F}},
        {.function = GRAPH_SELU},
        {.function = GRAPH_SWISH},
        {.function = GRAPH_GELU},
        {.function = GRAPH_GELU_TANH},
        {.function = GRAPH_SIGMOID},
        {.function = GRAPH_HARD_SIGMOID, .parameter = {0.2F}},
        {.function = GRAPH_TANH},
        {.function = GRAPH_SOFTPLUS},
        {.function = GRAPH_SOFTSIGN},
        {.function = GRAPH_EXPONENTIAL},
        {.function = GRAPH_SOFTMAX},
    };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
        struct graph_node like = likes[i];
        like.operation = GRAPH_ACTIVATION;
        surround(&like, 18, 5, 6, "activation");
        surround(&like, 5, 5, 6, "activation of few channels");
    }
}

/* Large values, for which formulas must not overflow: that would be taken for a network that does. */
static void activations_hold_for_large_values(void **state) {
    (void)state;
    for (enum graph_function function = GRAPH_ELU; function <= GRAPH_SOFTSIGN; function++) {
        struct graph graph;
        int layer = build_convolution(&graph, build_input(&graph, 1), 1, 1);
        build_activation(&graph, layer, function);
        build_finish(&graph);
        graph.values[graph.node[layer].weights] = 1;
        graph.values[graph.node[layer].bias] = 0;
        const int size[2] = {1, 2};
        struct octaves octaves = sizes(1, &size);
        bool *layers = only(&graph, layer);
        struct machine m = make_machine(&graph, &octaves, layers, NULL, 1);
        static const float large[] = {100, 3000, 1e6F};
        for (int i = 0; i < 3; i++) {
            const float x[2] = {-large[i], large[i]};
            const double wide[2] = {x[0], x[1]};
            float gradient[2];
            struct network_picture picture = {.filter = 0, .x = x, .gradient = gradient};
            assert_true(executor_gradients(m.executor, m.memory, &mean, layer, 1, 2, &picture, 1, NULL));
            assert_true(isfinite(gradient[0]) && isfinite(gradient[1]));
            if (large[i] < 700)
                assert_true(fabs(picture.loss - graph_loss(&graph, 1, 2, layer + 1, 0, wide)) < 1e-5 * large[i]);
        }
        free(layers);
        free_machine(&m);
        graph_free(&graph);
    }
}

/* --- Joins -------------------------------------------------------------------------------------------------------- */

/* Three branches and a join of them, of which the second may be a vector or a single channel, with a use of the first
 * behind it too, so that gradients add up. */
static void join(enum graph_operation operation, int inputs, bool vector, bool single, int channels) {
    struct graph graph;
    int x = build_convolution(&graph, build_input(&graph, 3), 1, channels), branch[3];
    x = build_activation(&graph, x, GRAPH_TANH);
    for (int i = 0; i < 3; i++) {
        int from =
            i == 1 && vector ? build_after(&graph, &(struct graph_node){.operation = GRAPH_GLOBAL_AVERAGE}, x) : x;
        branch[i] = build_convolution(&graph, from, 1, i == 1 && single ? 1 : channels);
        branch[i] = build_activation(&graph, branch[i], GRAPH_SIGMOID);
    }
    int joined = build_node(&graph, &(struct graph_node){.operation = operation}, branch, inputs);
    joined = build_activation(&graph, joined, GRAPH_RELU);
    int end[2] = {build_convolution(&graph, joined, 3, channels), branch[0]};
    build_node(&graph, &(struct graph_node){.operation = GRAPH_ADD}, end, 2);
    compare_all(&graph, 5, 4, "join");
}

static void joins_equal_double_precision(void **state) {
    (void)state;
    for (enum graph_operation operation = GRAPH_ADD; operation <= GRAPH_MAXIMUM; operation++)
        for (int kind = 0; kind < 4; kind++) {
            int inputs = operation == GRAPH_SUBTRACT ? 2 : 3;
            join(operation, inputs, kind & 1, kind & 2, 18);
            join(operation, 2, kind & 1, kind & 2, 5);
        }
}

static void a_map_may_be_joined_with_itself(void **state) {
    (void)state;
    for (enum graph_operation operation = GRAPH_ADD; operation <= GRAPH_CONCATENATE; operation++) {
        struct graph graph;
        int x = build_convolution(&graph, build_input(&graph, 3), 1, 6);
        x = build_activation(&graph, x, GRAPH_TANH);
        int twice[2] = {x, x};
        x = build_node(&graph, &(struct graph_node){.operation = operation}, twice, 2);
        if (operation == GRAPH_SUBTRACT) { /* 0, with no gradient to compare */
            graph_free(&graph);
            continue;
        }
        build_convolution(&graph, x, 1, 5);
        compare_all(&graph, 4, 5, "join of a map with itself");
    }
}

static void concatenations_equal_double_precision(void **state) {
    (void)state;
    static const int channels[][3] = {{16, 32, 16}, {5, 16, 3}, {1, 2, 4}};
    for (int i = 0; i < 3; i++) {
        struct graph graph;
        int x = build_convolution(&graph, build_input(&graph, 3), 1, 8), branch[3];
        x = build_activation(&graph, x, GRAPH_TANH);
        for (int b = 0; b < 3; b++)
            branch[b] = build_activation(&graph, build_convolution(&graph, x, 1, channels[i][b]), GRAPH_SOFTPLUS);
        x = build_node(&graph, &(struct graph_node){.operation = GRAPH_CONCATENATE}, branch, 3);
        build_convolution(&graph, x, 3, 17);
        compare_all(&graph, 4, 5, "concatenation");
    }
}

static void a_flattened_map_equals_double_precision(void **state) {
    (void)state;
    for (int channels = 3; channels < 30; channels += 15) {
        struct graph graph;
        int x = build_convolution(&graph, build_input(&graph, 3), 3, channels);
        x = build_activation(&graph, x, GRAPH_SWISH);
        x = build_after(&graph, &(struct graph_node){.operation = GRAPH_FLATTEN}, x);
        const struct graph_node dense = {.operation = GRAPH_DENSE, .channels = 9, .in_channels = 20 * channels};
        x = build_after(&graph, &dense, x);
        x = build_activation(&graph, build_normalisation(&graph, x), GRAPH_RELU);
        x = build_after(&graph, &(struct graph_node){.operation = GRAPH_DENSE, .channels = 4}, x);
        build_activation(&graph, x, GRAPH_SOFTMAX);
        compare_all(&graph, 4, 5, "flattened");
    }
}

/* --- Fusions ------------------------------------------------------------------------------------------------------ */

/* Padding, convolution, normalisation, ReLU, pooling: what the Winograd kernels do at once, and what is like it. */
static void fused(bool padded, int kernel, int channels, enum graph_function function, int pool, bool same,
                  int height) {
    struct graph graph;
    int x = build_activation(&graph, build_convolution(&graph, build_input(&graph, 3), 3, 17), GRAPH_RELU);
    if (padded)
        x = build_after(&graph, &(struct graph_node){.operation = GRAPH_PAD, .border = {1, 1, 1, 1}}, x);
    const struct graph_node like = {
        .operation = GRAPH_CONVOLUTION, .kernel = {kernel, kernel}, .channels = channels, .same = !padded};
    x = build_activation(&graph, build_normalisation(&graph, build_after(&graph, &like, x)), function);
    const struct graph_node pooling = {
        .operation = GRAPH_MAX_POOLING, .kernel = {pool, pool}, .stride = {2, 2}, .same = same};
    x = build_after(&graph, &pooling, x);
    build_convolution(&graph, x, 1, 4);
    compare_all(&graph, height, 9, "fused");
}

static void fusions_change_nothing(void **state) {
    (void)state;
    for (int padded = 0; padded < 2; padded++)
        for (int same = 0; same < 2; same++) {
            fused(padded, 3, 20, GRAPH_RELU, 2, same, 7);
            fused(padded, 3, 20, GRAPH_RELU, 3, same, 8);
            fused(padded, 3, 20, GRAPH_SWISH, 2, same, 6);
            fused(padded, 3, 9, GRAPH_RELU, 2, same, 7);
            fused(padded, 2, 20, GRAPH_RELU, 2, same, 7);
        }
}

/* What another node reads, or asks for, must not vanish into a fusion. */
static void shared_maps_are_kept(void **state) {
    (void)state;
    struct graph graph;
    int x = build_activation(&graph, build_convolution(&graph, build_input(&graph, 3), 3, 16), GRAPH_RELU);
    int padded = build_after(&graph, &(struct graph_node){.operation = GRAPH_PAD, .border = {1, 1, 1, 1}}, x);
    const struct graph_node valid = {.operation = GRAPH_CONVOLUTION, .kernel = {3, 3}, .channels = 16};
    const struct graph_node pooling = {.operation = GRAPH_MAX_POOLING, .kernel = {3, 3}, .stride = {1, 1}};
    int a = build_after(&graph, &valid, padded);
    int b = build_after(&graph, &pooling, padded);
    int normalised = build_normalisation(&graph, a);
    int rectified = build_activation(&graph, normalised, GRAPH_RELU);
    int all[4] = {a, b, normalised, rectified};
    x = build_node(&graph, &(struct graph_node){.operation = GRAPH_CONCATENATE}, all, 4);
    build_convolution(&graph, build_activation(&graph, x, GRAPH_TANH), 3, 16);
    compare_all(&graph, 6, 5, "shared maps");
}

/* Whole maps without Winograd's small sums: large enough for several strips of positions and several tiles. */
static void larger_maps_equal_double_precision(void **state) {
    (void)state;
    struct graph graph;
    int x = build_activation(&graph, build_convolution(&graph, build_input(&graph, 1), 3, 16), GRAPH_TANH);
    x = build_activation(&graph, build_convolution(&graph, x, 3, 17), GRAPH_SWISH);
    x = build_activation(&graph, build_convolution(&graph, x, 2, 6), GRAPH_TANH);
    build_convolution(&graph, x, 1, 2);
    compare_all(&graph, 14, 15, "larger maps");
}

/* --- What must not matter ----------------------------------------------------------------------------------------- */

enum { BATCH = 7 };

/* A network with a bit of everything, large maps first, a joint part behind. */
static void build_mixture(struct graph *graph) {
    int x = build_input(graph, 3);
    x = build_after(
        graph,
        &(struct graph_node){
            .operation = GRAPH_CONVOLUTION, .kernel = {5, 5}, .stride = {2, 2}, .channels = 24, .same = true},
        x);
    x = build_activation(graph, build_normalisation(graph, x), GRAPH_RELU);
    int side = build_activation(graph, build_convolution(graph, x, 3, 24), GRAPH_RELU);
    x = build_node(graph, &(struct graph_node){.operation = GRAPH_ADD}, (const int[2]){x, side}, 2);
    x = build_after(graph, &(struct graph_node){.operation = GRAPH_MAX_POOLING, .kernel = {2, 2}, .stride = {2, 2}}, x);
    int depth =
        build_after(graph, &(struct graph_node){.operation = GRAPH_DEPTHWISE, .kernel = {3, 3}, .same = true}, x);
    depth = build_activation(graph, depth, GRAPH_SWISH);
    int gate = build_after(graph, &(struct graph_node){.operation = GRAPH_GLOBAL_AVERAGE}, depth);
    gate = build_activation(graph, build_convolution(graph, gate, 1, 24), GRAPH_SIGMOID);
    x = build_node(graph, &(struct graph_node){.operation = GRAPH_MULTIPLY}, (const int[2]){depth, gate}, 2);
    x = build_activation(graph, build_convolution(graph, x, 3, 40), GRAPH_RELU);
    x = build_activation(graph, build_convolution(graph, x, 1, 33), GRAPH_RELU);
    x = build_activation(graph, build_convolution(graph, x, 3, 16), GRAPH_RELU);
    build_after(graph, &(struct graph_node){.operation = GRAPH_AVERAGE_POOLING, .kernel = {2, 2}, .stride = {2, 2}}, x);
    build_finish(graph);
}

/* Maps of so few channels that a picture's end is no round number of bytes, down to class units. */
static void build_narrow(struct graph *graph) {
    static const int widths[] = {5, 3, 7, 9};
    int x = build_input(graph, 3);
    for (int i = 0; i < 4; i++) {
        const struct graph_node like = {
            .operation = GRAPH_CONVOLUTION, .kernel = {3, 3}, .stride = {2, 2}, .channels = widths[i], .same = true};
        x = build_activation(graph, build_after(graph, &like, x), i % 2 ? GRAPH_SWISH : GRAPH_RELU);
    }
    int depth =
        build_after(graph, &(struct graph_node){.operation = GRAPH_DEPTHWISE, .kernel = {3, 3}, .same = true}, x);
    x = build_node(graph, &(struct graph_node){.operation = GRAPH_MULTIPLY}, (const int[2]){x, depth}, 2);
    x = build_activation(graph, build_normalisation(graph, build_convolution(graph, x, 1, 11)), GRAPH_RELU);
    x = build_after(graph, &(struct graph_node){.operation = GRAPH_MAX_POOLING, .kernel = {2, 2}, .same = true}, x);
    x = build_after(graph, &(struct graph_node){.operation = GRAPH_GLOBAL_AVERAGE}, x);
    x = build_after(graph, &(struct graph_node){.operation = GRAPH_DENSE, .channels = 5}, x);
    build_activation(graph, x, GRAPH_SOFTMAX);
    build_finish(graph);
}

static const int mixture_sizes[][2] = {{37, 41}, {90, 83}, {52, 60}};
enum { MIXTURE_SIZES = 3 };

static bool *every_layer(const struct graph *graph) {
    bool *layers = calloc(graph->nodes, sizeof *layers);
    for (int n = 0; n < graph->nodes; n++)
        layers[n] = graph->node[n].stage >= 0;
    return layers;
}

static void run_batch(struct machine *m, int layer, const int size[2], const float *x, float *gradients, int count,
                      double *losses) {
    size_t floats = (size_t)size[0] * size[1] * 3;
    struct network_picture pictures[BATCH];
    int filters = executor_filters(m->executor, layer);
    for (int i = 0; i < count; i++)
        pictures[i] =
            (struct network_picture){.filter = i % filters, .x = x + i * floats, .gradient = gradients + i * floats};
    spoil(m);
    assert_true(executor_gradients(m->executor, m->memory, &mean, layer, size[0], size[1], pictures, count, NULL));
    assert_false(fetestexcept(FE_INVALID | FE_OVERFLOW));
    for (int i = 0; i < count; i++)
        losses[i] = pictures[i].loss;
}

/* Every layer at every size, for several pictures at once and one by one. */
static void compare_batches(struct machine *m, const struct graph *graph, const bool *layers, const int size[2]) {
    size_t floats = (size_t)size[0] * size[1] * 3;
    float *x = random_pictures(graph, size[0], size[1], BATCH);
    float *together = guarded_floats(BATCH * floats), *alone = guarded_floats(BATCH * floats);
    for (int layer = 0; layer < graph->nodes; layer++) {
        double losses[BATCH], loss;
        if (!layers[layer])
            continue;
        run_batch(m, layer, size, x, together, BATCH, losses);
        for (int i = 0; i < BATCH; i++) {
            struct network_picture picture = {.filter = i % executor_filters(m->executor, layer),
                                              .x = x + i * floats,
                                              .gradient = alone + i * floats};
            assert_true(executor_gradients(m->executor, m->memory, &mean, layer, size[0], size[1], &picture, 1, NULL));
            loss = picture.loss;
            assert_true(loss == losses[i]);
        }
        assert_memory_equal(together, alone, BATCH * floats * sizeof *alone);
    }
    guarded_free(alone);
    guarded_free(together);
    guarded_free(x);
}

static void batches_of(void (*build)(struct graph *graph)) {
    struct graph graph;
    build(&graph);
    struct octaves octaves = sizes(MIXTURE_SIZES, mixture_sizes);
    bool *layers = every_layer(&graph);
    for (size_t set = 0; set < sizeof kernel_names / sizeof *kernel_names; set++) {
        if (!winograd_find_kernels(kernel_names[set]))
            continue;
        struct machine m = make_machine(&graph, &octaves, layers, kernel_names[set], BATCH);
        for (int i = 0; i < MIXTURE_SIZES; i++)
            compare_batches(&m, &graph, layers, mixture_sizes[i]);
        free_machine(&m);
    }
    free(layers);
    graph_free(&graph);
}

static void batches_have_the_bits_of_single_pictures(void **state) {
    (void)state;
    batches_of(build_mixture);
    batches_of(build_narrow);
}

static void tables_may_be_filled_in_parts(void **state) {
    (void)state;
    struct graph graph;
    build_mixture(&graph);
    struct octaves octaves = sizes(MIXTURE_SIZES, mixture_sizes);
    bool *layers = every_layer(&graph);
    struct machine m = make_machine(&graph, &octaves, layers, NULL, 1);
    size_t bytes = executor_table_bytes(m.executor);
    void *whole = malloc(bytes);
    memcpy(whole, m.tables, bytes);
    for (int parts = 2; parts < 8; parts += 5) {
        fill(&m, parts);
        assert_memory_equal(whole, m.tables, bytes);
    }
    free(whole);
    free(layers);
    free_machine(&m);
    graph_free(&graph);
}

/* A loss alone, without a gradient, is the same. */
static void a_loss_needs_no_gradient(void **state) {
    (void)state;
    struct graph graph;
    build_mixture(&graph);
    struct octaves octaves = sizes(1, mixture_sizes);
    bool *layers = every_layer(&graph);
    struct machine m = make_machine(&graph, &octaves, layers, NULL, BATCH);
    int height = octaves.height[0], width = octaves.width[0];
    float *x = random_pictures(&graph, height, width, 2), *gradient = guarded_floats((size_t)height * width * 3);
    for (int layer = 0; layer < graph.nodes; layer++) {
        if (!layers[layer])
            continue;
        struct network_picture with = {.x = x, .gradient = gradient};
        struct network_picture without[2] = {{.x = x}, {.x = x + (size_t)height * width * 3}};
        assert_true(executor_gradients(m.executor, m.memory, &mean, layer, height, width, &with, 1, NULL));
        assert_true(executor_gradients(m.executor, m.memory, &mean, layer, height, width, without, 2, NULL));
        assert_true(with.loss == without[0].loss);
    }
    guarded_free(gradient);
    guarded_free(x);
    free(layers);
    free_machine(&m);
    graph_free(&graph);
}

struct stop {
    int left;
};

static bool stops(void *context) {
    struct stop *stop = context;
    return stop->left-- > 0;
}

/* A call that is told to stop says so, however far it has come. */
static void a_stop_is_obeyed_at_every_operation(void **state) {
    (void)state;
    struct graph graph;
    build_mixture(&graph);
    struct octaves octaves = sizes(1, mixture_sizes);
    bool *layers = every_layer(&graph), whole = false;
    struct machine m = make_machine(&graph, &octaves, layers, NULL, 2);
    int height = octaves.height[0], width = octaves.width[0], layer = graph.nodes - 1, asked = 0;
    size_t floats = (size_t)height * width * 3;
    while (graph.node[layer].stage < 0)
        layer--;
    float *x = random_pictures(&graph, height, width, 2), *gradients = guarded_floats(2 * floats);
    struct network_picture pictures[2] = {{.x = x, .gradient = gradients},
                                          {.x = x + floats, .gradient = gradients + floats}};
    for (; !whole; asked++) {
        struct stop stop = {asked};
        const struct interrupt interrupt = {stops, &stop};
        whole = executor_gradients(m.executor, m.memory, &mean, layer, height, width, pictures, 2, &interrupt);
        assert_true(whole == (stop.left >= 0));
    }
    assert_true(asked > 20);
    guarded_free(gradients);
    guarded_free(x);
    free(layers);
    free_machine(&m);
    graph_free(&graph);
}

/* The step of the Winograd convolution that has taken a pooling in; how many there are. */
static int pooled_steps(const struct machine *m) {
    int count = 0;
    for (int i = 1; i < m->executor->steps; i++)
        count += m->executor->step[i].operation.pooled;
    return count;
}

static void what_can_be_fused_is(void **state) {
    (void)state;
    struct graph graph;
    int x = build_activation(&graph, build_convolution(&graph, build_input(&graph, 3), 3, 16), GRAPH_RELU);
    const struct graph_node pooling = {.operation = GRAPH_MAX_POOLING, .kernel = {2, 2}, .stride = {2, 2}};
    x = build_activation(&graph, build_normalisation(&graph, build_convolution(&graph, x, 3, 16)), GRAPH_RELU);
    int layer = build_convolution(&graph, build_after(&graph, &pooling, x), 1, 4);
    build_finish(&graph);
    struct octaves octaves = sizes(1, mixture_sizes);
    bool *layers = only(&graph, layer);
    struct machine m = make_machine(&graph, &octaves, layers, NULL, 1);
    assert_int_equal(m.executor->steps, 4); /* the picture and three convolutions */
    assert_int_equal(pooled_steps(&m), 1);
    free(layers);
    free_machine(&m);
    graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_equal_double_precision),
        cmocka_unit_test(many_channels_equal_double_precision),
        cmocka_unit_test(other_convolutions_equal_double_precision),
        cmocka_unit_test(poolings_equal_double_precision),
        cmocka_unit_test(moves_equal_double_precision),
        cmocka_unit_test(activations_equal_double_precision),
        cmocka_unit_test(activations_hold_for_large_values),
        cmocka_unit_test(joins_equal_double_precision),
        cmocka_unit_test(a_map_may_be_joined_with_itself),
        cmocka_unit_test(concatenations_equal_double_precision),
        cmocka_unit_test(a_flattened_map_equals_double_precision),
        cmocka_unit_test(fusions_change_nothing),
        cmocka_unit_test(shared_maps_are_kept),
        cmocka_unit_test(larger_maps_equal_double_precision),
        cmocka_unit_test(batches_have_the_bits_of_single_pictures),
        cmocka_unit_test(tables_may_be_filled_in_parts),
        cmocka_unit_test(a_loss_needs_no_gradient),
        cmocka_unit_test(a_stop_is_obeyed_at_every_operation),
        cmocka_unit_test(what_can_be_fused_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
