/* What all layers of the page share: the embedded files, and the data of the atlas as a script, which a browser loads
 * from the disk where it would refuse to fetch JSON. */
#include "filteratlas/page/page.h"

#include "assets.h"
#include "filteratlas/base/text.h"
#include "script.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* The entries of job.txt as pairs. */
static void append_job(struct text *text, const struct store_entry *entries, int count) {
    for (int i = 0; i < count; i++) {
        text_append(text, i ? ", [" : "[");
        script_append_string(text, entries[i].name);
        text_append(text, ", ");
        script_append_string(text, entries[i].value);
        text_append(text, "]");
    }
}

static void append_filter(struct text *text, const struct store_filter *filter) {
    char loss[32] = "null"; /* JSON knows no infinity */
    if (isfinite(filter->loss))
        snprintf(loss, sizeof loss, "%.17g", filter->loss);
    text_append(text, "{\"filter\": %d, \"loss\": %s%s", filter->index, loss, filter->dead ? ", \"dead\": true" : "");
    if (*filter->rescue) {
        text_append(text, ", \"mark\": ");
        script_append_string(text, filter->rescue);
    }
    text_append(text, "}");
}

static bool has_examples(const struct store *store, const char *layer) {
    char path[DURABLE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/page/examples/%s.js", store->folder, layer);
    return access(path, F_OK) == 0;
}

static void append_layer(struct text *text, const struct store *store, const struct store_layer *layer) {
    text_append(text, "{\"name\": ");
    script_append_string(text, layer->name);
    text_append(text, "%s, \"filters\": [\n", has_examples(store, layer->name) ? ", \"examples\": true" : "");
    for (int i = 0; i < layer->count; i++) {
        append_filter(text, &layer->filter[i]);
        text_append(text, i + 1 < layer->count ? ",\n" : "\n");
    }
    text_append(text, "]}");
}

static int write_data(const struct store *store, const struct store_job *job, const struct store_layer *layers,
                      int count, struct error *error) {
    struct text text = {0};
    char path[DURABLE_PATH_SIZE];
    const char *separator = "";
    text_append(&text, "filteratlas.atlas({\n\"program\": \"filteratlas %s\", \"viewer\": %s, \"digest\": \"%s\",\n",
                FILTERATLAS_VERSION, assets_have_viewer() ? "true" : "false", store->job_digest);
    text_append(&text, "\"job\": [");
    append_job(&text, job->entry, job->count);
    text_append(&text, "],\n\"layers\": [\n");
    for (int l = 0; l < count; l++)
        if (layers[l].count) {
            text_append(&text, "%s", separator);
            append_layer(&text, store, &layers[l]);
            separator = ",\n";
        }
    text_append(&text, "\n]});\n");
    snprintf(path, sizeof path, "%s/page/atlas.js", store->folder);
    int status = durable_write(path, text.bytes, text.size, error);
    text_free(&text);
    return status;
}

int page_write_index(const struct store *store, const struct store_job *job, const struct store_layer *layers,
                     int count, struct error *error) {
    char page[DURABLE_PATH_SIZE];
    snprintf(page, sizeof page, "%s/page", store->folder);
    int status = durable_make_folder(page, error);
    if (!status)
        status = write_data(store, job, layers, count, error);
    return status ? status : assets_write(store->folder, true, error);
}
