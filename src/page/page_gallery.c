#include "filteratlas/page/gallery.h"

#include "assets.h"
#include "filteratlas/atlas/durable.h"
#include "filteratlas/base/text.h"
#include "script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char OPENING[] = "filteratlas.gallery({";

static void append_atlases(struct text *text, const struct page_gallery_atlas *atlases, int count) {
    for (int i = 0; i < count; i++) {
        text_append(text, i ? ",\n{\"name\": " : "{\"name\": ");
        script_append_string(text, atlases[i].name);
        text_append(text, ", \"folder\": ");
        script_append_string(text, atlases[i].link);
        text_append(text, "}");
    }
}

static void append_comparison(struct text *text, const struct page_comparison *comparison) {
    text_append(text, "{\"atlas\": %d, \"other\": %d, \"layer\": ", comparison->atlas, comparison->other);
    script_append_string(text, comparison->layer);
    text_append(text, ", \"cosine\": [");
    for (int f = 0; f < comparison->filters; f++) {
        if (isnan(comparison->cosine[f]))
            text_append(text, f ? ",null" : "null");
        else
            text_append(text, f ? ",%.6g" : "%.6g", comparison->cosine[f]);
    }
    text_append(text, "]}");
}

static int write_data(const char *folder, const struct page_gallery_atlas *atlases, int count,
                      const struct page_comparisons *comparisons, struct error *error) {
    struct text text = {0};
    char path[DURABLE_PATH_SIZE];
    text_append(&text, "%s\n\"program\": \"filteratlas %s\",\n\"atlases\": [\n", OPENING, FILTERATLAS_VERSION);
    append_atlases(&text, atlases, count);
    text_append(&text, "],\n\"kernels\": [\n");
    for (int i = 0; i < comparisons->count; i++) {
        text_append(&text, i ? ",\n" : "");
        append_comparison(&text, &comparisons->comparison[i]);
    }
    text_append(&text, "]});\n");
    snprintf(path, sizeof path, "%s/page/atlas.js", folder);
    int status = durable_write(path, text.bytes, text.size, error);
    text_free(&text);
    return status;
}

bool page_gallery_may_write(const char *folder) {
    char path[DURABLE_PATH_SIZE];
    struct text found = {0};
    struct error ignored;
    snprintf(path, sizeof path, "%s/index.html", folder);
    if (access(path, F_OK))
        return true;
    snprintf(path, sizeof path, "%s/page/atlas.js", folder);
    bool ours = text_read_regular(path, &found, &ignored) == STATUS_OK && found.size > sizeof OPENING &&
                !memcmp(found.bytes, OPENING, sizeof OPENING - 1);
    text_free(&found);
    return ours;
}

int page_write_gallery(const char *folder, const struct page_gallery_atlas *atlases, int count,
                       const struct page_comparisons *comparisons, struct error *error) {
    char page[DURABLE_PATH_SIZE];
    snprintf(page, sizeof page, "%s/page", folder);
    int status = durable_make_folder(folder, error);
    if (!status)
        status = durable_make_folder(page, error);
    if (!status)
        status = write_data(folder, atlases, count, comparisons, error);
    return status ? status : assets_write(folder, false, error);
}

void page_comparisons_free(struct page_comparisons *comparisons) {
    for (int i = 0; i < comparisons->count; i++) {
        free(comparisons->comparison[i].layer);
        free(comparisons->comparison[i].cosine);
    }
    free(comparisons->comparison);
    *comparisons = (struct page_comparisons){0};
}
