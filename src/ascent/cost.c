#include "filteratlas/ascent/cost.h"

#include "filteratlas/ascent/waves.h"

#include <math.h>

/* The rule: products at a steady rate; transforms by tile and channel; the weights' tables read once for every block of
 * tiles; the first layer and the last one's single channel at rates of their own. Fitted (least squares of the
 * logarithms) to VGG16's 13 layers at 343 pixels, all layers at nine octaves and batches of 8 filters of block3_conv3
 * and block5_conv1, one core of Zen 5 with AVX-512: 4 % root mean square, 10 % at most (block2_conv1). The reading rate
 * is fitted to batches of 1, 2, 4 and 8. */
static const double PRODUCT_FLOPS[] = {226e9, 470e9}; /* per second [precision]; in bfloat16, as layers take there */
static const double FIRST_FLOPS = 107e9, CHANNEL_FLOPS = 20e9; /* per second */
static const double TRANSFORM[] = {2.6e-9, 6.8e-9}; /* seconds per tile and channel, in and out alike [tile] */
static const double TABLE_BYTES = 60e9;             /* per second */
static const int POINTS[] = {36, 64};               /* [tile] */
static const int BLOCK = 96;                        /* tiles */

/* Of the Fourier recipe's own part, on the same core: fitted to the difference of two iterations, by this recipe and by
 * Keras's, of block1_conv1 at 13 sizes from 64 to 412 pixels: 3 % at most. (OpenBLAS's Haswell kernels: 122e9.) */
static const double WAVE_FLOPS = 211e9;  /* per second */
static const double WAVE_PIXEL = 5.5e-9; /* seconds per pixel and channel */

/* Of other networks than VGG, with the transforms above. Fitted (least squares of the logarithms) to processor time of
 * one core of Zen 5 with AVX-512, beside other programs: layers of all depths of ResNet50 and of networks like
 * MobileNet and EfficientNet at 75 to 224 pixels, one picture and eight: 11 % root mean square, 37 % at most. These are
 * rates of a rule, not of a processor: what waits for memory is in `moved`. */
static const double GRAPH_PRODUCT_FLOPS = 390e9, DEPTHWISE_FLOPS = 42e9, TAP_FLOPS = 4.2e9; /* per second */
static const double MOVED_BYTES = 22e9, GRAPH_TABLE_BYTES = 33e9;                           /* per second */
static const double SLOPE = 2.7e-9;                                                         /* seconds per value */

static int tiles(enum winograd_tile tile, int height, int width) {
    int m = tile == WINOGRAD_F4 ? 4 : 6;
    return ((height + m - 1) / m) * ((width + m - 1) / m);
}

/* A layer one way, for count pictures together. */
static double winograd_seconds(const struct vgg *net, const struct ascent_job *job, int octave, int layer,
                               enum winograd_direction direction, int count) {
    const struct octaves *octaves = &job->octaves;
    const struct vgg_layer *shape = &net->layer[layer];
    int height = octaves->height[octave], width = octaves->width[octave];
    enum winograd_tile tile = network_tile(net, octaves, job->precision, layer, direction, height, width);
    double number = (double)count * tiles(tile, vgg_extent(net, layer, height), vgg_extent(net, layer, width));
    double in = winograd_padded(shape->in_channels), out = winograd_padded(shape->out_channels);
    enum winograd_precision precision = network_precision(job->precision, layer, direction);
    double products = 2 * POINTS[tile] * number * in * out / PRODUCT_FLOPS[precision];
    double operand = precision == WINOGRAD_BF16 ? sizeof(uint16_t) : sizeof(float);
    double reading = POINTS[tile] * in * out * operand * ceil(number / BLOCK) / TABLE_BYTES;
    return products + reading + number * (in + out) * TRANSFORM[tile];
}

static double layer_seconds(const struct vgg *net, const struct ascent_job *job, int octave, int layer, int count) {
    int height = job->octaves.height[octave], width = job->octaves.width[octave];
    if (layer > 0)
        return winograd_seconds(net, job, octave, layer, WINOGRAD_FORWARD, count) +
               winograd_seconds(net, job, octave, layer, WINOGRAD_BACKWARD, count);
    return count * 2 * 2 * 9.0 * VGG_INPUT_CHANNELS * height * width * net->layer[0].out_channels / FIRST_FLOPS;
}

/* What the network takes. */
static double network_seconds(const struct vgg *net, const struct ascent_job *job, int octave, int layer, int count) {
    int height = job->octaves.height[octave], width = job->octaves.width[octave];
    int joint = network_first_joint(net, layer, height, width);
    double positions = (double)vgg_extent(net, layer, height) * vgg_extent(net, layer, width);
    double seconds = count * 2 * 2 * 9 * positions * net->layer[layer].in_channels / CHANNEL_FLOPS;
    for (int l = 0; l < layer; l++)
        seconds +=
            l < joint ? count * layer_seconds(net, job, octave, l, 1) : layer_seconds(net, job, octave, l, count);
    return seconds;
}

/* What the waves of a picture take, there and back, with all that is done to its pixels. */
static double waves_seconds(const struct octaves *octaves, int octave) {
    int height = octaves->height[octave], width = octaves->width[octave];
    return 2 * waves_flops(height, width) / WAVE_FLOPS + (double)height * width * 3 * WAVE_PIXEL;
}

static double vgg_iteration(const struct vgg *net, const struct ascent_job *job, int octave, int layer, int count) {
    double waves = job->recipe == RECIPE_FOURIER ? count * waves_seconds(&job->octaves, octave) : 0;
    return network_seconds(net, job, octave, layer, count) + waves;
}

/* Iterations at an octave. The finished picture's loss is half a one. */
static double iterations(const struct ascent_job *job, int octave) {
    bool again = job->recipe == RECIPE_FOURIER && octave == job->octaves.steps - 1;
    return job->epochs + (again ? 0.5 : 0);
}

void cost_of_vgg_layer(const struct vgg *net, const struct ascent_job *job, int layer, struct layer_cost *cost) {
    *cost = (struct layer_cost){.filters = net->layer[layer].out_channels,
                                .flops = vgg_filter_flops(net, layer, &job->octaves, job->epochs)};
    for (int count = 1; count <= ASCENT_MAX_BATCH; count++)
        for (int octave = 0; octave < job->octaves.steps; octave++)
            cost->seconds[count] += iterations(job, octave) * vgg_iteration(net, job, octave, layer, count);
}

/* --- Any network */

/* What the network takes, for `count` pictures in groups of nearly equal size. */
static double work_seconds(const struct executor_work *work, int count) {
    double groups = ceil((double)count / work->together);
    double each = work->products / GRAPH_PRODUCT_FLOPS + work->depthwise / DEPTHWISE_FLOPS + work->channel / TAP_FLOPS +
                  work->slopes * SLOPE + work->moved / MOVED_BYTES + work->tables / GRAPH_TABLE_BYTES;
    for (int tile = 0; tile < 2; tile++)
        each += work->transforms[tile] * TRANSFORM[tile];
    return count * each + groups * work->group_tables / GRAPH_TABLE_BYTES;
}

/* Of an iteration that takes the network so much. */
static double graph_iteration(const struct executor_work *work, const struct ascent_job *job, int octave, int count) {
    double waves = job->recipe == RECIPE_FOURIER ? count * waves_seconds(&job->octaves, octave) : 0;
    return work_seconds(work, count) + waves;
}

int cost_iteration(const struct executor *executor, const struct ascent_job *job, int octave, int layer, int count,
                   double *seconds, struct error *error) {
    struct executor_work work;
    const struct vgg *net;
    int vgg_layer = executor_vgg_layer(executor, layer, &net);
    int status = vgg_layer < 0 ? executor_count_work(executor, layer, octave, &work, error) : STATUS_OK;
    if (status)
        return status;
    *seconds =
        vgg_layer < 0 ? graph_iteration(&work, job, octave, count) : vgg_iteration(net, job, octave, vgg_layer, count);
    return STATUS_OK;
}

/* Adds what an octave costs. */
static int add_octave(const struct executor *executor, const struct ascent_job *job, int octave, int layer,
                      struct layer_cost *cost, struct error *error) {
    struct executor_work work;
    double flops;
    int height = job->octaves.height[octave], width = job->octaves.width[octave];
    int status = executor_count_work(executor, layer, octave, &work, error);
    if (!status)
        status = graph_gradient_flops(executor_graph(executor), layer, height, width, &flops, error);
    if (status)
        return status;
    cost->flops += job->epochs * flops;
    for (int count = 1; count <= ASCENT_MAX_BATCH; count++)
        cost->seconds[count] += iterations(job, octave) * graph_iteration(&work, job, octave, count);
    return STATUS_OK;
}

int cost_of_layer(const struct executor *executor, const struct ascent_job *job, int layer, struct layer_cost *cost,
                  struct error *error) {
    const struct vgg *net;
    const struct graph *graph = executor_graph(executor);
    int vgg_layer = executor_vgg_layer(executor, layer, &net), status = STATUS_OK;
    *cost = (struct layer_cost){.filters = graph->node[graph->node[layer].stage].channels};
    if (vgg_layer >= 0)
        cost_of_vgg_layer(net, job, vgg_layer, cost);
    for (int octave = 0; octave < job->octaves.steps && vgg_layer < 0 && !status; octave++)
        status = add_octave(executor, job, octave, layer, cost, error);
    return status;
}
