#include "filteratlas/app.h"

#include <stdio.h>

int main(int argc, char **argv) {
    int status = app_run(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && !status) {
        fprintf(stderr, "filteratlas: standard output: cannot be written; make room and run the command again\n");
        status = STATUS_FAILURE;
    }
    return status;
}
