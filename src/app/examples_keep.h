/* What rank 0 does for `examples` while the ranks work: which images are to be looked at, what is known of them, which
 * parts are to be cut, and keeping it all. */
#ifndef EXAMPLES_KEEP_H
#define EXAMPLES_KEEP_H

#include "examples_work.h"
#include "filteratlas/atlas/examples.h"
#include "filteratlas/cluster/tasks.h"
#include "image_list.h"

/* A part that isn't there yet. */
struct examples_need {
    int image, filter; /* numbers among all */
};

struct examples_keeper {
    const char *folder; /* of the atlas */
    const struct image_list *list;
    const struct examples_worker *worker;
    struct examples examples;
    bool quiet;
    /* looking */
    int *to_do; /* [images_to_do] their numbers among all */
    int images_to_do, block, done;
    struct examples_skipped *skipped; /* [skipped_count], room for all */
    int skipped_count;
    bool changed;           /* since the state was written */
    double next_write;      /* not before that, seconds of the monotonic clock */
    double start, next_say; /* of the looking; of the next line */
    /* cutting */
    struct examples_need *need; /* [needs], by image */
    int needs, *first_need, tasks, missing;
    struct graph_field *field; /* [examples.layers] what positions of its map see */
};

/* What is known already and what is to be done; folder, list, worker, quiet are there. Release with
 * examples_keeper_free, after a failure too. */
int examples_keeper_make(struct examples_keeper *keeper, int top, struct error *error);
void examples_keeper_free(struct examples_keeper *keeper);

/* Looking: the tasks for that many ranks. Afterwards, also if it was stopped, examples_write_known. */
struct task_keeping examples_looking(struct examples_keeper *keeper, int ranks);
int examples_write_known(struct examples_keeper *keeper, struct error *error);

/* Cutting what the lists need and hasn't been cut yet. */
int examples_cutting(struct examples_keeper *keeper, struct task_keeping *keeping, struct error *error);

/* All that is made at the end. */
int examples_finish(struct examples_keeper *keeper, struct error *error);

#endif
