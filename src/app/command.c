#include "command.h"
#include "export.h"

#include "filteratlas/app.h"
#include "filteratlas/mosaic.h"
#include "filteratlas/page.h"
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

static int write_mosaic(const struct store *store, const struct store_layer *layer, const struct options *options,
                        struct text *line, struct error *error) {
    struct mosaic_options mosaic_options = {options->grid, options->sort == 1, options->margin};
    struct mosaic mosaic;
    int status = mosaic_write(store, layer, &mosaic_options, &mosaic, error);
    if (!status && mosaic.grid)
        text_append(line, "%s: %d live, %d dead, %s\n", layer->name, mosaic.live, layer->count - mosaic.live,
                    mosaic.path);
    else if (!status)
        text_append(line, "%s: all %d filters are dead, no mosaic\n", layer->name, layer->count);
    return status;
}

/* How a layer is read: with a look at every picture or not. */
typedef int reader(const struct store *, const char *, struct store_layer *, int *, struct error *);

/* The page last: its digest then stands for both. */
static int write_files(const struct store *store, const struct store_layer *layer, const struct options *options,
                       struct text *line, struct error *error) {
    int status = write_mosaic(store, layer, options, line, error);
    return status ? status : page_write_layer(store, layer, error);
}

/* Several ranks and commands may be at it: a lock of the layer's files, beside that of its pictures. */
static int publish_layer(const struct store *store, const char *name, const struct options *options, reader *read,
                         bool anew, struct text *line, struct error *error) {
    char lock_name[64], mosaic[DURABLE_PATH_SIZE];
    const char *const names[] = {lock_name};
    const struct lock_patience patience = {store->goes_on, store->context};
    struct lock *lock;
    struct store_layer layer;
    int damaged;
    snprintf(lock_name, sizeof lock_name, "%s.files", name);
    int status = lock_take(store->folder, names, 1, &patience, &lock, error);
    if (status)
        return status;
    status = read(store, name, &layer, &damaged, error);
    if (!status && !anew && page_layer_is_current(store, &layer) && mosaic_find(store, name, mosaic))
        text_append(line, "%s: as before, %s\n", name, mosaic);
    else if (!status && layer.count)
        status = write_files(store, &layer, options, line, error);
    store_layer_free(&layer);
    lock_release(lock);
    return status;
}

int command_publish_layer(const struct store *store, const char *name, const struct options *options, bool look,
                          struct text *line, struct error *error) {
    return publish_layer(store, name, options, look ? store_read_layer : store_read_records, false, line, error);
}

static int write_tables(const struct store *store, const struct options *options, reader *read, struct error *error) {
    char names[VGG_MAX_LAYERS][32];
    struct store_layer layers[VGG_MAX_LAYERS] = {0};
    int count = store_layers(store, names, VGG_MAX_LAYERS), status = STATUS_OK, damaged;
    for (int l = 0; l < count && !status; l++)
        status = read(store, names[l], &layers[l], &damaged, error);
    if (!status)
        status = page_write_index(store, layers, count, error);
    if (!status)
        status = tables_write_losses(store, layers, count, error);
    if (!status)
        status = tables_write_trace(store, layers, count, error);
    if (!status && export_wanted(store, options))
        status = export_atlas(store, layers, count, options->quiet, error);
    for (int l = 0; l < count; l++)
        store_layer_free(&layers[l]);
    return status;
}

static int publish_tables(const struct store *store, const struct options *options, reader *read, struct error *error) {
    static const char *const common[] = {"atlas"};
    const struct lock_patience patience = {store->goes_on, store->context};
    struct lock *lock;
    int status = lock_take(store->folder, common, 1, &patience, &lock, error);
    if (!status)
        status = write_tables(store, options, read, error);
    lock_release(lock);
    return status;
}

int command_publish_tables(const struct store *store, const struct options *options, bool look, struct error *error) {
    return publish_tables(store, options, look ? store_read_layer : store_read_records, error);
}

int command_publish(const struct store *store, const struct options *options, struct error *error) {
    char names[VGG_MAX_LAYERS][32];
    int count = store_layers(store, names, VGG_MAX_LAYERS), status = STATUS_OK;
    for (int l = 0; l < count && !status; l++) {
        struct text line = {0};
        if (selection_list_matches(options->layers, names[l]))
            status = publish_layer(store, names[l], options, store_read_layer, true, &line, error);
        if (line.size && !status && !options->quiet)
            fputs(line.bytes, stdout);
        fflush(stdout);
        text_free(&line);
    }
    return status ? status : publish_tables(store, options, store_read_layer, error);
}
