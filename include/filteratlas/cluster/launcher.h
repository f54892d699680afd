/* What started this process: Open MPI's mpirun, MPICH's, srun or nobody, and what is each one's own. Needs no MPI. */
#ifndef FILTERATLAS_LAUNCHER_H
#define FILTERATLAS_LAUNCHER_H

#include "filteratlas/base/error.h"

#include <stdbool.h>

enum { LAUNCHER_MPI_SIZE = 64 };

/* Whether this process was started as another rank than the first, by what the launcher left in the environment: for
 * what is to be said once, where MPI has not started or has seen one rank alone. */
bool launcher_is_later_rank(void);

/* Before MPI starts, which may end the process over it: STATUS_USAGE if srun has started several processes and told
 * none of them of the others, as without --mpi=pmix. */
int launcher_check_start(struct error *error);

/* Once it has: STATUS_USAGE if this process takes itself for a job of one rank while its launcher has started several,
 * being another MPI's mpirun, or an srun with a --mpi that this MPI doesn't understand. mpi is the library's name. */
int launcher_check(int ranks, const char *mpi, struct error *error);

/* Before MPI starts: where /dev/shm is as small as in containers, MPICH must do without, or its start ends in SIGBUS.
 */
void launcher_prepare(void);

/* "Open MPI 4.1.4" or "MPICH 4.0.2", from what MPI_Get_library_version says; of others its first words. */
void launcher_name_mpi(const char *version, char name[LAUNCHER_MPI_SIZE]);

/* Where MPI keeps shared windows: Open MPI's parameter osc_sm_backing_directory, else /dev/shm. */
const char *launcher_window_folder(void);

/* Whether a person sees standard output. Open MPI gives every rank a pseudo-terminal, so isatty() alone says nothing
 * there: what counts is where the output of mpirun, the parent, goes. */
bool launcher_on_terminal(void);

#endif
