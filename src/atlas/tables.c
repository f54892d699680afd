#include "filteratlas/atlas/tables.h"

#include "filteratlas/base/text.h"

#include <stdio.h>

static int write_table(const struct store *store, const char *name, const struct text *text, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", store->folder, name);
    return durable_write(path, text->bytes, text->size, error);
}

int tables_write_losses(const struct store *store, const struct store_layer *layers, int count, bool rescues,
                        struct error *error) {
    struct text text = {0};
    text_append(&text, "layer,filter,status,loss,seconds,rank%s\n", rescues ? ",rescue" : "");
    for (int l = 0; l < count; l++)
        for (int i = 0; i < layers[l].count; i++) {
            const struct store_filter *f = &layers[l].filter[i];
            text_append(&text, "%s,%d,%s,%.17g,%.3f,%d%s%s\n", layers[l].name, f->index, f->dead ? "dead" : "live",
                        f->loss, f->seconds, f->rank, rescues ? "," : "", f->rescue);
        }
    int status = write_table(store, "losses.csv", &text, error);
    text_free(&text);
    return status;
}

static int append_trace(const char *path, void *context, struct error *error) {
    struct text lines = {0};
    int status = text_read(path, &lines, error);
    if (!status)
        text_append(context, "%s", lines.bytes);
    text_free(&lines);
    return status;
}

int tables_write_trace(const struct store *store, const struct store_layer *layers, int count, struct error *error) {
    struct text text = {0};
    int status = STATUS_OK;
    for (int l = 0; l < count && !status; l++)
        status = store_visit_traces(store, layers[l].name, append_trace, &text, error);
    if (!status && text.size) {
        struct text table = {0};
        text_append(&table, "layer,filter,octave,epoch,loss\n%s", text.bytes);
        status = write_table(store, "trace.csv", &table, error);
        text_free(&table);
    }
    text_free(&text);
    return status;
}
