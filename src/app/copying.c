#include "copying.h"

#include "filteratlas/base/clock.h"
#include "filteratlas/base/huge_pages.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 1 << 20, PIECES = 64 };

/* What the processes share. */
struct counter {
    atomic_int ready;    /* processes whose memory is there */
    atomic_llong pieces; /* copied since all were */
};

/* Copies until it is ended; the memory's first touch is not counted. */
static _Noreturn void copy(struct counter *counter, int processes) {
    char *from = huge_pages_allocate((size_t)PIECES * PIECE), *to = huge_pages_allocate((size_t)PIECES * PIECE);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!from || !to)
        _exit(1);
    memset(from, 1, (size_t)PIECES * PIECE);
    memset(to, 1, (size_t)PIECES * PIECE);
    atomic_fetch_add(&counter->ready, 1);
    for (;;)
        for (size_t i = 0; i < PIECES; i++) {
            memcpy(to + i * PIECE, from + i * PIECE, PIECE);
            if (atomic_load_explicit(&counter->ready, memory_order_relaxed) == processes)
                atomic_fetch_add_explicit(&counter->pieces, 1, memory_order_relaxed);
        }
}

static bool start(struct counter *counter, int processes, pid_t *process) {
    for (int i = 0; i < processes; i++) {
        process[i] = fork();
        if (process[i] == 0)
            copy(counter, processes);
        if (process[i] < 0)
            return false;
    }
    return true;
}

/* Whether all have begun; false if one ended instead. */
static bool wait_for_all(const struct counter *counter, int processes) {
    while (atomic_load(&counter->ready) < processes) {
        siginfo_t ended = {.si_pid = 0};
        waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid)
            return false;
        usleep(1000);
    }
    return true;
}

static double count_for(struct counter *counter, double seconds) {
    long long before = atomic_load(&counter->pieces);
    double begin = clock_now();
    usleep((useconds_t)(1e6 * seconds));
    return 2.0 * PIECE * (double)(atomic_load(&counter->pieces) - before) / (clock_now() - begin);
}

double copying_measure(int processes, double seconds) {
    double speed = 0;
    struct counter *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t *process = calloc((size_t)processes, sizeof *process);
    if (counter != MAP_FAILED && process) {
        if (start(counter, processes, process) && wait_for_all(counter, processes))
            speed = count_for(counter, seconds);
        for (int i = 0; i < processes && process[i] > 0; i++) {
            kill(process[i], SIGKILL);
            waitpid(process[i], NULL, 0);
        }
    }
    free(process);
    if (counter != MAP_FAILED)
        munmap(counter, sizeof *counter);
    return speed;
}
