/* Milliseconds of processor time per filter and iteration (loss and gradient) of a ResNet50's layer at one size, with
 * random weights, on one core:
 *
 *   resnet [--size PX] [--pictures N] [--rounds N] [--layer NAME]
 *
 * tests/bench/torch_resnet.py is its peer; scripts/bench_resnet runs them in turns. The network is that of He et al.,
 * "Deep Residual Learning for Image Recognition" (2015), table 1, with the strides where Keras has them. */
#include "filteratlas/base/huge_pages.h"
#include "filteratlas/net/executor.h"
#include "filteratlas/net/gemm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const struct error *error) {
    fprintf(stderr, "resnet: %s\n", error->message);
    exit(1);
}

/* Uniform in [-1, 1), the same in every run. */
static float random_float(void) {
    static uint64_t state = 1;
    state = state * 6364136223846793005 + 1442695040888963407;
    return (float)((double)(state >> 40) / (1 << 23) - 1);
}

static size_t random_values(struct graph *graph, size_t count, float middle, float scale) {
    struct error error;
    size_t place = graph_reserve(graph, count, &error);
    if (place == GRAPH_NOTHING)
        fail(&error);
    for (size_t i = 0; i < count; i++)
        graph->values[place + i] = middle + scale * random_float();
    return place;
}

static int append(struct graph *graph, struct graph_node node, const char *name, const int *inputs, int count) {
    struct error error;
    snprintf(node.name, sizeof node.name, "%s", name);
    node.groups = 1;
    node.dilation[0] = node.dilation[1] = 1;
    if (count)
        node.in_channels = graph->node[inputs[0]].channels;
    int number = graph_append(graph, &node, inputs, count, &error);
    if (number < 0)
        fail(&error);
    return number;
}

/* Convolution and normalisation. */
static int convolve(struct graph *graph, int input, const char *name, int kernel, int stride, int channels, bool same) {
    int in = graph->node[input].channels;
    char normalisation[GRAPH_NAME_SIZE];
    size_t count = (size_t)kernel * (size_t)kernel * (size_t)in;
    struct graph_node convolution = {.operation = GRAPH_CONVOLUTION,
                                     .kernel = {kernel, kernel},
                                     .stride = {stride, stride},
                                     .channels = channels,
                                     .same = same};
    convolution.weights = random_values(graph, count * (size_t)channels, 0, sqrtf(6.F / (float)count));
    convolution.bias = random_values(graph, (size_t)channels, 0, 0.1F);
    int x = append(graph, convolution, name, &input, 1);
    snprintf(normalisation, sizeof normalisation, "%s_bn", name);
    struct graph_node affine = {.operation = GRAPH_AFFINE, .class_name = "BatchNormalization"};
    affine.weights = random_values(graph, (size_t)channels, 0.7F, 0.1F);
    affine.bias = random_values(graph, (size_t)channels, 0, 0.1F);
    return append(graph, affine, normalisation, &x, 1);
}

static int rectify(struct graph *graph, int input, const char *name) {
    const struct graph_node relu = {.operation = GRAPH_ACTIVATION, .function = GRAPH_RELU, .parameter = {INFINITY}};
    return append(graph, relu, name, &input, 1);
}

static int add_block(struct graph *graph, int x, int stage, int block, int width, int stride) {
    char name[4][GRAPH_NAME_SIZE];
    int shortcut = x;
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "conv%d_block%d_%d_conv", stage, block, i);
    if (block == 1)
        shortcut = convolve(graph, x, name[0], 1, stride, 4 * width, false);
    x = rectify(graph, convolve(graph, x, name[1], 1, block == 1 ? stride : 1, width, false), "relu");
    x = rectify(graph, convolve(graph, x, name[2], 3, 1, width, true), "relu");
    x = convolve(graph, x, name[3], 1, 1, 4 * width, false);
    x = append(graph, (struct graph_node){.operation = GRAPH_ADD}, "add", (const int[2]){shortcut, x}, 2);
    return rectify(graph, x, "out");
}

static int pad(struct graph *graph, int x, int by) {
    return append(graph, (struct graph_node){.operation = GRAPH_PAD, .border = {by, by, by, by}}, "pad", &x, 1);
}

static void build(struct graph *graph) {
    static const int blocks[] = {3, 4, 6, 3};
    struct error error;
    const struct graph_node pooling = {.operation = GRAPH_MAX_POOLING, .kernel = {3, 3}, .stride = {2, 2}};
    int x = append(graph, (struct graph_node){.operation = GRAPH_INPUT, .channels = 3}, "input", NULL, 0);
    x = rectify(graph, convolve(graph, pad(graph, x, 3), "conv1_conv", 7, 2, 64, false), "relu");
    x = pad(graph, x, 1);
    x = append(graph, pooling, "pool1_pool", &x, 1);
    for (int stage = 2; stage <= 5; stage++)
        for (int block = 1; block <= blocks[stage - 2]; block++)
            x = add_block(graph, x, stage, block, 32 << (stage - 1), stage == 2 ? 1 : 2);
    if (graph_mark_stages(graph, &error))
        fail(&error);
}

/* Of this process: other programs on the same cores don't count. */
static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct options {
    int size, pictures, rounds;
    const char *layer;
};

static struct options parse(int count, char **words) {
    struct options o = {.size = 224, .pictures = 8, .rounds = 5, .layer = "conv5_block3_3_conv"};
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--size"))
            o.size = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--pictures"))
            o.pictures = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--rounds"))
            o.rounds = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--layer"))
            o.layer = words[i + 1];
    }
    return o;
}

static int compare_seconds(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the rounds after a first one. */
static double time_rounds(const struct executor *executor, struct executor_memory *memory, const struct options *o,
                          int layer, struct network_picture *pictures) {
    const struct objective mean = {0};
    double *seconds = calloc((size_t)o->rounds, sizeof *seconds);
    for (int round = -1; round < o->rounds; round++) {
        double begin = processor_seconds();
        executor_gradients(executor, memory, &mean, layer, o->size, o->size, pictures, o->pictures, NULL);
        if (round >= 0)
            seconds[round] = processor_seconds() - begin;
    }
    qsort(seconds, (size_t)o->rounds, sizeof *seconds, compare_seconds);
    double median = seconds[o->rounds / 2];
    free(seconds);
    return median;
}

int main(int count, char **words) {
    struct options o = parse(count, words);
    struct octaves octaves = {.steps = 1, .width = {o.size}, .height = {o.size}};
    struct graph graph = {0};
    struct error error;
    struct executor *executor;
    struct executor_memory *memory;
    gemm_use_one_thread();
    build(&graph);
    int layer = graph_find(&graph, o.layer);
    if (layer < 0)
        return fprintf(stderr, "resnet: no layer %s\n", o.layer), 2;
    bool *layers = calloc((size_t)graph.nodes, sizeof *layers);
    layers[layer] = true;
    if (executor_make(&graph, &octaves, layers, winograd_find_kernels(NULL), &executor, &error))
        fail(&error);
    void *tables = huge_pages_allocate(executor_table_bytes(executor));
    double begin = processor_seconds();
    if (executor_place(executor, tables, &error) || executor_fill_tables(executor, 0, 1, &error) ||
        executor_memory_make(executor, o.pictures, &memory, &error))
        fail(&error);
    fprintf(stderr, "resnet: tables %.0f MB filled in %.2f s, memory %.0f MB\n", executor_table_bytes(executor) / 1e6,
            processor_seconds() - begin, executor_memory_bytes(memory) / 1e6);
    size_t floats = (size_t)o.size * (size_t)o.size * 3;
    float *x = malloc(2 * (size_t)o.pictures * floats * sizeof *x), *gradients = x + (size_t)o.pictures * floats;
    struct network_picture *pictures = calloc((size_t)o.pictures, sizeof *pictures);
    for (size_t i = 0; i < (size_t)o.pictures * floats; i++)
        x[i] = 100 * random_float();
    for (int i = 0; i < o.pictures; i++)
        pictures[i] = (struct network_picture){
            .filter = i, .x = x + (size_t)i * floats, .gradient = gradients + (size_t)i * floats};
    double seconds = time_rounds(executor, memory, &o, layer, pictures);
    printf("%.1f\n", 1000 * seconds / o.pictures);
    return 0;
}
