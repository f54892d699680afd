/* The examples of each layer as a script, page/examples/LAYER.js, which is loaded when the layer is looked at. */
#include "filteratlas/page/page.h"

#include "filteratlas/base/text.h"
#include "script.h"

#include <stdio.h>
#include <stdlib.h>

/* Numbers of the images that a layer's lists name, in the order in which they come up; -1: not yet. */
struct numbering {
    int *number; /* [images] */
    int count;
};

static int append_image(struct text *text, const struct examples_image *image, struct error *error) {
    char hash[EXAMPLES_HASH_SIZE];
    int status = examples_hash(image->name, hash, error);
    text_append(text, "[\"%s\", ", hash);
    script_append_string(text, image->name);
    text_append(text, "]");
    return status;
}

/* [number, activation, row, column] of what was cut, and the images that are new. */
static int append_list(const char *folder, const struct examples *examples, int filter, struct numbering *numbering,
                       struct text *lists, struct text *images, struct error *error) {
    const char *between = "";
    int status = STATUS_OK;
    for (int i = 0; i < examples->count[filter] && !status; i++) {
        const struct example *e = &examples->list[(size_t)filter * examples->top + i];
        char path[DURABLE_PATH_SIZE];
        status = examples_part_path(folder, examples, filter, e->image, path, error);
        if (status || !examples_has_part(path))
            continue;
        if (numbering->number[e->image] < 0) {
            text_append(images, numbering->count ? ",\n" : "");
            numbering->number[e->image] = numbering->count++;
            status = append_image(images, &examples->image[e->image], error);
        }
        text_append(lists, "%s[%d,%.6g,%d,%d]", between, numbering->number[e->image], e->activation, e->row, e->column);
        between = ",";
    }
    return status;
}

static int write_layer(const char *folder, const struct examples *examples, const struct examples_layer *layer,
                       struct numbering *numbering, struct error *error) {
    char path[DURABLE_PATH_SIZE];
    struct text lists = {0}, images = {0}, script = {0};
    int status = STATUS_OK, seen = 0;
    text_append(&images, "%s", "");
    for (int i = 0; i < examples->images; i++) {
        numbering->number[i] = -1;
        seen += examples->image[i].seen;
    }
    for (int f = 0; f < layer->filters && !status; f++) {
        text_append(&lists, "%s[%d, [", f ? ",\n" : "", examples->answered[layer->first + f]);
        status = append_list(folder, examples, layer->first + f, numbering, &lists, &images, error);
        text_append(&lists, "]]");
    }
    text_append(&script,
                "filteratlas.examples(\"%s\", {\n\"looked\": %d,\n\"images\": [\n%s],\n\"filters\": [\n%s]});\n",
                layer->name, seen, images.bytes, lists.bytes);
    snprintf(path, sizeof path, "%s/page/examples/%s.js", folder, layer->name);
    if (!status)
        status = durable_write(path, script.bytes, script.size, error);
    text_free(&lists);
    text_free(&images);
    text_free(&script);
    return status;
}

int page_write_examples(const char *folder, const struct examples *examples, struct error *error) {
    static const char *const below[] = {"page", "page/examples"};
    struct numbering numbering = {.number = calloc(examples->images + 1, sizeof *numbering.number)};
    int status = numbering.number ? STATUS_OK : error_memory(error, examples->images * 4.0, "the page's examples");
    for (int i = 0; i < 2 && !status; i++) {
        char path[DURABLE_PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", folder, below[i]);
        status = durable_make_folder(path, error);
    }
    for (int l = 0; l < examples->layers && !status; l++) {
        numbering.count = 0;
        status = write_layer(folder, examples, &examples->layer[l], &numbering, error);
    }
    free(numbering.number);
    return status;
}
