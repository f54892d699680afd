/* One writer per layer: who holds a lock, who is refused it, and whose lock is taken over. The other writers are
 * processes of their own, since a lock belongs to a process. */
#include "filteratlas/clock.h"
#include "filteratlas/lock.h"
#include "folder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
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
    char host[256], place[128];
    long pid;
    unsigned long long start_time;
    assert_int_equal(sscanf(text, "%255s %ld %llu %127s", host, &pid, &start_time, place), 4);
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
    write_lock("elsewhere 4711 99 another-boot/pid:[1] 0000000001\n");
    clock_pause(2.5);
    assert_true(lock_is_lost(lock));
    lock_release(lock);
    assert_int_equal(access(path, F_OK), 0); /* the other's lock stays */
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_taken_and_given_back),
        cmocka_unit_test(a_live_owner_is_named_and_kept),
        cmocka_unit_test(a_dead_owner_is_followed_at_once),
        cmocka_unit_test(an_owner_that_is_a_zombie_is_dead),
        cmocka_unit_test(a_pid_used_again_is_not_the_owner),
        cmocka_unit_test(an_owner_elsewhere_that_beats_is_kept),
        cmocka_unit_test(of_two_that_race_for_a_dead_lock_one_gets_it),
        cmocka_unit_test(an_owner_notices_that_its_lock_was_taken),
        cmocka_unit_test(what_stands_still_is_taken_over),
    };
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
