#include "command.h"
#include "filteratlas/app.h"
#include "filteratlas/gemm.h"
#include "filteratlas/selection.h"
#include "legibility.h"

static int check_layers(const struct store *store, const char *list, struct error *error) {
    char names[VGG_MAX_LAYERS][32];
    const char *pointers[VGG_MAX_LAYERS];
    bool chosen[VGG_MAX_LAYERS];
    int count = store_layers(store, names, VGG_MAX_LAYERS);
    for (int l = 0; l < count; l++)
        pointers[l] = names[l];
    if (!count)
        return error_set(error, STATUS_USAGE, "%s: holds no pictures yet; run render first", store->folder);
    return selection_of_names(list, pointers, count, chosen, error);
}

int app_stitch(int argc, char **argv) {
    struct options options;
    struct store store;
    struct error error;
    int status = command_options(COMMAND_STITCH, argc, argv, &options);
    if (status || options.help)
        return status;
    gemm_use_one_thread();
    status = store_open_existing(options.out, &store, &error);
    if (!status)
        status = check_layers(&store, options.layers, &error);
    if (!status)
        status = command_publish(&store, &options, &error);
    if (!status && options.legibility)
        status = legibility_print(&store, options.layers, &error);
    return status ? app_report(&error) : STATUS_OK;
}
