#include "filteratlas/cluster/stop.h"

#include "filteratlas/base/clock.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void note(int signal) { caught = signal; }

void stop_catch_signals(void) {
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGXCPU, SIGHUP};
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, &before);
    if (before.sa_handler == SIG_IGN) /* of the last one, SIGHUP: nohup */
        sigaction(SIGHUP, &before, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int stop_signal(void) { return caught; }

const char *stop_signal_name(int signal) {
    switch (signal) {
    case SIGUSR1:
        return "SIGUSR1";
    case SIGUSR2:
        return "SIGUSR2";
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    case SIGXCPU:
        return "SIGXCPU";
    case SIGHUP:
        return "SIGHUP";
    default:
        return "a signal";
    }
}

/* Open MPI's mpirun kills 1 s after it has passed on SIGTERM; where a terminal was closed, nobody waits. */
double stop_signal_grace(int signal) { return signal == SIGTERM || signal == SIGHUP ? 0.5 : INFINITY; }

bool stop_take_file(const char *path) {
    struct stat found;
    if (lstat(path, &found))
        return false;
    if (remove(path))
        fprintf(stderr, "filteratlas: %s: asks to stop, and cannot be removed: %s; remove it, or no run gets on\n",
                path, strerror(errno));
    return true;
}

int stop_error(const char *reason, struct error *error) {
    return error_set(error, STATUS_STOPPED,
                     "%s: stopped before the atlas was complete, nothing finished is lost; run the same command again "
                     "to go on",
                     reason);
}

/* "... EndTime=2026-01-31T12:00:00 ..." in what `scontrol show job` prints, local time; INFINITY for the "Unknown" of a
 * job without a limit, as Slurm before 22.05 has it; 0 if there is no such time. */
static double parse_end_time(const char *text) {
    const char *value = strstr(text, "EndTime=");
    struct tm time = {.tm_isdst = -1};
    if (value && !strncmp(value, "EndTime=Unknown", strlen("EndTime=Unknown")))
        return INFINITY;
    if (!value || !strptime(value + strlen("EndTime="), "%Y-%m-%dT%H:%M:%S", &time))
        return 0;
    return (double)mktime(&time);
}

static bool is_number(const char *text) { return *text && strspn(text, "0123456789") == strlen(text); }

/* What a command prints, as far as it has room. False if it took too long, or longer than there is to wait. */
static bool read_output(FILE *output, const struct interrupt *interrupt, char *text, size_t size) {
    static const double patience = 60;
    struct pollfd ready = {.fd = fileno(output), .events = POLLIN};
    double start = clock_now();
    size_t length = 0;
    while (length < size - 1) {
        if (!interrupt_goes_on(interrupt) || clock_now() - start > patience)
            return false;
        if (poll(&ready, 1, 100) <= 0)
            continue;
        ssize_t got = read(ready.fd, text + length, size - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
    return true;
}

/* A command that doesn't answer is left alone: closing its pipe would wait for it. */
static double ask_slurm(const char *job, const struct interrupt *interrupt) {
    char command[64], text[4096];
    snprintf(command, sizeof command, "scontrol show job -o %.20s 2>/dev/null", job);
    FILE *output = popen(command, "r");
    if (!output || !read_output(output, interrupt, text, sizeof text))
        return 0;
    pclose(output);
    return parse_end_time(text);
}

double stop_slurm_end(const struct interrupt *interrupt) {
    const char *end = getenv("SLURM_JOB_END_TIME"), *job = getenv("SLURM_JOB_ID");
    if (end)
        return is_number(end) ? strtod(end, NULL) : 0;
    return job && is_number(job) ? ask_slurm(job, interrupt) : 0;
}
