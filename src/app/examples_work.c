#include "examples_work.h"

#include "filteratlas/image/image.h"
#include "filteratlas/image/jpeg_file.h"

#include <stdlib.h>
#include <string.h>

enum { QUALITY = 90 };

enum { COLOURS = 3 };

static size_t filters_of(const struct examples_worker *worker) {
    const struct layers *layers = &worker->model->layers;
    size_t filters = 0;
    for (int l = 0; l < layers->count; l++)
        filters += worker->chosen[l] ? (size_t)layers->layer[l].filters : 0;
    return filters;
}

static size_t pixels_of(const struct examples_worker *worker) { return (size_t)worker->crop * (size_t)worker->crop; }

static size_t channels_of(const struct examples_worker *worker) {
    return (size_t)worker->model->graph.node[0].channels;
}

int examples_worker_make(struct examples_worker *worker, struct error *error) {
    size_t colours = COLOURS * pixels_of(worker), values = channels_of(worker) * pixels_of(worker);
    worker->rgb = malloc(colours);
    worker->scaled = malloc(colours * sizeof *worker->scaled);
    worker->coloured = malloc(colours * sizeof *worker->coloured);
    worker->x = malloc(ACTIVATIONS_MOST_IMAGES * values * sizeof *worker->x);
    worker->highest = malloc(ACTIVATIONS_MOST_IMAGES * filters_of(worker) * sizeof *worker->highest);
    bool there = worker->rgb && worker->scaled && worker->coloured && worker->x && worker->highest;
    return there ? STATUS_OK
                 : error_memory(error, ACTIVATIONS_MOST_IMAGES * (double)values * sizeof(float), "the images");
}

void examples_worker_free(struct examples_worker *worker) {
    responses_free(worker->responses);
    free(worker->rgb);
    free(worker->scaled);
    free(worker->coloured);
    free(worker->x);
    free(worker->highest);
}

/* Looking -------------------------------------------------------------------------------------------------------- */

/* Reads an image into worker->rgb, and appends why it can't be used to the result, "" if it can. Any other failure is
 * this rank's own, not the image's. */
static int read_image(const struct examples_worker *worker, const char *path, bool *usable, struct text *result,
                      struct error *error) {
    struct error why = {.message = ""};
    int status = image_read(path, worker->shorter, worker->crop, worker->rgb, &why);
    *usable = !status;
    if (status && status != STATUS_USAGE)
        return error_set(error, status, "%s: %s", path, why.message);
    text_append_bytes(result, status ? why.message : "", status ? strlen(why.message) + 1 : 1);
    return STATUS_OK;
}

/* What is in worker->rgb, as the network's input. */
static void prepare(const struct examples_worker *worker, float *x) {
    size_t colours = COLOURS * pixels_of(worker);
    for (size_t i = 0; i < colours; i++)
        worker->scaled[i] = worker->rgb[i] / 255.0f;
    bool grey = channels_of(worker) == 1;
    preprocess_picture(worker->preprocess, worker->scaled, pixels_of(worker), grey ? worker->coloured : x);
    if (grey)
        grey_picture(worker->coloured, pixels_of(worker), x);
}

static int look(struct examples_worker *worker, const char *next, const char *end, const struct interrupt *interrupt,
                struct text *result, struct error *error) {
    size_t images = 0, values = channels_of(worker) * pixels_of(worker);
    int status = STATUS_OK;
    for (; next < end && !status; next += strlen(next) + 1) {
        bool usable;
        status = read_image(worker, next, &usable, result, error);
        if (usable)
            prepare(worker, worker->x + images++ * values);
        if (!status)
            status = interrupt_check(interrupt, error);
    }
    if (status || !images)
        return status;
    if (!responses_measure(worker->responses, worker->x, (int)images, worker->highest, interrupt))
        return interrupt_check(interrupt, error);
    text_append_bytes(result, worker->highest, images * filters_of(worker) * sizeof *worker->highest);
    return STATUS_OK;
}

/* Cutting -------------------------------------------------------------------------------------------------------- */

static int cut_part(const struct examples_worker *worker, const char *bytes, struct text *result, struct error *error) {
    struct examples_part part;
    unsigned char *jpeg;
    unsigned long size;
    memcpy(&part, bytes, sizeof part);
    size_t stride = (size_t)worker->crop * COLOURS;
    const struct jpeg_picture picture = {worker->rgb + part.y * stride + (size_t)part.x * COLOURS, part.width,
                                         part.height, stride};
    int status = jpeg_file_encode(&picture, QUALITY, &jpeg, &size, error), length = (int)size;
    text_append_bytes(result, &length, sizeof length);
    if (!status)
        text_append_bytes(result, jpeg, size);
    free(jpeg);
    return status;
}

static int cut(struct examples_worker *worker, const char *next, const char *end, const struct interrupt *interrupt,
               struct text *result, struct error *error) {
    int parts, status = STATUS_OK;
    while (next < end && !status) {
        bool usable;
        status = read_image(worker, next, &usable, result, error);
        next += strlen(next) + 1;
        memcpy(&parts, next, sizeof parts);
        next += sizeof parts;
        for (; parts && !status; parts--, next += sizeof(struct examples_part))
            status = usable ? cut_part(worker, next, result, error) : STATUS_OK;
        if (!status)
            status = interrupt_check(interrupt, error);
    }
    return status;
}

int examples_carry_out(void *context, const struct text *order, const struct interrupt *interrupt, struct text *result,
                       struct error *error) {
    const char *first = order->bytes + 1, *end = order->bytes + order->size;
    return *order->bytes == EXAMPLES_LOOK ? look(context, first, end, interrupt, result, error)
                                          : cut(context, first, end, interrupt, result, error);
}
