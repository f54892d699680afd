#include "filteratlas/cluster/launcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A rank's number and, where a launcher says it, how many there are. Open MPI sets its own in a process that it takes
 * for a job of one rank, hence the sizes; then Slurm's stand before PMIx's, which Open MPI sets there too. */
static const struct {
    const char *rank, *size;
} launchers[] = {
    {"PMI_RANK", "PMI_SIZE"},                         /* Hydra, of MPICH and its kin */
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, /* Open MPI's mpirun */
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},         /* srun; a job's script has no step */
    {"PMIX_RANK", NULL},
};

static int number(const char *variable) {
    const char *value = variable ? getenv(variable) : NULL;
    return value ? atoi(value) : -1;
}

bool launcher_is_later_rank(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
        const int rank = number(launchers[i].rank), size = number(launchers[i].size);
        if (rank >= 0 && (!launchers[i].size || size > 1))
            return rank > 0;
    }
    return false;
}

/* Any launcher that tells a process its place in an MPI job does so in variables of these names. */
static bool is_told_of_mpi(void) {
    static const char *const prefixes[] = {"PMI", "OMPI_COMM_WORLD_", "PALS_", "ALPS_"};
    for (char **variable = environ; *variable; variable++)
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
            if (!strncmp(*variable, prefixes[i], strlen(prefixes[i])))
                return true;
    return false;
}

int launcher_check_start(struct error *error) {
    const int tasks = number("SLURM_STEP_NUM_TASKS");
    if (tasks < 2 || is_told_of_mpi())
        return STATUS_OK;
    return error_set(error, STATUS_USAGE,
                     "srun starts %d processes without telling them of one another; use srun --mpi=pmix, or what else "
                     "srun --mpi=list has for this MPI, or mpirun",
                     tasks);
}

int launcher_check(int ranks, const char *mpi, struct error *error) {
    int processes = number("PMI_SIZE");
    if (processes < 2 && number("OMPI_COMM_WORLD_SIZE") < 2)
        processes = number("SLURM_STEP_NUM_TASKS");
    if (ranks > 1 || processes < 2)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE,
                     "MPI sees 1 of %d processes, which another MPI's launcher started; use the mpirun of %s, or an "
                     "srun --mpi=... that it understands",
                     processes, mpi);
}

void launcher_prepare(void) {
    static const double least = 256 << 20; /* bytes; MPICH 4.0 takes some MB for each rank of a node, at once */
    struct statvfs found;
    /* The whole, not what is left: the ranks of a node must come to the same answer. */
    if (statvfs("/dev/shm", &found) == 0 && (double)found.f_blocks * (double)found.f_frsize < least) {
        setenv("MPIR_CVAR_NOLOCAL", "1", 0);
        setenv("MPIR_CVAR_ENABLE_SMP_COLLECTIVES", "0", 0); /* nodes may differ in this */
        setenv("UCX_POSIX_DIR", P_tmpdir, 0);               /* below MPICH */
    }
}

void launcher_name_mpi(const char *version, char name[LAUNCHER_MPI_SIZE]) {
    static const struct {
        const char *begin, *name;
    } known[] = {
        {"Open MPI v", "Open MPI "},  /* "Open MPI v4.1.4, package: ..." */
        {"MPICH Version:", "MPICH "}, /* "MPICH Version:\t4.0.2\nMPICH Release date:..." */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(version, known[i].begin, strlen(known[i].begin))) {
            version += strlen(known[i].begin);
            version += strspn(version, " \t");
            snprintf(name, LAUNCHER_MPI_SIZE, "%s%.*s", known[i].name, (int)strcspn(version, ",\n"), version);
            return;
        }
}

const char *launcher_window_folder(void) {
    const char *chosen = getenv("OMPI_MCA_osc_sm_backing_directory");
    return chosen ? chosen : "/dev/shm";
}

bool launcher_on_terminal(void) {
    char link[64], target[256];
    if (!getenv("OMPI_COMM_WORLD_SIZE") || !getenv("OMPI_COMM_WORLD_LOCAL_RANK"))
        return isatty(STDOUT_FILENO);
    snprintf(link, sizeof link, "/proc/%ld/fd/1", (long)getppid());
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = 0;
    return !strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8);
}
