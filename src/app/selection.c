#include "selection.h"

#include "filteratlas/base/text.h"
#include "nearest.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { PATTERN_SIZE = 128 };

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
 * it stands. */
static bool guess_pattern(const char *pattern, const char *const *names, int count, char guess[PATTERN_SIZE]) {
    int block, number, end = 0;
    const char *nearest = nearest_word(pattern, names, count);
    if (sscanf(pattern, "block%d_conv%d%n", &block, &number, &end) == 2 && !pattern[end])
        return false;
    if (sscanf(pattern, "conv%d_%d%n", &block, &number, &end) == 2 && !pattern[end]) /* as Caffe names them */
        snprintf(guess, PATTERN_SIZE, "block%d_conv%d", block, number);
    else if (nearest)
        snprintf(guess, PATTERN_SIZE, "%s", nearest);
    else
        snprintf(guess, PATTERN_SIZE, "%.100s_*", pattern); /* block5 */
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

static int check_filters(const struct range *range, const struct vgg_layer *layer, struct error *error) {
    if (range->first < layer->out_channels && range->last <= layer->out_channels)
        return STATUS_OK;
    char last[16] = "";
    if (range->last >= 0)
        snprintf(last, sizeof last, "%d", range->last);
    return error_set(error, STATUS_USAGE, "--filters %d:%s: %s has filters 0:%d; give a range within it", range->first,
                     last, layer->name, layer->out_channels);
}

int selection_make(const struct options *options, const struct vgg *net, struct selection *selection,
                   struct error *error) {
    const char *names[VGG_MAX_LAYERS];
    for (int l = 0; l < net->layers; l++)
        names[l] = net->layer[l].name;
    selection->filters = options->filters;
    int status = selection_of_names(options->layers, names, net->layers, selection->layer, error);
    for (int l = 0; l < net->layers && !status; l++)
        if (selection->layer[l])
            status = check_filters(&selection->filters, &net->layer[l], error);
    return status;
}

bool selection_has(const struct selection *selection, int layer, int filter) {
    const struct range *range = &selection->filters;
    return selection->layer[layer] && filter >= range->first && (range->last < 0 || filter < range->last);
}

int selection_check_size(const struct selection *selection, const struct options *options, const struct vgg *net,
                         struct error *error) {
    const struct ascent_job job = options_job(options);
    int width = job.octaves.width[0], height = job.octaves.height[0];
    for (int l = net->layers - 1; l >= 0; l--) {
        int least = vgg_least_extent(net, l);
        if (!selection->layer[l] || (width >= least && height >= least))
            continue;
        int size = octaves_least_extent(least, options->factor, options->steps - (job.recipe == RECIPE_FOURIER));
        char remedy[48] = "";
        if (size)
            snprintf(remedy, sizeof remedy, "at least --size %d, or ", size);
        return error_set(error, STATUS_USAGE,
                         "--size %dx%d: too small for %s, whose map would be empty at the first octave (%dx%d); give "
                         "%sfewer --upscaling-steps",
                         options->size.width, options->size.height, net->layer[l].name, width, height, remedy);
    }
    return STATUS_OK;
}
