/* A job in virtual time: the coordinator itself, among ranks, a disk, a launcher and a person that are simulated, with
 * all the trouble that a seed brings. */
#ifndef WORLD_H
#define WORLD_H

#include "cluster/awake.h"
#include "filteratlas/cluster/coordinator.h"
#include "random.h"

#include <stdbool.h>
#include <stdint.h>

enum { MOST_RANKS = 4096, MOST_LAYERS = 6, MOST_FILTERS = 4096, MOST_SIGNALS = 3 };

/* What was drawn, over all runs of a job: how often each filter was committed. */
struct shelf {
    int layers, filters, batch; /* in each layer */
    uint8_t times[MOST_LAYERS][MOST_FILTERS];
};

/* What goes wrong, and when: INFINITY is never. */
struct trouble {
    double all_from, all_to; /* every process is suspended */
    double one_from, one_to; /* one is */
    int one;
    double dies; /* a rank is gone */
    int victim;
    bool launcher_notices; /* and ends the job */
    double sticks;         /* a rank's drawing thread hangs */
    int stuck;
    double fails; /* a rank can't carry out its order */
    int failing;
    double killed;     /* all processes at once */
    double disk_fails; /* each commit from then on */
    double disk_stalls, disk_goes_on;
    double flush; /* seconds of one */
    double late;  /* the last rank's first question */
    double signal_at[MOST_SIGNALS];
    int signal[MOST_SIGNALS], signalled[MOST_SIGNALS]; /* which, to which rank; -1: to all */
    double file_at;
    double latency; /* at most, of a message */
};

/* How a job ended. */
enum outcome {
    OUTCOME_NONE,    /* it did not */
    OUTCOME_END,     /* by ACTION_END */
    OUTCOME_ABORT,   /* by ACTION_ABORT */
    OUTCOME_RANK,    /* a rank missed rank 0 */
    OUTCOME_LAUNCHER /* the launcher saw a rank die */
};

struct rank {
    enum { RANK_STARTING, RANK_ASKING, RANK_WORKING, RANK_ENDED } state;
    struct order order;
    int work;             /* counts orders: a happening of an older one is void */
    double speed, trial;  /* seconds per cost, and what it believes */
    double asleep;        /* until then the process stands still */
    double owed;          /* seconds that it has slept through at the work in hand */
    double to_rank, to_0; /* when the last message arrives */
    bool dead, stuck, cancelled;
    bool due; /* a sign of life is unanswered */
    struct awake awake;
    double heard;
    uint64_t progress;
    double finish; /* of the work in hand */
};

struct happening {
    double time;
    uint64_t number; /* earlier ones come first */
    enum {
        HAPPENS_TURN,     /* rank 0's main thread looks around */
        HAPPENS_EVENT,    /* a message, or news of the disk, for rank 0 */
        HAPPENS_ORDER,    /* a message for a rank */
        HAPPENS_WORK,     /* a rank is done with its order */
        HAPPENS_REACTION, /* a rank has seen that it was told to cancel */
        HAPPENS_BEAT,
        HAPPENS_READY,   /* a rank asks for the first time */
        HAPPENS_FLUSHED, /* the disk is done with a batch */
        HAPPENS_SIGNAL,
        HAPPENS_TROUBLE /* see struct trouble: look what it is time for */
    } kind;
    int rank, work;
    struct event event;
    struct order order;
};

struct pending {
    struct unit unit;
    size_t bytes;
    double since;
};

struct world {
    struct random random;
    struct trouble trouble;
    struct coordinator *coordinator;
    struct coordinator_job job;
    struct layer_cost costs[MOST_LAYERS];
    bool publish[MOST_LAYERS];
    struct unit_list list;
    struct schedule schedule;
    struct shelf *shelf;
    int ranks;
    struct rank *rank;
    int *leader;
    double layer_seconds; /* of one layer of one picture: so long a rank takes to see a cancel */
    double now;
    struct happening *heap;
    int happenings, capacity;
    uint64_t number;
    struct pending *disk; /* what waits for it */
    int waiting, room, batch;
    bool flushing;
    /* what was seen, for the judge */
    enum outcome outcome;
    int status;
    struct error error;
    double ended;       /* when */
    uint64_t *handed;   /* [units of the list] */
    size_t queued;      /* bytes, by our own count */
    size_t *incoming;   /* [ranks] bytes */
    uint64_t *received; /* [ranks] filters */
    bool ordered[MOST_LAYERS], published[MOST_LAYERS];
    bool tables;
    int left;         /* filters that the coordinator doesn't know to be committed */
    double stop_told; /* when the coordinator first heard of a reason to stop */
    double drop_due;  /* when units in flight may be called off, by its rules */
    double give_up;   /* when commits may be */
    int last_signal;
    bool failure_told, disk_told; /* it heard of a failure, of the disk's */
    double active;                /* when anybody but the coordinator was last busy */
    double idle_from;             /* when the drawing thread that sticks stuck at work, by rank 0's time */
    char wrong[256];              /* the first promise that was broken; "" for none */
};

/* Makes a job that draws what the shelf lacks, with the trouble of the seed. */
void world_make(uint64_t seed, bool calm, struct shelf *shelf, struct world *world);
void world_run(struct world *world);
void world_free(struct world *world);

/* Notes what is wrong; the first counts. */
void world_wrong(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the judge has to say: of an action, when it is taken; of an event, before the coordinator gets it; of the end.
 */
void judge_action(struct world *world, const struct action *action);
void judge_event(struct world *world, const struct event *event);
void judge_end(struct world *world);

#endif
