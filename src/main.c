#include "filteratlas/app/app.h"
#include "filteratlas/base/error.h"

#include <fcntl.h>
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

/* What was started without them, as by a daemon, must not write what it has to say into the first file it opens. As
 * with a closed one, nothing can be read or written there. */
static void open_standard_files(void) {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", descriptor ? O_RDONLY : O_WRONLY) < 0)
            return;
}

int main(int argc, char **argv) {
    open_standard_files();
    start_with_one_blas_thread(argv);
    int status = app_run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && !status) {
        fprintf(stderr,
                "filteratlas: standard output: closed, or could not be written; make room, or give it to a file, and "
                "run the command again\n");
        status = STATUS_FAILURE;
    }
    return status;
}
