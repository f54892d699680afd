/* One writer per layer: who holds a lock, who is refused it, and whose lock is taken over. The other writers are
 * processes of their own, since a lock belongs to a process. Most tests wait for periods that are what they are, up to
 * 20 s: so all tests run at once, each in a process and a folder of its own. */
#include "filteratlas/atlas/lock.h"
#include "filteratlas/base/clock.h"
#include "folder.h"
#include "memory_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { RACES = 200, RUNNERS = 2 };

/* Less than the 20 s after which a lock that stands still is taken; a busy disk may need some for a flush. */
static const double AT_ONCE = 15; /* seconds */

static const char *const LAYER[] = {"block1_conv1"};
static const char *const BOTH[] = {"block1_conv2", "block1_conv1"};

static const char path[] = "units/.block1_conv1.lock";

static int take(const char *const *names, int count, struct lock **lock, struct error *error) {
    return lock_take(".", names, count, NULL, lock, error);
}

static void write_lock(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A process that holds the layer's lock until it is killed. Returns once it has it. */
static pid_t start_holder(void) {
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct lock *lock;
        struct error error;
        if (take(LAYER, 1, &lock, &error) || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_lock_is_taken_and_given_back(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(take(BOTH, 2, &lock, &error), STATUS_OK);
        assert_int_equal(access(path, F_OK), 0);
        assert_false(lock_is_lost(lock));
        lock_release(lock);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    lock_release(NULL);
    assert_false(lock_is_lost(NULL));
}

static void a_live_owner_is_named_and_kept(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    char host[256] = "", words[320];
    pid_t holder = start_holder();
    double start = clock_now();
    assert_int_equal(take(BOTH, 2, &lock, &error), STATUS_FAILURE);
    assert_true(clock_now() - start < AT_ONCE);
    assert_null(lock);
    gethostname(host, sizeof host - 1);
    snprintf(words, sizeof words, "process %ld on %s", (long)holder, host);
    assert_non_null(strstr(error.message, words));
    assert_non_null(strstr(error.message, "block1_conv1"));
    /* All or none: the other layer was given back. */
    assert_int_equal(take(BOTH, 1, &lock, &error), STATUS_OK);
    lock_release(lock);
    end(holder);
}

/* The lock that is there is of a dead owner. */
static void take_at_once(void) {
    struct lock *lock;
    struct error error;
    double start = clock_now();
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    assert_true(clock_now() - start < AT_ONCE);
    lock_release(lock);
}

static void a_dead_owner_is_followed_at_once(void **state) {
    (void)state;
    end(start_holder());
    assert_int_equal(access(path, F_OK), 0);
    take_at_once();
}

/* Ended, and its parent has not asked for its status: below a container's first process, it never may. */
static void an_owner_that_is_a_zombie_is_dead(void **state) {
    (void)state;
    siginfo_t ended;
    pid_t holder = start_holder();
    kill(holder, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)holder, &ended, WEXITED | WNOWAIT), 0);
    take_at_once();
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

/* The dead owner's pid was given to another process: its start time tells. */
static void a_pid_used_again_is_not_the_owner(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    char text[512] = "", other[512];
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    lock_release(lock);
    char host[256], place[160];
    long pid;
    unsigned long long start_time;
    assert_int_equal(sscanf(text, "%255s %ld %llu %159s", host, &pid, &start_time, place), 4);
    snprintf(other, sizeof other, "%s %ld %llu %s 0000000007\n", host, pid, start_time + 1, place);
    write_lock(other);
    take_at_once();
}

static void an_owner_elsewhere_that_beats_is_kept(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    pid_t heart = fork();
    if (heart == 0)
        for (int beat = 2;; beat++) {
            char text[128];
            snprintf(text, sizeof text, "elsewhere 4711 99 another-boot/pid:[1] %010d\n", beat);
            FILE *file = fopen(path, "r+");
            if (!file || fputs(text, file) < 0 || fclose(file))
                _exit(1);
            clock_pause(1);
        }
    double start = clock_now();
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_FAILURE);
    assert_true(clock_now() - start < AT_ONCE);
    assert_non_null(strstr(error.message, "process 4711 on elsewhere"));
    end(heart);
    assert_int_equal(unlink(path), 0);
}

/* Waits out the 20 s, once for both: an owner elsewhere that stands still, and a lock that a crash cut short. */
static void what_stands_still_is_taken_over(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    FILE *file = fopen("units/.block1_conv2.lock", "w");
    fputs("elsewhe", file);
    fclose(file);
    double start = clock_now();
    pid_t second = fork();
    if (second == 0)
        _exit(take(BOTH, 1, &lock, &error) ? 1 : (lock_release(lock), 0));
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    double seconds = clock_now() - start;
    assert_true(seconds > AT_ONCE && seconds < 60);
    lock_release(lock);
    int status;
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(status, 0);
    assert_true(clock_now() - start < 60);
}

/* One runner of a race: takes the lock if it can, tells so, and holds it until all have told. */
static void run_race(int go, int done) {
    struct lock *lock;
    struct error error;
    char byte;
    while (read(go, &byte, 1) > 0)
        ;
    char got = take(LAYER, 1, &lock, &error) ? '-' : '+';
    if (write(done, &got, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void of_two_that_race_for_a_dead_lock_one_gets_it(void **state) {
    (void)state;
    int twice = 0, never = 0;
    for (int race = 0; race < RACES; race++) {
        end(start_holder());
        int go[2], done[2];
        pid_t runner[RUNNERS];
        char got[RUNNERS];
        assert_int_equal(pipe(go) | pipe(done), 0);
        for (int i = 0; i < RUNNERS; i++)
            if ((runner[i] = fork()) == 0) {
                close(go[1]);
                run_race(go[0], done[1]);
            }
        close(go[0]);
        clock_pause(0.002);
        close(go[1]); /* off they go */
        /* The winner is known at once; the loser would know after 3 s, so only a second winner is waited for. */
        assert_int_equal(read(done[0], &got[0], 1), 1);
        never += got[0] != '+';
        clock_pause(0.02);
        struct timespec none = {0};
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(done[0], &readable);
        if (pselect(done[0] + 1, &readable, NULL, NULL, &none, NULL) > 0 && read(done[0], &got[1], 1) == 1)
            twice += got[1] == '+';
        for (int i = 0; i < RUNNERS; i++)
            end(runner[i]);
        close(done[0]);
        close(done[1]);
    }
    assert_int_equal(twice, 0);
    assert_int_equal(never, 0);
}

static void an_owner_notices_that_its_lock_was_taken(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    clock_pause(2.5);
    assert_false(lock_is_lost(lock));
    assert_int_equal(unlink(path), 0);
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    clock_pause(2.5);
    assert_true(lock_is_lost(lock));
    lock_release(lock);
    assert_int_equal(access(path, F_OK), 0); /* the other's lock stays */
    assert_int_equal(unlink(path), 0);
}

/* Other users ---------------------------------------------------------------------------------------------------- */

enum { NOBODY = 65534 };

/* What another user's lock_take says; -1 if this process can't become another user, or /proc can't hide others. */
static int take_as_nobody(bool hidden) {
    pid_t child = fork();
    if (child == 0) {
        struct lock *lock;
        struct error error;
        if (hidden && (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
                       mount("proc", "/proc", "proc", 0, "hidepid=2")))
            _exit(100);
        if (geteuid() || setgid(NOBODY) || setuid(NOBODY))
            _exit(100);
        int status = take(LAYER, 1, &lock, &error);
        lock_release(lock);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 100 ? -1 : WEXITSTATUS(status);
}

static void another_users_live_lock_is_kept(void **state) {
    (void)state;
    assert_int_equal(chmod(".", 0777), 0);
    pid_t holder = start_holder();
    assert_int_equal(chmod("units", 0777), 0);
    int seen = take_as_nobody(false), hidden = take_as_nobody(true);
    struct text now = read_file(path);
    end(holder);
    char pid[32];
    snprintf(pid, sizeof pid, " %ld ", (long)holder);
    assert_non_null(strstr(now.bytes, pid));
    text_free(&now);
    if (seen < 0)
        skip();
    assert_int_equal(seen, STATUS_FAILURE);
    assert_true(hidden < 0 || hidden == STATUS_FAILURE);
}

static void another_users_dead_lock_is_taken(void **state) {
    (void)state;
    assert_int_equal(chmod(".", 0777), 0);
    end(start_holder());
    assert_int_equal(chmod("units", 0777), 0);
    int seen = take_as_nobody(false);
    if (seen < 0)
        skip();
    assert_int_equal(seen, STATUS_OK);
}

/* The beat ------------------------------------------------------------------------------------------------------- */

static unsigned long beat_of(const char *file_name) {
    char line[512];
    unsigned long beat = 0;
    FILE *file = fopen(file_name, "r");
    if (file && fgets(line, sizeof line, file))
        sscanf(line, "%*s %*s %*s %*s %lu", &beat);
    if (file)
        fclose(file);
    return beat;
}

/* It watches the second lock for 20 s, and has the first meanwhile. */
static void the_first_lock_beats_while_the_second_is_waited_for(void **state) {
    (void)state;
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    pid_t waiting = fork();
    if (waiting == 0) {
        struct lock *lock;
        struct error error;
        _exit(take(BOTH, 2, &lock, &error));
    }
    double start = clock_now();
    while (!beat_of("units/.block1_conv2.lock") && clock_now() - start < AT_ONCE)
        clock_pause(0.1);
    assert_true(beat_of("units/.block1_conv2.lock") > 0);
    end(waiting);
    assert_int_equal(unlink(path), 0);
}

/* A process that stood still while its lock was taken writes nothing into the new owner's. */
static void an_owner_that_stood_still_leaves_the_new_one_alone(void **state) {
    (void)state;
    static const char other[] = "elsewhere 4711 99 another-boot/pid:[1] 0000000001\n";
    pid_t holder = start_holder();
    kill(holder, SIGSTOP);
    assert_int_equal(unlink(path), 0);
    write_lock(other);
    kill(holder, SIGCONT);
    clock_pause(3);
    struct text text = read_file(path);
    assert_string_equal(text.bytes, other);
    text_free(&text);
    end(holder);
    assert_int_equal(unlink(path), 0);
}

/* Waiting --------------------------------------------------------------------------------------------------------- */

static int said;
static char sentence[512];

static void say(const char *words) {
    said++;
    snprintf(sentence, sizeof sentence, "%s", words);
}

static bool until(void *context) { return clock_now() < *(double *)context; }

/* Stops after three seconds, of a live owner or of one that is still being looked at, and says once what for. */
static void waits_until_it_is_interrupted(const char *who) {
    double start = clock_now(), end_of_patience = start + 3;
    const struct interrupt interrupt = {until, &end_of_patience};
    const struct lock_patience patience = {LOCK_LONG_SECONDS, &interrupt, say};
    struct lock *lock;
    struct error error;
    said = 0;
    assert_int_equal(lock_take(".", LAYER, 1, &patience, &lock, &error), STATUS_STOPPED);
    assert_true(clock_now() - start < AT_ONCE);
    assert_int_equal(said, 1);
    assert_non_null(strstr(sentence, who));
    assert_non_null(strstr(sentence, "block1_conv1"));
}

static void waiting_heeds_an_interrupt_and_says_what_for(void **state) {
    (void)state;
    char who[64];
    pid_t holder = start_holder();
    snprintf(who, sizeof who, "process %ld on ", (long)holder);
    waits_until_it_is_interrupted(who);
    kill(holder, SIGSTOP);
    waits_until_it_is_interrupted(who);
    end(holder);
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    waits_until_it_is_interrupted("process 4711 on elsewhere");
    assert_int_equal(unlink(path), 0);
}

static int take_for_a_second(void) {
    struct lock *lock;
    struct error error;
    double end_of_patience = clock_now() + 1;
    const struct interrupt interrupt = {until, &end_of_patience};
    const struct lock_patience patience = {0, &interrupt, NULL};
    return lock_take(".", LAYER, 1, &patience, &lock, &error);
}

static void a_lock_that_is_no_file_is_said(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(take_for_a_second(), STATUS_STOPPED);
    assert_int_equal(unlink(path), 0);
}

static void a_link_to_nowhere_is_nobodys_lock(void **state) {
    (void)state;
    struct lock *lock;
    struct error error;
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(take_for_a_second(), STATUS_STOPPED);
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    lock_release(lock);
}

/* Without hard links ---------------------------------------------------------------------------------------------- */

static int link_error; /* what link() fails with, 0: it doesn't */

/* In place of the C library's, for the whole program. */
int link(const char *from, const char *to) {
    errno = link_error;
    return link_error ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void without_hard_links_locks_work_too(void **state) {
    (void)state;
    static const int errors[] = {EPERM, ENOSYS, EOPNOTSUPP, ENOTTY, EMLINK};
    struct lock *lock;
    struct error error;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        link_error = errors[i];
        assert_int_equal(take(BOTH, 2, &lock, &error), STATUS_OK);
        assert_true(lock_is_linkless(lock));
        assert_int_equal(access(path, F_OK), 0);
        lock_release(lock);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    pid_t holder = start_holder();
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_FAILURE);
    assert_non_null(strstr(error.message, "process"));
    end(holder);
    take_at_once();
    of_two_that_race_for_a_dead_lock_one_gets_it(state);
    link_error = 0;
    end(start_holder());
    take_at_once();
    assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_OK);
    assert_false(lock_is_linkless(lock));
    lock_release(lock);
}

/* Those that mean that something is wrong, rather than missing. */
static void a_failing_disk_is_no_reason_to_do_without_links(void **state) {
    (void)state;
    static const int errors[] = {ENOSPC, EIO, EROFS, EDQUOT};
    struct lock *lock;
    struct error error;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        link_error = errors[i];
        assert_int_equal(take(LAYER, 1, &lock, &error), STATUS_FAILURE);
        assert_int_equal(strncmp(error.message, ".: no lock can be made", 22), 0);
        assert_non_null(strstr(error.message, strerror(errors[i])));
        link_error = 0;
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

/* Threads --------------------------------------------------------------------------------------------------------- */

/* In a child, whose limit nothing can take back. */
static int take_without_room(int resource, rlim_t most) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {most, most};
        struct lock *lock;
        struct error error;
        free(malloc(1 << 20)); /* so that small pieces need no further page */
        if ((resource == RLIMIT_NPROC && (setgid(NOBODY) || setuid(NOBODY))) || setrlimit(resource, &limit))
            _exit(100);
        if (take(LAYER, 1, &lock, &error) != STATUS_FAILURE)
            _exit(101);
        _exit(strstr(error.message, "ulimit -v") ? 1 : strstr(error.message, "ulimit -u") ? 2 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_thread_that_cannot_start_says_why(void **state) {
    (void)state;
    if (!address_space_limits_hold())
        skip();
    assert_int_equal(chmod(".", 0777) | chmod("units", 0777), 0);
    assert_int_equal(take_without_room(RLIMIT_AS, address_space() + (192 << 10)), 1);
    if (geteuid() == 0)
        assert_int_equal(take_without_room(RLIMIT_NPROC, 0), 2);
}

/* The status of taking MANY locks where no more files may be open than so, softly and at all. */
static _Noreturn void take_many(rlim_t soft, rlim_t hard) {
    enum { MANY = 40 };
    const struct rlimit limit = {soft, hard};
    char text[MANY][16];
    const char *names[MANY];
    struct lock *lock;
    struct error error;
    for (int i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof text[i], "layer%d", i);
        names[i] = text[i];
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    int status = take(names, MANY, &lock, &error);
    if (!status)
        lock_release(lock);
    _exit(status ? (strstr(error.message, "ulimit -n") ? 1 : 2) : 0);
}

static void more_layers_than_files_may_be_open(void **state) {
    (void)state;
    static const struct {
        rlim_t soft, hard;
        int status;
    } cases[] = {{30, 1000, 0}, {30, 30, 1}};
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            take_many(cases[i].soft, cases[i].hard);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].status);
    }
}

/* All at once ----------------------------------------------------------------------------------------------------- */

static int enter(void **state) { return folder_enter(state) || mkdir("units", 0777); }

struct running {
    pid_t process;
    FILE *output;
};

static struct running start(const struct CMUnitTest *test) {
    const struct CMUnitTest alone[] = {*test};
    struct running running = {.output = tmpfile()};
    if (!running.output || (running.process = fork()) < 0) {
        perror("a test can't be started");
        exit(1);
    }
    if (running.process)
        return running;
    dup2(fileno(running.output), STDOUT_FILENO);
    dup2(fileno(running.output), STDERR_FILENO);
    exit(cmocka_run_group_tests_name(test->name, alone, enter, folder_leave));
}

/* Whether it passed; shows what it had to say. */
static bool finish(const struct running *running) {
    int status = 1, byte;
    waitpid(running->process, &status, 0);
    rewind(running->output);
    while ((byte = getc(running->output)) != EOF)
        putchar(byte);
    fclose(running->output);
    return status == 0;
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_cannot_start_says_why),
        cmocka_unit_test(a_lock_is_taken_and_given_back),
        cmocka_unit_test(a_live_owner_is_named_and_kept),
        cmocka_unit_test(a_dead_owner_is_followed_at_once),
        cmocka_unit_test(an_owner_that_is_a_zombie_is_dead),
        cmocka_unit_test(a_pid_used_again_is_not_the_owner),
        cmocka_unit_test(an_owner_elsewhere_that_beats_is_kept),
        cmocka_unit_test(of_two_that_race_for_a_dead_lock_one_gets_it),
        cmocka_unit_test(an_owner_notices_that_its_lock_was_taken),
        cmocka_unit_test(another_users_live_lock_is_kept),
        cmocka_unit_test(another_users_dead_lock_is_taken),
        cmocka_unit_test(the_first_lock_beats_while_the_second_is_waited_for),
        cmocka_unit_test(an_owner_that_stood_still_leaves_the_new_one_alone),
        cmocka_unit_test(waiting_heeds_an_interrupt_and_says_what_for),
        cmocka_unit_test(a_lock_that_is_no_file_is_said),
        cmocka_unit_test(a_link_to_nowhere_is_nobodys_lock),
        cmocka_unit_test(without_hard_links_locks_work_too),
        cmocka_unit_test(a_failing_disk_is_no_reason_to_do_without_links),
        cmocka_unit_test(what_stands_still_is_taken_over),
        cmocka_unit_test(more_layers_than_files_may_be_open),
    };
    enum { TESTS = sizeof tests / sizeof *tests };
    struct running running[TESTS];
    int failed = 0;
    for (int i = 0; i < TESTS; i++)
        running[i] = start(&tests[i]);
    for (int i = 0; i < TESTS; i++)
        failed += !finish(&running[i]);
    return failed > 0;
}
