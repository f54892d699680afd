/* What the program makes of what launchers leave in the environment. */
#include "filteratlas/cluster/launcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const variables[] = {"PMI_RANK",
                                        "PMI_SIZE",
                                        "PMIX_RANK",
                                        "OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_SIZE",
                                        "SLURM_PROCID",
                                        "SLURM_STEP_NUM_TASKS",
                                        "OMPI_MCA_osc_sm_backing_directory"};

static int forget(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    return 0;
}

/* Pairs "NAME=VALUE", space-separated. */
static void started_with(const char *pairs) {
    char text[256], *rest = text;
    forget(NULL);
    strcpy(text, pairs);
    for (char *pair; (pair = strsep(&rest, " "));)
        if (*pair) {
            char *value = strchr(pair, '=');
            *value = 0;
            setenv(pair, value + 1, 1);
        }
}

static void later_ranks_are_known(void **state) {
    (void)state;
    static const struct {
        const char *environment;
        bool later;
    } cases[] = {
        {"", false},
        {"PMI_RANK=0 PMI_SIZE=3", false},
        {"PMI_RANK=2 PMI_SIZE=3", true},
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2", true},
        /* mpirun in a Slurm job's script, and on the job's second node */
        {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 SLURM_PROCID=0", true},
        {"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2", false},
        {"SLURM_PROCID=0", false},
        {"SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4 PMIX_RANK=3", true},
        /* Open MPI's own, in each of four processes that it takes for jobs of one rank */
        {"SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4 PMIX_RANK=0 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1", true},
        {"PMI_RANK=1 PMI_SIZE=2 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1", true},
        {"PMIX_RANK=1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        started_with(cases[i].environment);
        if (launcher_is_later_rank() != cases[i].later)
            fail_msg("\"%s\" is taken for %s", cases[i].environment, cases[i].later ? "the first" : "a later rank");
    }
}

static void copies_that_know_nothing_of_each_other_are_refused(void **state) {
    (void)state;
    struct error error;
    started_with("");
    assert_int_equal(launcher_check_start(&error), STATUS_OK);
    assert_int_equal(launcher_check(1, "an MPI", &error), STATUS_OK);
    started_with("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4");
    assert_int_equal(launcher_check_start(&error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "4 processes"));
    started_with("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1");
    assert_int_equal(launcher_check_start(&error), STATUS_OK);
    started_with("SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 PMIX_RANK=0");
    assert_int_equal(launcher_check_start(&error), STATUS_OK);
    assert_int_equal(launcher_check(4, "an MPI", &error), STATUS_OK);
    assert_int_equal(launcher_check(1, "an MPI", &error), STATUS_USAGE);
    started_with("PMI_RANK=0 PMI_SIZE=3 OMPI_COMM_WORLD_SIZE=1");
    assert_int_equal(launcher_check(1, "an MPI", &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "1 of 3 processes"));
    assert_non_null(strstr(error.message, "an MPI"));
    /* mpirun, on a node that it reached by srun */
    started_with("OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=4 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2");
    assert_int_equal(launcher_check_start(&error), STATUS_OK);
}

static void libraries_have_short_names(void **state) {
    (void)state;
    static const struct {
        const char *version, *name;
    } cases[] = {
        {"Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022", "Open MPI 4.1.4"},
        {"MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\nMPICH ABI:\t14:2:2\n",
         "MPICH 4.0.2"},
        {"MPICH Version:      4.2.3\nMPICH Release date: x\n", "MPICH 4.2.3"},
        {"Intel(R) MPI Library 2021.9 for Linux* OS\n", "Intel(R) MPI Library 2021.9 for Linux* OS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[LAUNCHER_MPI_SIZE];
        launcher_name_mpi(cases[i].version, name);
        assert_string_equal(name, cases[i].name);
    }
}

static void windows_are_where_open_mpi_is_told(void **state) {
    (void)state;
    started_with("");
    assert_string_equal(launcher_window_folder(), "/dev/shm");
    started_with("OMPI_MCA_osc_sm_backing_directory=/scratch");
    assert_string_equal(launcher_window_folder(), "/scratch");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(later_ranks_are_known, forget),
        cmocka_unit_test_teardown(copies_that_know_nothing_of_each_other_are_refused, forget),
        cmocka_unit_test_teardown(libraries_have_short_names, forget),
        cmocka_unit_test_teardown(windows_are_where_open_mpi_is_told, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
