/* How fast memory is, by processes that copy. */
#include "app/copying.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Any machine that runs this moves between 50 MB and 10 TB a second. */
static void one_and_two_processes_copy(void **state) {
    (void)state;
    for (int processes = 1; processes <= 2; processes++) {
        double speed = copying_measure(processes, 0.1);
        assert_true(speed > 5e7 && speed < 1e13);
    }
}

static void no_process_is_left(void **state) {
    (void)state;
    copying_measure(3, 0.02);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_and_two_processes_copy),
        cmocka_unit_test(no_process_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
