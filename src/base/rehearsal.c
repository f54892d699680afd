#include "filteratlas/base/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void rehearse(void (*act)(void *context), void *context, int seconds) {
    struct rlimit none = {0, 0}, time = {seconds, seconds};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};
    int null = open("/dev/null", O_WRONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left behind who reads from a file system that doesn't answer */
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &time);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    act(context);
    _exit(0);
}

bool rehearsal_survives(void (*act)(void *context), void *context, int seconds, int *signal) {
    int status;
    pid_t child = fork(), got;
    if (child == 0)
        rehearse(act, context, seconds);
    if (child < 0)
        return true;
    do
        got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    bool survived = got != child || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
    *signal = survived ? 0 : WIFSIGNALED(status) ? WTERMSIG(status) : SIGABRT;
    return survived;
}
