#include "filteratlas/cluster/disk.h"

#include "committer.h"
#include "filteratlas/base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A store that lives as long as the measurement. */
struct trial {
    char folder[DURABLE_PATH_SIZE];
    struct store store;
    struct layer layer;
    struct layers layers;
    struct committer *committer;
    size_t picture_bytes;
    int units; /* committed so far */
};

/* Cuts the path down to a folder that is there. */
static void find_existing(char *path) {
    while (access(path, F_OK) && strcmp(path, ".")) {
        char *slash = strrchr(path, '/');
        if (!slash)
            strcpy(path, ".");
        else
            slash[slash == path] = 0;
    }
}

static int make_folder(const char *below, struct trial *trial, struct error *error) {
    char existing[DURABLE_PATH_SIZE - 64];
    if (strlen(below) >= sizeof existing)
        return error_set(error, STATUS_USAGE, "%.64s...: too long a path", below);
    strcpy(existing, below);
    find_existing(existing);
    snprintf(trial->folder, sizeof trial->folder, "%s/.filteratlas-plan.XXXXXX", existing);
    if (!mkdtemp(trial->folder))
        return error_set(error, STATUS_USAGE,
                         "%s: nothing can be written there: %s; give a folder of your own as --out", existing,
                         strerror(errno));
    return STATUS_OK;
}

static struct commit *make_commit(struct trial *trial) {
    struct unit unit = {.index = trial->units++, .wanted = 1};
    struct commit *commit = calloc(1, sizeof *commit);
    struct report *picture = report_make(EVENT_FILTER, &unit, 0, trial->picture_bytes);
    if (!commit || !picture) {
        free(commit);
        free(picture);
        return NULL;
    }
    picture->filter = (struct store_filter){.index = unit.index};
    *commit = (struct commit){.unit = unit, .pictures = picture, .bytes = trial->picture_bytes};
    return commit;
}

static int take_all(struct trial *trial, int count, struct error *error) {
    int status = STATUS_OK;
    for (int done = 0; done < count;) {
        struct commit *commit = committer_take(trial->committer);
        if (!commit) {
            clock_pause(1e-4);
            continue;
        }
        done++;
        if (commit->status && !status)
            *error = commit->error;
        status = status ? status : commit->status;
        commit_free(commit);
    }
    return status;
}

/* *seconds: the least that a batch of `count` units of a picture each takes, of as many as half a second holds. */
static int time_batch(struct trial *trial, int count, double *seconds, struct error *error) {
    static const double enough = 0.5;
    int status = STATUS_OK;
    *seconds = INFINITY;
    for (double start = clock_now(); !status && (*seconds == INFINITY || clock_now() - start < enough);) {
        struct commit *commits[COMMITTER_MOST_UNITS];
        for (int i = 0; i < count; i++)
            if (!(commits[i] = make_commit(trial)))
                return error_memory(error, (double)count * (double)trial->picture_bytes, "pictures");
        double begin = clock_now();
        committer_add_all(trial->committer, commits, count);
        status = take_all(trial, count, error);
        *seconds = fmin(*seconds, clock_now() - begin);
    }
    return status;
}

int disk_measure(const char *folder, size_t picture_bytes, struct commit_time *time, struct error *error) {
    struct trial trial = {.layer = {.name = "measured"}, .layers = {.count = 1}, .picture_bytes = picture_bytes};
    const struct store_entry job = {"job", "measurement"};
    double one = 0, many = 0;
    trial.layers.layer = &trial.layer;
    int status = make_folder(folder, &trial, error);
    if (status)
        return status;
    status = store_open(trial.folder, &job, 1, NULL, &trial.store, error);
    if (!status)
        status = committer_start(&trial.store, &trial.layers, 1, &trial.committer, error);
    if (!status)
        status = time_batch(&trial, 1, &one, error);
    if (!status)
        status = time_batch(&trial, COMMITTER_MOST_UNITS, &many, error);
    committer_end(trial.committer);
    time->picture = fmax((many - one) / (COMMITTER_MOST_UNITS - 1), 0);
    time->batch = fmax(one - time->picture, 0);
    struct error ignored;
    int removed = durable_remove_folder(trial.folder, status ? &ignored : error);
    return status ? status : removed;
}
