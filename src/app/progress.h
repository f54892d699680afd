/* What rank 0 tells while it draws: a bar on a terminal, lines in a log. All on standard output. */
#ifndef FILTERATLAS_PROGRESS_H
#define FILTERATLAS_PROGRESS_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/model/layers.h"
#include "options.h"

struct progress {
    enum progress_style style; /* never PROGRESS_AUTO */
    bool verbose;
    const struct layers *layers;
    const struct unit_list *units;
    int filters, live, dead; /* to draw; drawn */
    double cost, cost_done;
    double drawing;                  /* seconds that ranks have spent in the ascent */
    double start, shown;             /* seconds of the monotonic clock; of the last line */
    char last[LAYER_NAME_SIZE + 48]; /* "block5_conv1 42 loss 1.234" */
};

/* Starts the clock. Layers and units must outlive the progress. */
void progress_start(struct progress *progress, const struct options *options, const struct layers *layers,
                    const struct unit_list *units);

/* A filter came in; with NULL, only time has passed. To be given to distribute. */
void progress_filter(struct progress *progress, int layer, const struct store_filter *filter);

/* Takes the bar off the terminal. */
void progress_end(struct progress *progress);

/* "1:02:03" or "2:03". */
void progress_format_time(double seconds, char text[24]);

#endif
