/* Which layers and filters a person asked for. */
#ifndef FILTERATLAS_SELECTION_H
#define FILTERATLAS_SELECTION_H

#include "filteratlas/base/error.h"
#include "filteratlas/model/model.h"
#include "options.h"

#include <stdbool.h>

struct selection {
    bool *layer; /* [the network's layers], owned */
    struct range filters;
    bool unusual; /* whether any of them is one that has to be asked for */
};

/* Whether the comma-separated names and globs (fnmatch) of list match a layer's name; a NULL list matches all. */
bool selection_list_matches(const char *list, const char *name);

/* Marks in chosen[count] the names that list matches. An entry that matches no name is STATUS_USAGE. */
int selection_of_names(const char *list, const char *const *names, int count, bool *chosen, struct error *error);

/* The layers and filters of the options, checked against the network: unknown names, ranges that leave a layer. Without
 * a list it is the usual layers; an entry stands for those it matches by either name or, if for none, for the others:
 * 'block1_*' are convolutions, not once more the activations behind them. Release with selection_free, after a failure
 * too. */
int selection_make(const struct options *options, const struct layers *layers, struct selection *selection,
                   struct error *error);
void selection_free(struct selection *selection);

/* Whether a filter is selected. */
bool selection_has(const struct selection *selection, int layer, int filter);

/* STATUS_USAGE if a selected layer has no map at some octave; the message says what to give instead. */
int selection_check_size(const struct selection *selection, const struct options *options, const struct model *model,
                         struct error *error);

#endif
