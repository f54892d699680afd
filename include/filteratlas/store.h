/* The durable store of a job: a folder that holds the job's description, every picture drawn and, per unit of work, a
 * record of what came out.
 *
 *   DIR/job.txt                        one "name = value" line per entry
 *   DIR/filters/block5_conv1/0042.png  the picture of a live filter
 *   DIR/units/block5_conv1/00005.txt   the record of unit 5 of the layer, dead filters included
 *   DIR/units/block5_conv1/00005.CRC.csv   the losses of every iteration, with --trace
 *
 * A record is text: a first line "filteratlas unit 1", then one line per filter in rising order,
 * "INDEX live|dead LOSS SECONDS RANK BYTES CRC" (loss with 17 digits; length and CRC-32 of the PNG file, 0 0 for dead
 * filters) and, if it was rescued, " retry N" or " leak", then "crc CRC" over all lines before. A filter counts as
 * drawn only when its record is whole and its file matches it. A unit with a trace has the line "trace BYTES CRC"
 * before the last; CRC is part of the trace's name, so that record and trace change together. Rank 0 alone writes to a
 * store; ranks of its node read from it. */
#ifndef FILTERATLAS_STORE_H
#define FILTERATLAS_STORE_H

#include "filteratlas/durable.h"
#include "filteratlas/error.h"
#include "filteratlas/lock.h"
#include "filteratlas/sha256.h"
#include "filteratlas/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line of job.txt. */
struct store_entry {
    const char *name;
    const char *value;
};

enum { STORE_RESCUE_SIZE = 16 };

/* What is known of a drawn filter. Plain data. */
struct store_filter {
    int index;
    bool dead;
    double loss;
    double seconds;                 /* of one rank's time */
    int rank;                       /* that drew it */
    size_t bytes;                   /* of the PNG file, 0 if dead */
    uint32_t crc;                   /* CRC-32 of the PNG file, 0 if dead */
    char rescue[STORE_RESCUE_SIZE]; /* what kept it from death, "retry 2" or "leak"; mostly "" */
};

/* The filters of one layer, rising by index. */
struct store_layer {
    char name[32];
    struct store_filter *filter;
    int count;
};

struct store {
    char folder[DURABLE_PATH_SIZE - 256]; /* leaves room for the names below it */
    char job_digest[SHA256_HEX_SIZE];     /* of job.txt */
    bool rescues;                         /* job.txt has an entry "dead": filters may be rescued */
    const struct lock *lock;              /* what the writer holds, or NULL; not owned */
    bool (*goes_on)(void *context);       /* asked now and then while a layer's files are made; NULL: always */
    void *context;
};

/* Makes the folder and job.txt, or checks that the job.txt there says the same: if not, STATUS_OTHER_JOB with a message
 * that names every entry that differs or that only one of both has. A folder that can't be used is STATUS_USAGE. */
int store_open(const char *folder, const struct store_entry *job, int entries, struct store *store,
               struct error *error);

/* A store that is there already, whatever its job. STATUS_USAGE if the folder has no job.txt. */
int store_open_existing(const char *folder, struct store *store, struct error *error);

/* The entries of job.txt, at most `most`, which live in *text; the caller frees that with text_free, after a failure
 * too. Returns their number in *count. */
int store_read_job(const struct store *store, struct text *text, struct store_entry *entries, int most, int *count,
                   struct error *error);

/* A writer takes the locks of the layers it will commit to first, with lock_take, and puts them into *store: a commit
 * after one was lost is refused with STATUS_FAILURE. */

/* Writes a live filter's PNG file under its temporary name and notes its length and checksum in *filter. Threads may do
 * so at once for different filters. */
int store_put_picture(const struct store *store, const char *layer, struct store_filter *filter, const void *png,
                      size_t size, struct error *error);

/* Makes the unit's filters, drawn and put before, part of the store: all of them or, if the process dies on the way,
 * none. Filters the unit's record names already stay. trace: CSV lines to keep, or NULL. */
int store_commit_unit(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                      int count, const char *trace, struct error *error);

/* The same in steps, for one that commits many units together: each step for all of them before the next, so that a
 * folder is flushed once for all. The names of the pictures; their flushing, by layer; the record, which must not be
 * written by two at once; its flushing, by layer; then, with a trace, what an older record named. */
int store_publish_pictures(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                           struct error *error);
int store_sync_pictures(const struct store *store, const char *layer, struct error *error);
int store_write_record(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                       int count, const char *trace, struct error *error);
int store_sync_records(const struct store *store, const char *layer, struct error *error);
void store_remove_old_traces(const struct store *store, const char *layer, int unit);

/* All drawn filters of a layer (none if the store has no such layer). *damaged counts those that a record names but
 * whose file doesn't match, and records that are not whole: they are left out and will be drawn again. The caller
 * releases *layer with store_layer_free, after a failure too. */
int store_read_layer(const struct store *store, const char *name, struct store_layer *layer, int *damaged,
                     struct error *error);
void store_layer_free(struct store_layer *layer);

/* The same without a look at the pictures, for a writer that has had them checked before it began. */
int store_read_records(const struct store *store, const char *name, struct store_layer *layer, int *damaged,
                       struct error *error);

/* Whether a filter is among those of a layer. */
bool store_layer_has(const struct store_layer *layer, int filter);

/* The names of all layers in the store, in the order of the network, at most `most`; returns their number. */
int store_layers(const struct store *store, char names[][32], int most);

/* Path of the picture of a filter. */
void store_picture_path(const struct store *store, const char *layer, int filter, char path[DURABLE_PATH_SIZE]);

/* Calls visit with the path of every trace of a layer, in order of the units, until it fails. */
int store_visit_traces(const struct store *store, const char *layer,
                       int (*visit)(const char *path, void *context, struct error *error), void *context,
                       struct error *error);

#endif
