#include "companion.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Once before it is stopped, for the memory's first touch. */
static _Noreturn void accompany(int core, void *(*prepare)(const void *), double (*work)(void *), const void *task,
                                volatile double *done) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setaffinity(0, sizeof one, &one))
        fail("bench: sched_setaffinity");
    void *prepared = prepare ? prepare(task) : NULL;
    work(prepared);
    raise(SIGSTOP);
    for (;;)
        *done += work(prepared);
}

struct companion companion_start(int core, void *(*prepare)(const void *), double (*work)(void *), const void *task) {
    int status;
    void *shared = mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("bench: mmap");
    fflush(NULL);
    struct companion companion = {fork(), shared};
    if (companion.process < 0)
        fail("bench: fork");
    if (companion.process == 0)
        accompany(core, prepare, work, task, companion.done);
    waitpid(companion.process, &status, WUNTRACED);
    if (!WIFSTOPPED(status)) {
        fprintf(stderr, "bench: a process beside this one ended\n");
        exit(1);
    }
    return companion;
}

void companion_release(const struct companion *companion) { kill(companion->process, SIGCONT); }

void companion_hold(const struct companion *companion) { kill(companion->process, SIGSTOP); }

void companion_end(struct companion *companion) {
    kill(companion->process, SIGKILL);
    waitpid(companion->process, NULL, 0);
    munmap((void *)companion->done, sizeof *companion->done);
}
