#!/usr/bin/env bash
# On some machines without a batch system, the hosts of a hostfile (see hostfile.example); started on the first of them:
#
#   WEIGHTS=weights/vgg16.h5 OUT=atlas/vgg16 jobs/mpirun.sh [RENDER OPTION...]
#
# HOSTFILE is the hostfile, default `hostfile`. RANKS=32 is the number of ranks, by default all slots in it. Only the first
# host needs WEIGHTS and OUT; the program must be at the same path everywhere: FILTERATLAS, where it is neither installed
# nor in build/. MPIRUN is the launcher, where it isn't called mpirun. Inside a Slurm job use atlas.sbatch: there Slurm says
# which hosts, and mpirun refuses others.
set -eu
: "${WEIGHTS:?usage: WEIGHTS=FILE OUT=DIR [HOSTFILE=FILE] [RANKS=N] jobs/mpirun.sh [RENDER OPTION...]}" "${OUT:?no OUT=DIR}"
HOSTFILE=${HOSTFILE:-hostfile}
[ -r "$HOSTFILE" ] || { echo "$HOSTFILE: cannot be read; make one from hostfile.example, or name yours: HOSTFILE=FILE" >&2; exit 2; }
# shellcheck source=jobs/launcher.sh
. "$(dirname "$0")/launcher.sh"

# A rank computes on one thread and stays on its core. All that OpenBLAS reads goes to the other hosts, since other kernels
# round otherwise.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
launcher_on_hosts "$HOSTFILE" "${RANKS:-}" OMP_NUM_THREADS "${!OPENBLAS_@}"
exec "${launch[@]}" "$(launcher_program)" render --weights "$WEIGHTS" --out "$OUT" "$@"
