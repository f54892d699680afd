#include "filteratlas/cluster/tasks.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/base/thread.h"
#include "tags.h"

#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double PAUSE = 2e-3; /* seconds from one look to the next */

/* What a rank has to say: at first, and after each task. The result follows in a message of its own. Plain data. */
struct answer {
    int task; /* -1: none, it only asks for one */
    int status;
    int signal; /* its process has caught */
    struct error error;
    size_t size; /* of the result */
};

/* Interrupting ---------------------------------------------------------------------------------------------------- */

struct patience {
    const struct task_work *work;
    int signal;       /* the first that was seen, 0: none; another one means: at once */
    double signalled; /* when it was */
};

static bool goes_on(void *context) {
    struct patience *patience = context;
    int signal = stop_signal();
    double now = clock_now(), grace = patience->work->grace;
    if (grace < 0)
        grace = stop_signal_grace(signal);
    if (signal && !patience->signal) {
        patience->signal = signal;
        patience->signalled = now;
    }
    return now < patience->work->limit && signal == patience->signal && (!signal || now - patience->signalled < grace);
}

static void carry_out(const struct task_work *work, const struct text *order, struct answer *answer,
                      struct text *result) {
    struct patience patience = {.work = work};
    const struct interrupt interrupt = {goes_on, &patience};
    text_free(result);
    answer->status = work->carry_out(work->context, order, &interrupt, result, &answer->error);
    answer->size = answer->status ? 0 : result->size;
    answer->signal = stop_signal();
}

/* Ranks other than 0 ---------------------------------------------------------------------------------------------- */

static void send_answer(const struct answer *answer, const struct text *result) {
    MPI_Send(answer, sizeof *answer, MPI_BYTE, 0, TAG_ANSWER, MPI_COMM_WORLD);
    if (answer->size)
        MPI_Send(result->bytes, (int)answer->size, MPI_BYTE, 0, TAG_RESULT, MPI_COMM_WORLD);
}

/* The task's number and order; an empty order is the end. */
static int receive_order(struct text *order) {
    int arrived = 0, size, task;
    MPI_Status status;
    while (MPI_Iprobe(0, TAG_TASK, MPI_COMM_WORLD, &arrived, &status), !arrived)
        clock_pause(PAUSE);
    MPI_Get_count(&status, MPI_BYTE, &size);
    char *bytes = malloc((size_t)size);
    if (!bytes)
        abort(); /* a few kilobytes, and rank 0 waits */
    MPI_Recv(bytes, size, MPI_BYTE, 0, TAG_TASK, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    memcpy(&task, bytes, sizeof task);
    text_free(order);
    text_append_bytes(order, bytes + sizeof task, (size_t)size - sizeof task);
    free(bytes);
    return task;
}

static void work_for(const struct task_work *work) {
    struct text order = {0}, result = {0};
    struct answer answer = {.task = -1};
    for (;;) {
        send_answer(&answer, &result);
        answer = (struct answer){.task = receive_order(&order)};
        if (!order.size)
            break;
        carry_out(work, &order, &answer, &result);
    }
    text_free(&order);
    text_free(&result);
}

/* Rank 0's own work, in a thread --------------------------------------------------------------------------------- */

enum bench_state { BENCH_IDLE, BENCH_BUSY, BENCH_READY, BENCH_CLOSED };

struct bench {
    const struct task_work *work;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum bench_state state;
    struct text order, result;
    struct answer answer;
};

static void *work_beside(void *context) {
    struct bench *bench = context;
    pthread_mutex_lock(&bench->mutex);
    for (;;) {
        while (bench->state == BENCH_IDLE || bench->state == BENCH_READY)
            pthread_cond_wait(&bench->changed, &bench->mutex);
        if (bench->state == BENCH_CLOSED)
            break;
        pthread_mutex_unlock(&bench->mutex);
        carry_out(bench->work, &bench->order, &bench->answer, &bench->result);
        pthread_mutex_lock(&bench->mutex);
        bench->state = BENCH_READY;
    }
    pthread_mutex_unlock(&bench->mutex);
    return NULL;
}

static void bench_set(struct bench *bench, enum bench_state state) {
    pthread_mutex_lock(&bench->mutex);
    bench->state = state;
    pthread_cond_signal(&bench->changed);
    pthread_mutex_unlock(&bench->mutex);
}

static bool bench_is_ready(struct bench *bench) {
    pthread_mutex_lock(&bench->mutex);
    bool ready = bench->state == BENCH_READY;
    pthread_mutex_unlock(&bench->mutex);
    return ready;
}

static int bench_open(struct bench *bench, const struct task_work *work, struct error *error) {
    *bench = (struct bench){.work = work, .answer = {.task = -1}, .state = BENCH_READY};
    pthread_mutex_init(&bench->mutex, NULL);
    pthread_cond_init(&bench->changed, NULL);
    return thread_start(&bench->thread, 0, work_beside, bench, error);
}

static void bench_close(struct bench *bench) {
    bench_set(bench, BENCH_CLOSED);
    pthread_join(bench->thread, NULL);
    pthread_mutex_destroy(&bench->mutex);
    pthread_cond_destroy(&bench->changed);
    text_free(&bench->order);
    text_free(&bench->result);
}

/* Rank 0 decides --------------------------------------------------------------------------------------------------- */

struct office {
    const struct cluster *cluster;
    const struct task_keeping *keeping;
    struct bench bench;
    double *since; /* [ranks] when the rank got its task; 0: it has none */
    int next, kept, ended;
    const char *reason; /* why no task is given any more; NULL: they are */
    int status;         /* the first failure */
    struct error *error;
};

static void note_failure(struct office *office, int status, const struct error *error) {
    if (status && !office->status) {
        office->status = status;
        if (error != office->error)
            *office->error = *error;
    }
}

static void look_for_stop(struct office *office, int signal) {
    const struct stop_rules *stop = &office->keeping->stop;
    if (office->reason)
        return;
    if (signal)
        office->reason = stop_signal_name(signal);
    else if (clock_now() >= stop->deadline)
        office->reason = "time limit";
    else if (stop->file && stop_take_file(stop->file))
        office->reason = stop->file;
}

/* Gives a rank that has none the next task, or the end. */
static void give_task(struct office *office, int rank) {
    struct text order = {0};
    int task = office->next;
    bool more = task < office->keeping->tasks && !office->reason && !office->status;
    if (more) {
        office->keeping->compose(office->keeping->context, task, &order);
        office->next++;
    }
    office->ended += !more;
    office->since[rank] = more ? clock_now() : 0;
    if (rank == 0) {
        text_free(&office->bench.order);
        office->bench.order = order;
        office->bench.answer = (struct answer){.task = task};
        bench_set(&office->bench, more ? BENCH_BUSY : BENCH_IDLE);
        return;
    }
    struct text message = {0};
    text_append_bytes(&message, &task, sizeof task);
    text_append_bytes(&message, order.bytes, order.size);
    MPI_Send(message.bytes, (int)message.size, MPI_BYTE, rank, TAG_TASK, MPI_COMM_WORLD);
    text_free(&message);
    text_free(&order);
}

static void take_answer(struct office *office, int rank, struct answer *answer, const struct text *result) {
    struct error *error = &answer->error;
    look_for_stop(office, answer->signal);
    if (answer->status == STATUS_STOPPED && !office->reason)
        office->reason = "time limit";
    else if (answer->status && answer->status != STATUS_STOPPED) {
        if (rank) {
            char message[ERROR_MESSAGE_SIZE];
            snprintf(message, sizeof message, "%s", error->message);
            error_set(error, answer->status, "rank %d on %s: %s", rank, office->cluster->hosts[rank], message);
        }
        note_failure(office, answer->status, error);
    }
    if (answer->task >= 0 && !answer->status) {
        int status = office->keeping->keep(office->keeping->context, answer->task, result, error);
        office->kept += !status;
        note_failure(office, status, error);
    }
    give_task(office, rank);
}

static bool receive_answer(struct office *office) {
    int arrived;
    MPI_Status status;
    struct answer answer;
    struct text result = {0};
    MPI_Iprobe(MPI_ANY_SOURCE, TAG_ANSWER, MPI_COMM_WORLD, &arrived, &status);
    if (!arrived)
        return false;
    MPI_Recv(&answer, sizeof answer, MPI_BYTE, status.MPI_SOURCE, TAG_ANSWER, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (answer.size) {
        result = (struct text){malloc(answer.size), answer.size, answer.size};
        if (!result.bytes)
            abort(); /* the rank can't be answered any more */
        MPI_Recv(result.bytes, (int)answer.size, MPI_BYTE, status.MPI_SOURCE, TAG_RESULT, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    }
    take_answer(office, status.MPI_SOURCE, &answer, &result);
    text_free(&result);
    return true;
}

/* A rank that does not come back from a task keeps all others waiting at the end. */
static void check_silence(const struct office *office) {
    double silence = office->keeping->stop.silence;
    for (int r = 0; r < office->cluster->ranks; r++)
        if (office->since[r] > 0 && clock_now() - office->since[r] > silence) {
            fprintf(stderr,
                    "filteratlas: rank %d on %s: no answer for %.0f s; what is finished is kept, run the same command "
                    "again\n",
                    r, office->cluster->hosts[r], silence);
            MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE);
        }
}

static void coordinate(struct office *office) {
    while (office->ended < office->cluster->ranks) {
        struct error error;
        bool moved = receive_answer(office);
        look_for_stop(office, stop_signal());
        if (bench_is_ready(&office->bench)) {
            struct answer answer = office->bench.answer;
            take_answer(office, 0, &answer, &office->bench.result);
            moved = true;
        }
        note_failure(office, office->keeping->tick(office->keeping->context, &error), &error);
        check_silence(office);
        if (!moved)
            clock_pause(PAUSE);
    }
}

static int lead(const struct cluster *cluster, const struct task_work *work, const struct task_keeping *keeping,
                struct error *error) {
    struct office office = {.cluster = cluster, .keeping = keeping, .error = error};
    office.since = calloc(cluster->ranks, sizeof *office.since);
    if (!office.since || bench_open(&office.bench, work, error)) {
        fprintf(stderr, "filteratlas: rank 0 on %s: no room to begin; give it more memory\n", cluster->host);
        MPI_Abort(MPI_COMM_WORLD, STATUS_FAILURE); /* the others wait for this rank by now */
    }
    coordinate(&office);
    bench_close(&office.bench);
    free(office.since);
    if (!office.status && office.kept < keeping->tasks)
        return stop_error(office.reason, error);
    return office.status;
}

int tasks_run(const struct cluster *cluster, const struct task_work *work, const struct task_keeping *keeping,
              struct error *error) {
    int status = STATUS_OK;
    if (cluster->rank == 0)
        status = lead(cluster, work, keeping, error);
    else
        work_for(work);
    return cluster_agree(cluster, status, error);
}
