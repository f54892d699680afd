#include "filteratlas/app/app.h"
#include "filteratlas/base/error.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* OpenBLAS starts a thread per core when it is loaded, before main: on a node of 128 cores with a rank on each these
 * would be 16,384. It can only be told beforehand, so the program tells it and starts itself again. */
static void start_with_one_blas_thread(char **argv) {
    char path[PATH_MAX]; /* and not /proc/self/exe itself, which ps and pkill would call "exe" */
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0 || getenv("OPENBLAS_NUM_THREADS") || setenv("OPENBLAS_NUM_THREADS", "1", 0))
        return;
    path[length] = 0;
    execv(path, argv); /* comes back only if that fails: then it goes on with the threads */
}

int main(int argc, char **argv) {
    start_with_one_blas_thread(argv);
    int status = app_run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && !status) {
        fprintf(stderr, "filteratlas: standard output: cannot be written; make room and run the command again\n");
        status = STATUS_FAILURE;
    }
    return status;
}
