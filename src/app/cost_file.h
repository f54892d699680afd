/* What filters took in an earlier run: its losses.csv. */
#ifndef COST_FILE_H
#define COST_FILE_H

#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/model/layers.h"

/* Of a layer. */
struct layer_times {
    double *seconds; /* [filter], of one rank; negative where the file has none */
    double mean;     /* of those that the file has, negative if none */
};

struct cost_file {
    struct layer_times *layer; /* [layers] */
    int layers;
    double scale; /* seconds of the file for a nominal second of cost.h */
    int filters;
};

/* If the file lies in an atlas, its job.txt says whose times these are: STATUS_USAGE names what differs from the job
 * wanted, but for seed and batch, which cost nothing and are reckoned with. */
int cost_file_check(const char *path, const struct store_entry *job, int entries, struct error *error);

/* STATUS_USAGE names the line that can't be used. Release with cost_file_free, after a failure too. */
int cost_file_read(const char *path, const struct layers *layers, const struct unit_list *list, struct cost_file *costs,
                   struct error *error);
void cost_file_free(struct cost_file *costs);

/* Seconds for a piece of a unit, given the list's --batch. */
double cost_file_seconds(const struct cost_file *costs, const struct unit_list *list, const struct unit *piece);

#endif
