/* read_back WEIGHTS DIR: whether the pictures of a Fourier atlas have the losses that were recorded. Reads every PNG
 * file back, preprocesses it as the job says, runs it forward, and compares. Exit status 1 if fewer than nine in ten
 * losses are within 2 %. */
#include "filled.h"
#include "filteratlas/ascent/ascent.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/image/png_file.h"
#include "filteratlas/model/weights.h"
#include "filteratlas/net/gemm.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void give_up(const struct error *error) {
    fprintf(stderr, "read_back: %s\n", error->message);
    exit(2);
}

/* What job.txt says of the pictures. */
struct looks {
    int preprocess; /* enum preprocess, -1 if there is none */
    int width, height;
    bool other_objective; /* than the map's mean */
};

static struct looks looks_of(const struct store *store) {
    static const char *const names[] = {"caffe", "tf", "torch", "unit", "none"};
    struct store_job job = {0};
    struct error error;
    struct looks looks = {.preprocess = -1};
    if (store_read_job(store->folder, &job, &error))
        give_up(&error);
    const char *how = store_job_value(&job, "preprocess"), *size = store_job_value(&job, "size");
    for (int p = 0; p < 5 && how; p++)
        looks.preprocess = strcmp(how, names[p]) ? looks.preprocess : p;
    if (size)
        sscanf(size, "%dx%d", &looks.width, &looks.height);
    looks.other_objective = store_job_value(&job, "objective") || store_job_value(&job, "border");
    store_job_free(&job);
    if (looks.preprocess < 0 || looks.width < 1 || looks.height < 1 || looks.other_objective) {
        error_set(&error, STATUS_USAGE, "%s: no atlas of the Fourier recipe that climbs the mean", store->folder);
        give_up(&error);
    }
    return looks;
}

/* s [height][width][3] in [0, 1]; the caller frees it. */
static float *read_picture(const char *path, int *width, int *height) {
    struct png_reader *reader;
    struct error error;
    if (png_reader_open(path, &reader, width, height, &error))
        give_up(&error);
    size_t row = (size_t)*width * 3;
    float *s = malloc(row * *height * sizeof *s);
    uint8_t *bytes = malloc(row);
    for (int y = 0; y < *height; y++) {
        if (png_reader_row(reader, bytes, &error))
            give_up(&error);
        for (size_t i = 0; i < row; i++)
            s[y * row + i] = bytes[i] / 255.0f;
    }
    png_reader_close(reader);
    free(bytes);
    return s;
}

/* The loss of a picture, as the network sees it now. */
static double look(const struct network *network, int layer, int filter, enum preprocess how, const char *path) {
    static const struct objective mean;
    int width, height;
    struct network_memory memory;
    struct error error;
    float *s = read_picture(path, &width, &height);
    const struct octaves one = {.steps = 1, .width = {width, width}, .height = {height, height}};
    size_t pixels = (size_t)width * height;
    float *x = malloc(3 * pixels * sizeof *x);
    if (network_memory_make(network, &one, layer, 1, &memory, &error))
        give_up(&error);
    preprocess_picture(how, s, pixels, x);
    struct network_picture picture = {.filter = filter, .x = x};
    network_gradients(network, &memory, &mean, layer, height, width, &picture, 1, NULL);
    network_memory_free(&memory);
    free(x);
    free(s);
    return picture.loss;
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The relative deviations of a layer's losses behind deviation[count]; returns how many there are then. */
static int add_layer(const struct store *store, const struct network *network, const char *name, enum preprocess how,
                     double *deviation, int count) {
    struct store_layer layer;
    struct error error;
    struct store_damage damage = {0};
    int number = vgg_find(&network->net, name);
    if (store_read_layer(store, name, NULL, &layer, &damage, &error))
        give_up(&error);
    for (int i = 0; i < layer.count; i++) {
        const struct store_filter *filter = &layer.filter[i];
        char path[DURABLE_PATH_SIZE];
        if (filter->dead)
            continue;
        store_picture_path(store, name, filter->index, path);
        double loss = look(network, number, filter->index, how, path);
        deviation[count++] = fabs(loss - filter->loss) / fmax(filter->loss, 1e-7);
    }
    store_layer_free(&layer);
    store_damage_free(&damage);
    return count;
}

int main(int argc, char **argv) {
    struct weights weights;
    struct store store;
    struct network network;
    struct error error;
    struct store_names names;
    if (argc != 3)
        return fprintf(stderr, "usage: read_back WEIGHTS DIR\n"), 2;
    gemm_use_one_thread();
    if (weights_read(argv[1], NULL, &weights, &error) || store_open_existing(argv[2], &store, &error))
        give_up(&error);
    const struct looks looks = looks_of(&store);
    const struct octaves one = {
        .steps = 1, .width = {looks.width, looks.width}, .height = {looks.height, looks.height}};
    void *tables = filled_network(&weights, &one, weights.net.layers - 1, winograd_find_kernels(NULL), &network);
    double *deviation = malloc((size_t)vgg_filters(&weights.net) * sizeof *deviation);
    int count = 0, within = 0;
    if (store_layers(&store, &names, &error))
        give_up(&error);
    for (int l = 0; l < names.count; l++)
        count = add_layer(&store, &network, names.name[l], (enum preprocess)looks.preprocess, deviation, count);
    for (int i = 0; i < count; i++)
        within += deviation[i] <= 0.02;
    qsort(deviation, (size_t)count, sizeof *deviation, rising);
    if (count)
        printf("%d of %d losses within 2 %%; half within %.2g %%, nine in ten within %.2g %%\n", within, count,
               100 * deviation[count / 2], 100 * deviation[count * 9 / 10]);
    free(deviation);
    store_names_free(&names);
    network_free(&network);
    free(tables);
    weights_free(&weights);
    return !count || within < 0.9 * count;
}
