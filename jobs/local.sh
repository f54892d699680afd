#!/usr/bin/env bash
# On all cores of this machine:
#
#   WEIGHTS=weights/vgg16.h5 OUT=atlas/vgg16 jobs/local.sh [RENDER OPTION...]
#
# RANKS=4 takes fewer cores. Ctrl-C stops it, the same command goes on. FILTERATLAS is the program, where it is neither in
# PATH nor in build/.
set -eu
: "${WEIGHTS:?usage: WEIGHTS=FILE OUT=DIR [RANKS=N] jobs/local.sh [RENDER OPTION...]}" "${OUT:?no OUT=DIR}"
program=${FILTERATLAS:-$(command -v filteratlas || echo "$PWD/build/filteratlas")}

# One rank per core, not per hardware thread, and no more than this process may use (nproc knows a container's cpuset).
allowed=$(nproc)
cores=$(lscpu --parse=CORE,SOCKET | grep -v '^#' | sort -u | wc -l)
RANKS=${RANKS:-$((cores < allowed ? cores : allowed))}

# A rank computes on one thread and stays on its core. More ranks than cores run too, only slower.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec mpirun -n "$RANKS" --oversubscribe --bind-to core:overload-allowed "$program" render --weights "$WEIGHTS" --out "$OUT" "$@"
