#!/usr/bin/env bash
# On all cores of this machine:
#
#   WEIGHTS=weights/vgg16.h5 OUT=atlas/vgg16 jobs/local.sh [RENDER OPTION...]
#
# RANKS=4 takes fewer cores. Ctrl-C stops it, the same command goes on. FILTERATLAS is the program, where it is neither
# installed nor in build/; MPIRUN the launcher, where it isn't called mpirun.
set -eu
: "${WEIGHTS:?usage: WEIGHTS=FILE OUT=DIR [RANKS=N] jobs/local.sh [RENDER OPTION...]}" "${OUT:?no OUT=DIR}"
# shellcheck source=jobs/launcher.sh
. "$(dirname "$0")/launcher.sh"

# A rank computes on one thread and stays on its core.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
launcher_here "${RANKS:-$(launcher_cores)}"
exec "${launch[@]}" "$(launcher_program)" render --weights "$WEIGHTS" --out "$OUT" "$@"
