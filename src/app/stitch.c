#include "command.h"
#include "filteratlas/app/app.h"
#include "filteratlas/cluster/stop.h"
#include "filteratlas/net/gemm.h"
#include "legibility.h"
#include "report.h"
#include "selection.h"

#include <stdlib.h>

static int check_layers(const struct store *store, const char *list, struct error *error) {
    struct store_names names;
    int status = store_layers(store, &names, error);
    const char **pointers = calloc((size_t)names.count + 1, sizeof *pointers);
    bool *chosen = calloc((size_t)names.count + 1, sizeof *chosen);
    if (!status && (!pointers || !chosen))
        status = error_memory(error, names.count * (double)sizeof *pointers, "names");
    if (!status && !names.count)
        status = error_set(error, STATUS_USAGE, "%s: holds no pictures yet; run render first", store->folder);
    for (int l = 0; l < names.count && !status; l++)
        pointers[l] = names.name[l];
    if (!status)
        status = selection_of_names(list, pointers, names.count, chosen, error);
    free(pointers);
    free(chosen);
    store_names_free(&names);
    return status;
}

static bool goes_on(void *context) {
    (void)context;
    return !stop_signal();
}

/* What was finished before the signal stays; the next stitch makes it again all the same. */
static int make_files(const struct store *store, const struct options *options, struct error *error) {
    const struct interrupt interrupt = {goes_on, NULL};
    int status = command_publish(store, options, &interrupt, error);
    if (options->legibility && (!status || status == STATUS_FAILURE)) { /* of what is whole */
        struct error another;
        int measured = legibility_print(store, options->layers, &interrupt, status ? &another : error);
        status = status ? status : measured;
    }
    if (status == STATUS_STOPPED)
        error_set(error, STATUS_STOPPED,
                  "%s: stopped before all files were made, nothing finished is lost; run the same command again",
                  stop_signal_name(stop_signal()));
    return status;
}

int app_stitch(int argc, char **argv) {
    struct options options;
    struct store store;
    struct error error;
    stop_catch_signals();
    int status = command_options(COMMAND_STITCH, argc, argv, &options);
    if (status || options.help)
        return status;
    gemm_use_one_thread();
    status = store_open_existing(options.out, &store, &error);
    if (!status)
        status = check_layers(&store, options.layers, &error);
    if (!status)
        status = make_files(&store, &options, &error);
    return status ? report_error(&error) : STATUS_OK;
}
