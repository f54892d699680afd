#include "command.h"
#include "export.h"
#include "report.h"

#include "filteratlas/app/app.h"
#include "filteratlas/atlas/mosaic.h"
#include "filteratlas/atlas/tables.h"
#include "filteratlas/page/page.h"
#include "selection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void command_print_help(enum command command) {
    struct text text = {0};
    options_command_help(command, &text);
    fputs(text.bytes, stdout);
    text_free(&text);
}

int command_options(enum command command, int argc, char **argv, struct options *options) {
    struct error error;
    if (options_parse(command, argc, argv, options, &error))
        return report_error(&error);
    if (options->help)
        command_print_help(command);
    return STATUS_OK;
}

/* Raised whenever a change may alter the bytes of a picture: an older store is then refused, not mixed. */
static const char ARITHMETIC[] = "1";

int command_job_entries(const struct options *options, const struct model *model, struct text *values,
                        struct store_entry *entries) {
    int count = 0;
    entries[count++] = (struct store_entry){"arithmetic", ARITHMETIC};
    entries[count++] = (struct store_entry){"network", model->layers.network};
    entries[count++] = (struct store_entry){"weights-sha256", model->sha256};
    return count + options_job_entries(options, values, entries + count);
}

void command_say(const char *sentence) { fprintf(stderr, "filteratlas: %s\n", sentence); }

/* What there is to know of a store ------------------------------------------------------------------------------- */

void command_say_damage(const char *folder, const struct store_damage *damage, const char *consequence) {
    struct text names = {0};
    store_damage_describe(damage, &names);
    fprintf(stderr, "filteratlas: %s: damaged or missing: %s; %s\n", folder, names.bytes, consequence);
    text_free(&names);
}

/* Filters that have no picture since the way through the network overflowed. */
static void say_overflow(const struct store *store, const struct store_layer *layers, int count) {
    const struct store_filter *first = NULL;
    const char *layer = NULL;
    int filters = 0;
    for (int l = 0; l < count; l++)
        for (int i = 0; i < layers[l].count; i++) {
            if (isfinite(layers[l].filter[i].loss))
                continue;
            first = filters++ ? first : &layers[l].filter[i];
            layer = filters == 1 ? layers[l].name : layer;
        }
    if (filters)
        fprintf(stderr,
                "filteratlas: %s: %d filters, %s %d first, leave the range of single precision and have no picture; "
                "give weights of a training that did not diverge\n",
                store->folder, filters, layer, first->index);
}

const char *command_find_kernels(const struct store_layer *layers, int count, const char *kernels) {
    for (int l = 0; l < count; l++)
        for (int i = 0; i < layers[l].count; i++) {
            const char *found = layers[l].filter[i].kernels;
            if (*found && strcmp(found, kernels) != 0)
                return found;
        }
    return NULL;
}

static void say_kernels(const struct store *store, const struct store_layer *layers, int count) {
    const char *one = command_find_kernels(layers, count, ""), *other = one;
    if (one)
        other = command_find_kernels(layers, count, one);
    if (other && one)
        fprintf(stderr,
                "filteratlas: %s: some pictures were drawn with %s kernels, others with %s: drawn again elsewhere, "
                "their last bits may differ\n",
                store->folder, one, other);
}

/* Files of layers ------------------------------------------------------------------------------------------------ */

static int write_mosaic(const struct store *store, const struct store_layer *layer, const struct options *options,
                        const struct interrupt *interrupt, struct text *line, struct error *error) {
    struct mosaic_options mosaic_options = {options->grid, options->sort == 1, options->margin};
    struct mosaic mosaic;
    int status = mosaic_write(store, layer, &mosaic_options, interrupt, &mosaic, error);
    if (!status && mosaic.grid)
        text_append(line, "%s: %d live, %d dead, %s\n", layer->name, mosaic.live, layer->count - mosaic.live,
                    mosaic.path);
    else if (!status)
        text_append(line, "%s: all %d filters are dead, no mosaic\n", layer->name, layer->count);
    return status;
}

/* How files are made from the store. */
struct publication {
    const struct store *store;
    const struct options *options;
    const struct interrupt *interrupt;
    bool look;                   /* at every picture, and leave out what is damaged */
    bool anew;                   /* also what is as it would be already */
    struct store_damage *damage; /* what was found, but for known layers */
    bool knows_selected;         /* damage of the selected layers was told before */
};

static int read_layer(const struct publication *p, const char *name, bool look, struct store_layer *layer,
                      struct error *error) {
    struct store_damage known = {0};
    bool told = p->knows_selected && selection_list_matches(p->options->layers, name);
    struct store_damage *damage = told ? &known : p->damage;
    int status = look ? store_read_layer(p->store, name, p->interrupt, layer, damage, error)
                      : store_read_records(p->store, name, layer, damage, error);
    store_damage_free(&known);
    return status;
}

/* The page last: its digest then stands for both. */
static int write_files(const struct publication *p, const struct store_layer *layer, struct text *line,
                       struct error *error) {
    int status = write_mosaic(p->store, layer, p->options, p->interrupt, line, error);
    return status ? status : page_write_layer(p->store, layer, p->interrupt, error);
}

static int lock_files(const struct publication *p, const char *name, struct lock **lock, struct error *error) {
    const char *const names[] = {name};
    const struct lock_patience patience = {LOCK_LONG_SECONDS, p->interrupt, command_say};
    return lock_take(p->store->folder, names, 1, &patience, lock, error);
}

/* Several ranks and commands may be at it: a lock of the layer's files, beside that of its pictures. */
static int make_layer(const struct publication *p, const char *name, struct text *line, struct error *error) {
    char lock_name[STORE_NAME_SIZE + 8], mosaic[DURABLE_PATH_SIZE];
    struct lock *lock;
    struct store_layer layer;
    snprintf(lock_name, sizeof lock_name, "%s.files", name);
    int status = lock_files(p, lock_name, &lock, error);
    if (status)
        return status;
    status = read_layer(p, name, p->look, &layer, error);
    if (!status && !p->anew && page_layer_is_current(p->store, &layer) && mosaic_find(p->store, name, mosaic))
        text_append(line, "%s: as before, %s\n", name, mosaic);
    else if (!status && layer.count)
        status = write_files(p, &layer, line, error);
    store_layer_free(&layer);
    lock_release(lock);
    return status;
}

int command_publish_layer(const struct store *store, const char *name, const struct options *options, bool look,
                          const struct interrupt *interrupt, struct text *line, struct error *error) {
    struct store_damage damage = {0};
    const struct publication p = {store, options, interrupt, look, .damage = &damage};
    int status = make_layer(&p, name, line, error);
    store_damage_free(&damage);
    return status;
}

/* Files of all layers -------------------------------------------------------------------------------------------- */

static int write_tables(const struct publication *p, const struct store_job *job, const struct store_layer *layers,
                        int count, struct error *error) {
    int status = page_write_index(p->store, job, layers, count, error);
    if (!status)
        status = tables_write_losses(p->store, layers, count, store_job_value(job, "dead") != NULL, error);
    if (!status)
        status = tables_write_trace(p->store, layers, count, error);
    if (!status && export_wanted(p->store, p->options))
        status = export_atlas(p->store, job, layers, count, p->options->quiet, p->interrupt, error);
    return status;
}

/* The layers of these names. */
static int read_layers(const struct publication *p, const struct store_names *names, bool look,
                       struct store_layer **layers, struct error *error) {
    *layers = calloc((size_t)names->count + 1, sizeof **layers);
    int status = *layers ? STATUS_OK : error_memory(error, names->count * (double)sizeof **layers, "the layers");
    for (int l = 0; l < names->count && !status; l++)
        status = read_layer(p, names->name[l], look, &(*layers)[l], error);
    return status;
}

/* atlas.h5 reads every picture, so what is damaged is left out before. */
static int read_and_write_tables(const struct publication *p, struct error *error) {
    struct store_names names;
    struct store_layer *layers = NULL;
    struct store_job job = {0};
    bool look = p->look || export_wanted(p->store, p->options);
    int status = store_layers(p->store, &names, error), count = names.count;
    if (!status)
        status = store_read_job(p->store->folder, &job, error);
    if (!status)
        status = read_layers(p, &names, look, &layers, error);
    if (!status)
        status = write_tables(p, &job, layers, count, error);
    if (!status) {
        say_overflow(p->store, layers, count);
        if (!p->knows_selected) /* a render has said so when it began */
            say_kernels(p->store, layers, count);
    }
    for (int l = 0; l < count && layers; l++)
        store_layer_free(&layers[l]);
    free(layers);
    store_names_free(&names);
    store_job_free(&job);
    return status;
}

static int make_tables(const struct publication *p, struct error *error) {
    struct lock *lock;
    int status = lock_files(p, "atlas", &lock, error);
    if (!status)
        status = read_and_write_tables(p, error);
    lock_release(lock);
    return status;
}

int command_publish_tables(const struct store *store, const struct options *options, bool look,
                           const struct interrupt *interrupt, struct error *error) {
    struct store_damage damage = {0};
    const struct publication p = {store, options, interrupt, look, .damage = &damage, .knows_selected = true};
    int status = make_tables(&p, error);
    if (!status && damage.count)
        command_say_damage(store->folder, &damage, "left out; run render for these layers to draw them again");
    store_damage_free(&damage);
    return status;
}

static int make_selected(const struct publication *p, struct error *error) {
    struct store_names names;
    int status = store_layers(p->store, &names, error);
    for (int l = 0; l < names.count && !status; l++) {
        struct text line = {0};
        if (selection_list_matches(p->options->layers, names.name[l]))
            status = make_layer(p, names.name[l], &line, error);
        if (line.size && !status && !p->options->quiet)
            fputs(line.bytes, stdout);
        fflush(stdout);
        text_free(&line);
    }
    store_names_free(&names);
    return status;
}

/* What is damaged is found by both; the second sees all layers. */
int command_publish(const struct store *store, const struct options *options, const struct interrupt *interrupt,
                    struct error *error) {
    struct store_damage first = {0}, damage = {0};
    struct text names = {0};
    struct publication p = {store, options, interrupt, .look = true, .anew = true, .damage = &first};
    int status = make_selected(&p, error);
    p.damage = &damage;
    if (!status)
        status = make_tables(&p, error);
    store_find_orphans(store, &damage);
    store_damage_describe(&damage, &names);
    if (!status && damage.count)
        status = error_set(error, STATUS_FAILURE,
                           "%s: damaged or missing: %s; all else was made without; run render again to draw them anew",
                           store->folder, names.bytes);
    text_free(&names);
    store_damage_free(&first);
    store_damage_free(&damage);
    return status;
}
