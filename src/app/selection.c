#include "selection.h"

#include "filteratlas/base/text.h"
#include "nearest.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERN_SIZE = 256 };

/* Copies the entry that *list points at and moves on to the next; false at the end. */
static bool next_entry(const char **list, char pattern[PATTERN_SIZE]) {
    if (!*list)
        return false;
    int length = (int)strcspn(*list, ",");
    snprintf(pattern, PATTERN_SIZE, "%.*s", length, *list);
    *list = (*list)[length] ? *list + length + 1 : NULL;
    return true;
}

bool selection_list_matches(const char *list, const char *name) {
    char pattern[PATTERN_SIZE];
    if (!list)
        return true;
    while (next_entry(&list, pattern))
        if (fnmatch(pattern, name, 0) == 0)
            return true;
    return false;
}

static int count_matches(const char *pattern, const char *const *names, int count) {
    int matches = 0;
    for (int i = 0; i < count; i++)
        matches += fnmatch(pattern, names[i], 0) == 0;
    return matches;
}

/* What a pattern without a match was meant to be; false if nothing comes near. A layer that other VGGs have is meant as
 * it stands. Networks name layers with slashes, files can't. */
static bool guess_pattern(const char *pattern, const char *const *names, int count, char guess[PATTERN_SIZE]) {
    int block, number, end = 0;
    char safe[PATTERN_SIZE];
    snprintf(safe, sizeof safe, "%s", pattern);
    for (char *slash = safe; (slash = strchr(slash, '/')) != NULL;)
        *slash = '_';
    const char *nearest = nearest_word(safe, names, count);
    if (sscanf(pattern, "block%d_conv%d%n", &block, &number, &end) == 2 && !pattern[end])
        return false;
    if (sscanf(pattern, "conv%d_%d%n", &block, &number, &end) == 2 && !pattern[end]) /* as Caffe names them */
        snprintf(guess, PATTERN_SIZE, "block%d_conv%d", block, number);
    else if (count_matches(safe, names, count))
        memcpy(guess, safe, sizeof safe);
    else if (nearest)
        snprintf(guess, PATTERN_SIZE, "%s", nearest);
    else
        snprintf(guess, PATTERN_SIZE, "%.100s_*", safe); /* block5 */
    return count_matches(guess, names, count) > 0;
}

/* Says which layers there are: all of a few, else the first and the last. */
static int refuse_pattern(const char *pattern, const char *const *names, int count, struct error *error) {
    enum { FEW = 4 };
    struct text known = {0};
    char guess[PATTERN_SIZE];
    for (int i = 0; i < count && count <= FEW; i++)
        text_append(&known, "%s%s", i ? ", " : "", names[i]);
    if (count > FEW)
        text_append(&known, "%s to %s", names[0], names[count - 1]);
    int status = guess_pattern(pattern, names, count, guess)
                     ? error_set(error, STATUS_USAGE, "--layers %s: no such layer; did you mean '%s'?", pattern, guess)
                     : error_set(error, STATUS_USAGE, "--layers %s: no such layer; there %s %s", pattern,
                                 count == 1 ? "is" : "are", count ? known.bytes : "none");
    text_free(&known);
    return status;
}

int selection_of_names(const char *list, const char *const *names, int count, bool *chosen, struct error *error) {
    char pattern[PATTERN_SIZE];
    for (int i = 0; i < count; i++)
        chosen[i] = selection_list_matches(list, names[i]);
    while (next_entry(&list, pattern))
        if (!count_matches(pattern, names, count))
            return refuse_pattern(pattern, names, count, error);
    return STATUS_OK;
}

/* A network's layers --------------------------------------------------------------------------------------------- */

static int check_filters(const struct range *range, const struct layer *layer, struct error *error) {
    if (range->first < layer->filters && range->last <= layer->filters)
        return STATUS_OK;
    char last[16] = "";
    if (range->last >= 0)
        snprintf(last, sizeof last, "%d", range->last);
    return error_set(error, STATUS_USAGE, "--filters %d:%s: %s has filters 0:%d; give a range within it", range->first,
                     last, layer->name, layer->filters);
}

/* Marks the usual or the other layers that a pattern matches by either name; false if there are none. */
static bool mark_matches(const char *pattern, const struct layers *layers, bool usual, bool *chosen) {
    bool any = false;
    for (int l = 0; l < layers->count; l++) {
        const struct layer *layer = &layers->layer[l];
        if (layer->usual == usual && (!fnmatch(pattern, layer->name, 0) || !fnmatch(pattern, layer->own_name, 0)))
            any = chosen[l] = true;
    }
    return any;
}

static int refuse_layer(const char *pattern, const struct layers *layers, struct error *error) {
    const char **names = calloc((size_t)layers->count + 1, sizeof *names);
    if (!names)
        return error_memory(error, layers->count * (double)sizeof *names, "names");
    for (int l = 0; l < layers->count; l++)
        names[l] = layers->layer[l].name;
    int status = refuse_pattern(pattern, names, layers->count, error);
    free(names);
    return status;
}

int selection_make(const struct options *options, const struct layers *layers, struct selection *selection,
                   struct error *error) {
    const char *list = options->layers ? options->layers : "*";
    char pattern[PATTERN_SIZE];
    int status = STATUS_OK;
    *selection = (struct selection){.layer = calloc((size_t)layers->count + 1, 1), .filters = options->filters};
    if (!selection->layer)
        return error_memory(error, layers->count, "the selection");
    while (!status && next_entry(&list, pattern))
        if (!mark_matches(pattern, layers, true, selection->layer) &&
            !mark_matches(pattern, layers, false, selection->layer))
            status = refuse_layer(pattern, layers, error);
    for (int l = 0; l < layers->count && !status; l++)
        if (selection->layer[l]) {
            selection->unusual |= !layers->layer[l].usual;
            status = check_filters(&selection->filters, &layers->layer[l], error);
        }
    return status;
}

void selection_free(struct selection *selection) {
    free(selection->layer);
    *selection = (struct selection){.layer = NULL};
}

bool selection_has(const struct selection *selection, int layer, int filter) {
    const struct range *range = &selection->filters;
    return selection->layer[layer] && filter >= range->first && (range->last < 0 || filter < range->last);
}

/* The size of pictures ------------------------------------------------------------------------------------------- */

/* A layer for which an octave is too small, and the least extent that isn't. */
static int refuse_small(const struct options *options, const struct ascent_job *job, const char *layer, int least,
                        struct error *error) {
    int size = octaves_least_extent(least, options->factor, options->steps - (job->recipe == RECIPE_FOURIER));
    char remedy[80] = "fewer --upscaling-steps";
    if (size)
        snprintf(remedy, sizeof remedy, "at least --size %d%s", size,
                 options->steps > 1 ? ", or fewer --upscaling-steps" : "");
    return error_set(error, STATUS_USAGE,
                     "--size %dx%d: too small for %s, whose map would be empty at the first octave (%dx%d); give %s",
                     options->size.width, options->size.height, layer, job->octaves.width[0], job->octaves.height[0],
                     remedy);
}

/* A layer that is there for some sizes only, such as one behind a flattened map. */
static int refuse_size(const struct ascent_job *job, int octave, const struct graph *graph, const char *layer,
                       const char *why, struct error *error) {
    char remedy[80] = "another --size";
    if (graph->width)
        snprintf(remedy, sizeof remedy, "--size %dx%d --upscaling-factor 1, the network's own size", graph->width,
                 graph->height);
    return error_set(error, STATUS_USAGE, "%s: can't be drawn at %dx%d pixels, one of the octaves: %.*s; give %s",
                     layer, job->octaves.width[octave], job->octaves.height[octave], (int)strcspn(why, ";"), why,
                     remedy);
}

static int check_layer(const struct options *options, const struct ascent_job *job, const struct model *model,
                       const struct layer *layer, struct graph_shape *shapes, struct error *error) {
    int stage = model->graph.node[layer->node].stage;
    for (int octave = 0; octave < job->octaves.steps; octave++) {
        int height = job->octaves.height[octave], width = job->octaves.width[octave];
        struct error why;
        int status = graph_shapes(&model->graph, height, width, stage, shapes, &why);
        if (!status)
            continue;
        if (status != STATUS_USAGE)
            return error_set(error, status, "%s", why.message);
        int least = graph_least_extent(&model->graph, stage);
        if (octave == 0 && (height < least || width < least) && !graph_needs_size(&model->graph, stage))
            return refuse_small(options, job, layer->name, least, error);
        return refuse_size(job, octave, &model->graph, layer->name, why.message, error);
    }
    return STATUS_OK;
}

int selection_check_size(const struct selection *selection, const struct options *options, const struct model *model,
                         struct error *error) {
    const struct ascent_job job = options_job(options);
    struct graph_shape *shapes = malloc((size_t)model->graph.nodes * sizeof *shapes);
    int status = shapes ? STATUS_OK : error_memory(error, model->graph.nodes * (double)sizeof *shapes, "shapes");
    for (int l = model->layers.count - 1; l >= 0 && !status; l--)
        if (selection->layer[l])
            status = check_layer(options, &job, model, &model->layers.layer[l], shapes, error);
    free(shapes);
    return status;
}
