#include "filteratlas/atlas/examples.h"

#include <stdlib.h>
#include <string.h>

static int make_lists(struct examples *examples, struct error *error) {
    size_t filters = examples->filters, entries = filters * examples->top;
    examples->list = calloc(entries, sizeof *examples->list);
    examples->count = calloc(filters, sizeof *examples->count);
    examples->answered = calloc(filters, sizeof *examples->answered);
    return examples->list && examples->count && examples->answered
               ? STATUS_OK
               : error_memory(error, (double)entries * sizeof *examples->list, "the lists of examples");
}

int examples_make(const struct layers *layers, const bool *chosen, int top, struct examples *examples,
                  struct error *error) {
    *examples = (struct examples){.top = top, .layer = calloc((size_t)layers->count + 1, sizeof *examples->layer)};
    if (!examples->layer)
        return error_memory(error, layers->count * (double)sizeof *examples->layer, "the lists of examples");
    for (int l = 0; l < layers->count; l++) {
        if (!chosen[l])
            continue;
        struct examples_layer *layer = &examples->layer[examples->layers++];
        strcpy(layer->name, layers->layer[l].name);
        layer->filters = layers->layer[l].filters;
        layer->first = examples->filters;
        examples->filters += layer->filters;
    }
    return make_lists(examples, error);
}

void examples_free(struct examples *examples) {
    for (int i = 0; i < examples->images; i++)
        free(examples->image[i].name);
    free(examples->image);
    free(examples->layer);
    free(examples->list);
    free(examples->count);
    free(examples->answered);
    *examples = (struct examples){0};
}

/* Images --------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const struct examples_image *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int find_image(const struct examples *examples, const char *name) {
    const struct examples_image key = {.name = (char *)name};
    const struct examples_image *found = bsearch(&key, examples->image, examples->images, sizeof key, by_name);
    return found ? (int)(found - examples->image) : -1;
}

/* Puts copies of the images that aren't known behind those that are: *images of them in all. */
static int append_new(const struct examples *examples, const struct examples_image *more, int count,
                      struct examples_image *all, int *images, struct error *error) {
    *images = examples->images;
    for (int i = 0; i < count; i++) {
        int known = find_image(examples, more[i].name);
        if (known >= 0 && examples->image[known].size != more[i].size)
            return error_set(error, STATUS_OTHER_JOB,
                             "%s: is another image than that of the same name that was looked at before; give it "
                             "another name, or give another --out",
                             more[i].name);
        if (known >= 0)
            continue;
        all[*images] = (struct examples_image){.name = strdup(more[i].name), .size = more[i].size};
        if (!all[(*images)++].name)
            return error_memory(error, strlen(more[i].name), "the names of images");
    }
    return STATUS_OK;
}

/* The images of the lists get their numbers among all. */
static void renumber(struct examples *examples, const struct examples *before) {
    for (int f = 0; f < examples->filters; f++)
        for (int i = 0; i < examples->count[f]; i++) {
            struct example *example = &examples->list[(size_t)f * examples->top + i];
            example->image = find_image(examples, before->image[example->image].name);
        }
}

int examples_add_images(struct examples *examples, const struct examples_image *image, int count, struct error *error) {
    struct examples before = *examples;
    size_t most = (size_t)examples->images + count;
    struct examples_image *all = malloc((most ? most : 1) * sizeof *all);
    if (!all)
        return error_memory(error, (double)most * sizeof *all, "the names of images");
    if (examples->images)
        memcpy(all, examples->image, examples->images * sizeof *all);
    int images, status = append_new(&before, image, count, all, &images, error);
    qsort(all, images, sizeof *all, by_name);
    examples->image = all;
    examples->images = images;
    renumber(examples, &before);
    free(before.image);
    return status;
}

/* Lists ---------------------------------------------------------------------------------------------------------- */

static bool comes_before(const struct example *a, const struct example *b) {
    return a->activation > b->activation || (a->activation == b->activation && a->image < b->image);
}

void examples_enter(struct examples *examples, int filter, const struct example *example) {
    struct example *list = examples->list + (size_t)filter * examples->top;
    int *count = &examples->count[filter], at = *count;
    examples->answered[filter]++;
    while (at > 0 && comes_before(example, &list[at - 1]))
        at--;
    if (at == examples->top)
        return;
    int moved = (*count < examples->top ? *count : examples->top - 1) - at;
    memmove(&list[at + 1], &list[at], moved * sizeof *list);
    list[at] = *example;
    *count = at + 1 + moved;
}
