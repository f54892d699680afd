#include "command.h"

#include "filteratlas/app.h"
#include "filteratlas/mosaic.h"
#include "filteratlas/selection.h"
#include "filteratlas/tables.h"

#include <stdio.h>

void command_print_help(enum command command) {
    struct text text = {0};
    options_command_help(command, &text);
    fputs(text.bytes, stdout);
    text_free(&text);
}

int command_options(enum command command, int argc, char **argv, struct options *options) {
    struct error error;
    if (options_parse(command, argc, argv, options, &error))
        return app_report(&error);
    if (options->help)
        command_print_help(command);
    return STATUS_OK;
}

struct ascent_job command_job(const struct options *options) {
    struct ascent_job job = {.epochs = options->epochs,
                             .step = options->step,
                             .seed = options->seed,
                             .restore_statistics = options->rescale == 1,
                             .bgr = options->channels == 1,
                             .objective = {.neuron = options->objective == 1,
                                           .border = options->border,
                                           .leak = options->dead.what == DEAD_LEAK},
                             .retries = options->dead.retries,
                             .decay = options->decay,
                             .blur = options->blur,
                             .blur_sigma = options->blur_sigma,
                             .jitter = options->jitter};
    octaves_make(options->size.width, options->size.height, options->factor, options->steps, &job.octaves);
    return job;
}

static int publish_mosaic(const struct store *store, const struct store_layer *layer, const struct options *options,
                          struct error *error) {
    struct mosaic_options mosaic_options = {options->grid, options->sort == 1, options->margin};
    struct mosaic mosaic;
    int status = mosaic_write(store, layer, &mosaic_options, &mosaic, error);
    if (status || options->quiet)
        return status;
    if (mosaic.grid)
        printf("%s: %d live, %d dead, %s\n", layer->name, mosaic.live, layer->count - mosaic.live, mosaic.path);
    else
        printf("%s: all %d filters are dead, no mosaic\n", layer->name, layer->count);
    fflush(stdout);
    return STATUS_OK;
}

static int publish(const struct store *store, const char *list, const struct options *options, struct error *error) {
    char names[VGG_MAX_LAYERS][32];
    struct store_layer layers[VGG_MAX_LAYERS] = {0};
    int count = store_layers(store, names, VGG_MAX_LAYERS), status = STATUS_OK, damaged;
    for (int l = 0; l < count && !status; l++) {
        status = store_read_layer(store, names[l], &layers[l], &damaged, error);
        if (!status && layers[l].count && selection_list_matches(list, names[l]))
            status = publish_mosaic(store, &layers[l], options, error);
    }
    if (!status)
        status = tables_write_losses(store, layers, count, error);
    if (!status)
        status = tables_write_trace(store, layers, count, error);
    for (int l = 0; l < count; l++)
        store_layer_free(&layers[l]);
    return status;
}

int command_publish(const struct store *store, const char *list, const struct options *options, struct error *error) {
    static const char *const common[] = {"atlas"};
    struct lock *lock;
    int status = lock_take(store->folder, common, 1, true, &lock, error);
    if (!status)
        status = publish(store, list, options, error);
    lock_release(lock);
    return status;
}
