#include "measure.h"

#include "filteratlas/clock.h"
#include "filteratlas/cost.h"
#include "filteratlas/noise.h"
#include "filteratlas/pages.h"

#include <stdlib.h>

static const double SECONDS = 2;
static const struct objective mean; /* of the whole map */

/* One iteration of `count` filters at an octave: adds what it takes to *measured, what cost.h says to *nominal. False
 * if no filter lives: the way back through nothing but zeros takes no time. */
static bool iterate(const struct network *network, struct network_memory *memory, const struct octaves *octaves,
                    int octave, int layer, int count, float *pictures, double *measured, double *nominal) {
    int channels = network->net.layer[layer].out_channels;
    count = count < channels ? count : channels;
    size_t floats = (size_t)octaves->height[octave] * octaves->width[octave] * 3;
    struct network_picture picture[ASCENT_MAX_BATCH];
    int live = 0;
    for (int i = 0; i < count; i++) {
        float *x = pictures + 2 * i * floats;
        noise_picture(&(struct noise_stream){.layer = layer, .filter = i}, floats, x);
        picture[i] = (struct network_picture){.filter = i, .x = x, .gradient = x + floats};
    }
    double start = clock_now();
    network_gradients(network, memory, &mean, layer, octaves->height[octave], octaves->width[octave], picture, count);
    *measured += clock_now() - start;
    *nominal += cost_iteration(&network->net, octaves, octave, layer, count);
    for (int i = 0; i < count; i++)
        live += picture[i].loss > 0;
    return live > 0;
}

/* The largest octave, which takes most of a picture's time, and the smallest. Deep filters are dead at first sight in
 * some networks: then a layer further up. */
static int measure_scale(const struct network *network, struct network_memory *memory, const struct octaves *octaves,
                         int deepest, int batch, double *scale, struct error *error) {
    int largest = octaves->steps - 1, height = octaves->height[largest], width = octaves->width[largest];
    size_t bytes = 2 * sizeof(float) * (size_t)height * width * 3 * batch;
    float *pictures = malloc(bytes);
    if (!pictures)
        return error_memory(error, (double)bytes, "a measurement");
    double measured = 0, nominal = 0, ignored = 0, start = clock_now();
    int layer = deepest;
    while (!iterate(network, memory, octaves, 0, layer, batch, pictures, &ignored, &ignored) && layer > 0)
        layer--;
    do {
        iterate(network, memory, octaves, largest, layer, 1, pictures, &measured, &nominal);
        iterate(network, memory, octaves, 0, layer, batch, pictures, &measured, &nominal);
    } while (clock_now() - start < SECONDS);
    *scale = measured / nominal;
    free(pictures);
    return STATUS_OK;
}

/* Memory that nothing is written to isn't there yet: without a measurement, this takes no time and no room. */
int measure(const struct weights *weights, const struct ascent_job *job, int deepest, int batch, bool timed,
            struct measurement *measurement, struct error *error) {
    size_t table_bytes = network_table_bytes(&weights->net, &job->octaves, deepest);
    float *tables = pages_allocate(table_bytes);
    struct network network = {0};
    struct network_memory memory = {0};
    int status = tables ? STATUS_OK : error_memory(error, (double)table_bytes, "tables");
    *measurement = (struct measurement){.node_bytes = (double)(table_bytes + weights->count * sizeof(float))};
    if (!status)
        status = network_place(weights, &job->octaves, deepest, winograd_find_kernels(NULL), tables, &network, error);
    if (!status)
        status = network_memory_make(&network, &job->octaves, deepest, batch, &memory, error);
    if (!status)
        measurement->rank_bytes = (double)memory.bytes + ascent_picture_bytes(job, batch);
    if (!status && timed) {
        network_fill_tables(&network, 0, 1);
        status = measure_scale(&network, &memory, &job->octaves, deepest, batch, &measurement->scale, error);
    }
    network_memory_free(&memory);
    network_free(&network);
    free(tables);
    return status;
}
