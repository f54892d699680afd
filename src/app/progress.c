#include "progress.h"
#include "filteratlas/base/clock.h"
#include "filteratlas/cluster/launcher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 24 };
static const double LINE_SECONDS = 10, BAR_SECONDS = 0.2;

void progress_format_time(double seconds, char text[24]) {
    long s = (long)fmin(fmax(seconds, 0) + 0.5, 1e9);
    if (s >= 3600)
        snprintf(text, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 24, "%ld:%02ld", s / 60, s % 60);
}

void progress_start(struct progress *progress, const struct options *options, const struct layers *layers,
                    const struct unit_list *units) {
    *progress =
        (struct progress){.style = options->progress, .verbose = options->verbose, .layers = layers, .units = units};
    if (progress->style == PROGRESS_AUTO)
        progress->style = launcher_on_terminal() ? PROGRESS_BAR : PROGRESS_LINES;
    if (options->quiet)
        progress->style = PROGRESS_NONE;
    progress->filters = unit_list_filters(units);
    progress->cost = unit_list_cost(units);
    progress->start = progress->shown = clock_now();
}

static void show(struct progress *progress, double now) {
    int done = progress->live + progress->dead;
    double elapsed = now - progress->start,
           share = progress->cost > 0 ? fmin(progress->cost_done / progress->cost, 1) : 1;
    char left[24] = "?";
    if (share > 0)
        progress_format_time(elapsed * (1 - share) / share, left);
    progress->shown = now;
    if (progress->style == PROGRESS_BAR) {
        char bar[BAR_WIDTH + 1];
        for (int i = 0; i < BAR_WIDTH; i++)
            bar[i] = i < share * BAR_WIDTH ? '#' : '.';
        bar[BAR_WIDTH] = 0;
        printf("\r\033[K[%s] %d/%d  %.2f/s  %s left  %s", bar, done, progress->filters, done / elapsed, left,
               progress->last);
    } else {
        printf("%d of %d filters, %.2f filters/s, %s left, last %s\n", done, progress->filters, done / elapsed, left,
               progress->last);
    }
    fflush(stdout);
}

static void count(struct progress *progress, int layer, const struct store_filter *filter) {
    const struct unit_list *units = progress->units;
    progress->live += !filter->dead;
    progress->dead += filter->dead;
    progress->drawing += filter->seconds;
    progress->cost_done += units->costs[layer].seconds[units->batch] / units->batch;
    snprintf(progress->last, sizeof progress->last, "%s %d %s %.4g", progress->layers->layer[layer].name, filter->index,
             filter->dead ? "dead at loss" : "loss", filter->loss);
    if (progress->verbose && progress->style != PROGRESS_NONE)
        printf("%s%s, %.2f s on rank %d\n", progress->style == PROGRESS_BAR ? "\r\033[K" : "", progress->last,
               filter->seconds, filter->rank);
}

void progress_filter(struct progress *progress, int layer, const struct store_filter *filter) {
    if (filter)
        count(progress, layer, filter);
    if (progress->style == PROGRESS_NONE)
        return;
    double now = clock_now();
    if (now - progress->shown >= (progress->style == PROGRESS_BAR ? BAR_SECONDS : LINE_SECONDS) &&
        (filter || progress->style == PROGRESS_BAR) && progress->live + progress->dead)
        show(progress, now);
}

void progress_end(struct progress *progress) {
    if (progress->style == PROGRESS_BAR)
        printf("\r\033[K");
}
