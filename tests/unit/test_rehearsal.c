/* What is rehearsed may crash or go on for ever: the process that asks lives on and is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filteratlas/base/rehearsal.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void set(void *context) { *(int *)context = 1; }
static void crash(void *context) {
    (void)context;
    raise(SIGSEGV);
}
static void leave(void *context) {
    (void)context;
    _exit(1);
}
static void go_on(void *context) {
    for (volatile int *turn = context;; *turn ^= 1)
        ;
}

static void what_ends_well_has_changed_nothing_here(void **state) {
    (void)state;
    int value = 0, signal = -1;
    assert_true(rehearsal_survives(set, &value, 10, &signal));
    assert_int_equal(signal, 0);
    assert_int_equal(value, 0);
}

static void what_crashes_is_told(void **state) {
    (void)state;
    int signal = 0;
    assert_false(rehearsal_survives(crash, NULL, 10, &signal));
    assert_int_equal(signal, SIGSEGV);
    assert_false(rehearsal_survives(leave, NULL, 10, &signal));
    assert_int_equal(signal, SIGABRT);
}

static void what_goes_on_for_ever_is_ended(void **state) {
    (void)state;
    int signal = 0, turn = 0;
    assert_false(rehearsal_survives(go_on, &turn, 1, &signal));
    assert_true(signal == SIGXCPU || signal == SIGKILL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_well_has_changed_nothing_here),
        cmocka_unit_test(what_crashes_is_told),
        cmocka_unit_test(what_goes_on_for_ever_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
