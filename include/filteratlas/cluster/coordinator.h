/* What rank 0 decides in a run: who draws what, what is kept, what is published, when to stop. A state machine: events
 * and the time go in, actions come out. It knows neither MPI nor a clock, a file or a thread: driver.h connects it to
 * them, `plan` and tests/sim to a simulated world.
 *
 *   rank:   READY -> (order DRAW)    -> FILTER ... FILTER, DONE or FAILED -> READY -> ...
 *                 -> (order PUBLISH) -> PUBLISHED or FAILED               -> READY -> ...
 *                 -> (order END)     -> ENDED
 *   disk:   (action COMMIT) -> COMMITTED or COMMIT_FAILED, in any order
 *
 * Messages between the coordinator and one rank keep their order. A rank that was told to CANCEL answers as before,
 * soon: with what it had finished, or FAILED. Every rank says ALIVE once a second, whatever it does. */
#ifndef FILTERATLAS_COORDINATOR_H
#define FILTERATLAS_COORDINATOR_H

#include "filteratlas/base/error.h"
#include "filteratlas/cluster/cluster.h"
#include "filteratlas/cluster/schedule.h"
#include "filteratlas/cluster/stop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a rank is to do. Plain data. */
enum order_kind {
    ORDER_DRAW,    /* the unit */
    ORDER_PUBLISH, /* the files of the unit's layer */
    ORDER_TABLES,  /* the files of all layers together: given to rank 0 alone */
    ORDER_END,     /* nothing more */
    ORDER_CANCEL,  /* what it is doing need not be finished */
    ORDER_HEARD    /* its ALIVE has come: the coordinator lives, too */
};

struct order {
    enum order_kind kind;
    struct unit unit;
};

enum event_kind {
    EVENT_TIME,         /* nothing but time has passed */
    EVENT_READY,        /* a rank asks for an order: seconds_per_cost, waited */
    EVENT_FILTER,       /* a filter of the unit it draws has come in: filter, bytes */
    EVENT_DONE,         /* the unit is complete */
    EVENT_PUBLISHED,    /* the layer's files, or those of all layers, are made */
    EVENT_FAILED,       /* the order was not carried out: error */
    EVENT_ALIVE,        /* a sign of life: progress */
    EVENT_ENDED,        /* it has taken ORDER_END; its last message */
    EVENT_SIGNAL,       /* a rank's process was asked to stop: signal */
    EVENT_STOP_FILE,    /* the file that asks for a stop was there */
    EVENT_COMMITTED,    /* a commit is on the disk: unit, bytes */
    EVENT_COMMIT_FAILED /* a commit, and with it the disk: error */
};

struct event {
    enum event_kind kind;
    int rank;
    int filter;              /* index in its layer */
    size_t bytes;            /* of pictures; 0 for a dead filter */
    double seconds_per_cost; /* of the first READY: how fast the rank has found itself, cost.h; 0: unknown */
    double waited;           /* seconds: of READY, for the last order to draw; of COMMITTED, since it was handed in */
    uint64_t progress;       /* any number that changes while the rank's work gets on */
    int signal;
    struct unit unit;          /* as the action COMMIT had it */
    const struct error *error; /* for the time of the step */
};

enum action_kind {
    ACTION_ORDER,  /* to rank: order */
    ACTION_COMMIT, /* keep what came in of order.unit from rank; nobody else will ask for these filters */
    ACTION_SAY,    /* a line for the log: coordinator_line */
    ACTION_ABORT,  /* a rank can't be reached any more: end all processes at once; coordinator_end has the message */
    ACTION_END     /* all ranks have ended; commits that have not come back need not be finished */
};

struct action {
    enum action_kind kind;
    int rank;
    struct order order;
};

struct actions {
    struct action *action; /* in the order in which they are to be carried out */
    int count, capacity;
};

/* Pictures that may wait for the disk on a machine with memory enough. */
#define COORDINATOR_QUEUE_BYTES ((size_t)1 << 30)

/* Times in seconds of the clock that is given to coordinator_step. */
struct coordinator_job {
    struct stop_rules stop;
    struct schedule *schedule; /* what is to be drawn, for so many ranks */
    int layers;
    const bool *publish; /* [layers] whose files are made as soon as all that is wanted of them is committed; NULL: none
                          */
    bool tables;         /* whether those of all layers are made then */
    size_t queue_bytes;  /* of pictures that may wait for the disk before ranks must wait, too */
    const int *leader;   /* [ranks] the first rank of each rank's node; ranks of rank 0's node may publish */
    char (*hosts)[CLUSTER_HOST_SIZE]; /* [ranks] for messages; NULL: not known */
};

/* Where the ranks' time went, in seconds of all ranks together. */
struct coordinator_account {
    double waited; /* from asking for an order to draw to getting it, as the ranks saw it */
    double held;   /* by ranks without an order while too much waited for the disk */
    double commit; /* from the last filter's arrival to the disk, of the slowest commit */
    size_t most;   /* bytes that ever waited for the disk */
    int commits;
};

struct coordinator;

/* *job is copied, what it points to must outlive the coordinator. Release with coordinator_free, also after a failure.
 */
int coordinator_make(const struct coordinator_job *job, double time, struct coordinator **coordinator,
                     struct error *error);
void coordinator_free(struct coordinator *coordinator);

/* One event, and everything that follows from it and from the time, which must not fall. To be called at least ten
 * times a second, with EVENT_TIME if nothing happens, and no more after ACTION_END or ACTION_ABORT. The actions hold
 * until the next step. */
const struct actions *coordinator_step(struct coordinator *coordinator, const struct event *event, double time);

/* What ACTION_SAY says. */
const char *coordinator_line(const struct coordinator *coordinator);

/* How it ended: STATUS_OK when all is drawn, committed and published; STATUS_STOPPED; or the first failure. */
int coordinator_end(const struct coordinator *coordinator, struct error *error);

struct coordinator_account coordinator_account(const struct coordinator *coordinator);

#endif
