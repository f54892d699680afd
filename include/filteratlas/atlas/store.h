/* The durable store of a job: a folder that holds the job's description, every picture drawn and, per unit of work, a
 * record of what came out.
 *
 *   DIR/job.txt                        one "name = value" line per entry
 *   DIR/filters/block5_conv1/0042.png  the picture of a live filter
 *   DIR/units/block5_conv1/00005.txt   the record of unit 5 of the layer, dead filters included
 *   DIR/units/block5_conv1/00005.CRC.csv   the losses of every iteration, with --trace
 *
 * A record is text: a first line "filteratlas unit 1", "unit LAYER UNIT", then one line per filter in rising order,
 * "INDEX live|dead LOSS SECONDS RANK BYTES CRC" (loss with 17 digits; length and CRC-32 of the PNG file, 0 0 for dead
 * filters) and, if it was rescued, " retry N" or " leak", then "crc CRC" over all lines before. A line "kernels NAME"
 * says with which kernels the filters below it were drawn. A filter counts as drawn only when its record is whole and
 * its file matches it. A unit with a trace has the line "trace BYTES CRC" before the last; CRC is part of the trace's
 * name, so that record and trace change together. Records of older programs have neither unit nor kernels. Rank 0 alone
 * writes to a store; ranks of its node read from it.
 *
 * Nothing is believed that the store did not write: what has another name or is of another kind (a stray file, a copy
 * of a folder, a pipe, a link) is ignored, and what is damaged is named. */
#ifndef FILTERATLAS_STORE_H
#define FILTERATLAS_STORE_H

#include "filteratlas/atlas/durable.h"
#include "filteratlas/atlas/lock.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"
#include "filteratlas/base/sha256.h"
#include "filteratlas/base/text.h"
#include "filteratlas/model/layers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line of job.txt. */
struct store_entry {
    const char *name;
    const char *value;
};

/* job.txt, read. Starts as {0}; names and values live in *text. */
struct store_job {
    struct text text;
    struct store_entry *entry; /* [count] */
    int count;
    char digest[SHA256_HEX_SIZE]; /* of the file */
};

enum { STORE_RESCUE_SIZE = 16, STORE_KERNELS_SIZE = 32, STORE_NAME_SIZE = LAYER_NAME_SIZE };

/* What is known of a drawn filter. Plain data. */
struct store_filter {
    int index;
    bool dead;
    double loss;
    double seconds;                   /* of one rank's time */
    int rank;                         /* that drew it */
    size_t bytes;                     /* of the PNG file, 0 if dead */
    uint32_t crc;                     /* CRC-32 of the PNG file, 0 if dead */
    char rescue[STORE_RESCUE_SIZE];   /* what kept it from death, "retry 2" or "leak"; mostly "" */
    char kernels[STORE_KERNELS_SIZE]; /* it was drawn with, "avx512 SkylakeX"; "": not known */
};

/* The filters of one layer, rising by index. */
struct store_layer {
    char name[STORE_NAME_SIZE];
    struct store_filter *filter;
    int count;
};

struct store {
    char folder[DURABLE_PATH_SIZE - 256]; /* leaves room for the names below it */
    char job_digest[SHA256_HEX_SIZE];     /* of job.txt */
    char prefix[LAYERS_NETWORK_SIZE];     /* of the mosaics' names: "vgg", or the network of job.txt */
    const char *begun;                    /* of store_open_other, or NULL; static */
    const struct lock *lock;              /* what the writer holds, or NULL; not owned */
};

/* What is not as the records say: pictures and records. Starts as {0}. */
struct store_damage {
    int count;
    struct text names; /* of the first few, as "filters/block1_conv1/0001.png, ..." */
};

/* Makes the folder and job.txt, or checks that the job.txt there says the same: if not, STATUS_OTHER_JOB with a message
 * that names every entry that differs or that only one of both has. A folder in which nothing was drawn yet and that
 * nobody is drawing into holds no job: its job.txt is replaced. A folder that can't be used is STATUS_USAGE. */
int store_open(const char *folder, const struct store_entry *job, int entries, const struct lock_patience *patience,
               struct store *store, struct error *error);

/* The same of a folder that has a job.txt and locks, but something else than pictures: when a file of the name `begun`
 * is in it, it holds its job. */
int store_open_other(const char *folder, const char *begun, const struct store_entry *job, int entries,
                     const struct lock_patience *patience, struct store *store, struct error *error);

/* A store that is there already, whatever its job. STATUS_USAGE if the folder has no job.txt, or one that is not what
 * it was when the pictures were drawn. */
int store_open_existing(const char *folder, struct store *store, struct error *error);

/* Makes this process the one writer of the layers, in a store from store_open: takes their locks, which the caller
 * releases with lock_release(*lock), and puts them into *store. A commit after one was lost is refused with
 * STATUS_FAILURE. STATUS_OTHER_JOB if another job was begun in the folder meanwhile. */
int store_begin(struct store *store, const char *const *layers, int count, const struct lock_patience *patience,
                struct lock **lock, struct error *error);

/* Reads FOLDER/job.txt. Release with store_job_free, after a failure too. */
int store_read_job(const char *folder, struct store_job *job, struct error *error);
void store_job_free(struct store_job *job);

/* The value of an entry, NULL if there is none of that name. */
const char *store_job_value(const struct store_job *job, const char *name);

/* Appends ", NAME (VALUE there, now VALUE)" for every entry in which the job found differs from the one wanted, but for
 * those called as one of except[], which ends with NULL. */
void store_job_differences(const struct store_job *found, const struct store_entry *wanted, int entries,
                           const char *const *except, struct text *differences);

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
int store_rename_pictures(const struct store *store, const char *layer, const struct store_filter *filters, int count,
                          struct error *error);
int store_sync_pictures(const struct store *store, const char *layer, struct error *error);
int store_write_record(const struct store *store, const char *layer, int unit, const struct store_filter *filters,
                       int count, const char *trace, struct error *error);
int store_sync_records(const struct store *store, const char *layer, struct error *error);
void store_remove_old_traces(const struct store *store, const char *layer, int unit);

/* All drawn filters of a layer (none if the store has no such layer), but for those whose picture or record is damaged:
 * these are added to *damage, and a render draws them again. Reads every picture. The caller releases *layer with
 * store_layer_free, after a failure too. */
int store_read_layer(const struct store *store, const char *name, const struct interrupt *interrupt,
                     struct store_layer *layer, struct store_damage *damage, struct error *error);
void store_layer_free(struct store_layer *layer);

/* The same without a look at the pictures, for a writer that has had them checked before it began. */
int store_read_records(const struct store *store, const char *name, struct store_layer *layer,
                       struct store_damage *damage, struct error *error);

/* Adds to *damage the pictures of this job that no record names, though nobody draws their layer and nobody was killed
 * over it: their records are gone. Not in layers of whose records some are damaged. */
void store_find_orphans(const struct store *store, struct store_damage *damage);

/* "filters/block1_conv1/0001.png and 3 more", for a message. */
void store_damage_describe(const struct store_damage *damage, struct text *text);
void store_damage_free(struct store_damage *damage);

/* Whether a filter is among those of a layer. */
bool store_layer_has(const struct store_layer *layer, int filter);

/* Names of layers. */
struct store_names {
    char (*name)[STORE_NAME_SIZE]; /* [count] */
    int count;
};

/* The names of all layers in the store, in the order of the network (layer_list.h). A layer is a folder of units/ with
 * a record that doesn't say it is another layer's. Release with store_names_free, after a failure too. */
int store_layers(const struct store *store, struct store_names *names, struct error *error);
void store_names_free(struct store_names *names);

/* Path of the picture of a filter. */
void store_picture_path(const struct store *store, const char *layer, int filter, char path[DURABLE_PATH_SIZE]);

/* Calls visit with the path of every trace of a layer, in order of the units, until it fails. */
int store_visit_traces(const struct store *store, const char *layer,
                       int (*visit)(const char *path, void *context, struct error *error), void *context,
                       struct error *error);

#endif
