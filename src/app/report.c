#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a launcher started this process as another rank than the first: MPICH's variable (before the others, since
 * Open MPI sets its own in a process that it takes for a job of one rank), Open MPI's, PMIx's or Slurm's. Only for
 * those that do without MPI. */
static bool is_later_rank(void) {
    static const char *const variables[] = {"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *rank = getenv(variables[i]);
        if (rank)
            return strcmp(rank, "0") != 0;
    }
    return false;
}

int report_error(const struct error *error) {
    if (is_later_rank())
        return error->status;
    fprintf(stderr, "filteratlas: %s\n", error->message);
    return error->status;
}
