/* Which layers and filters a person asked for. */
#ifndef FILTERATLAS_SELECTION_H
#define FILTERATLAS_SELECTION_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/octaves.h"
#include "filteratlas/model/vgg.h"
#include "options.h"

#include <stdbool.h>

struct selection {
    bool layer[VGG_MAX_LAYERS];
    struct range filters;
};

/* Whether the comma-separated names and globs (fnmatch) of list match a layer's name; a NULL list matches all. */
bool selection_list_matches(const char *list, const char *name);

/* Marks in chosen[count] the names that list matches. An entry that matches no name is STATUS_USAGE. */
int selection_of_names(const char *list, const char *const *names, int count, bool *chosen, struct error *error);

/* The layers and filters of the options, checked against the network: unknown names, ranges that leave a layer. */
int selection_make(const struct options *options, const struct vgg *net, struct selection *selection,
                   struct error *error);

/* Whether a filter is selected. */
bool selection_has(const struct selection *selection, int layer, int filter);

/* STATUS_USAGE if the smallest octave leaves a selected layer an empty map; the message gives the least --size. */
int selection_check_size(const struct selection *selection, const struct options *options, const struct vgg *net,
                         struct error *error);

#endif
