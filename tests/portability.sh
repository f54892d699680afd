#!/usr/bin/env bash
# What must hold wherever somebody builds the program: no warnings, the unit tests pass, any number of ranks draws the same
# bytes, and a render that was killed goes on. scripts/portability runs it in one environment after the other.
#
# Usage: tests/portability.sh [MAKE ARGUMENT...]     RUN="qemu-x86_64-static -cpu Haswell": programs run by that
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/harness.sh"
read -ra RUN <<<"${RUN:-}"
WEIGHTS=$HERE/jobs/demo/demo_weights.h5
JOB=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 3 --batch 4 --layers 'block[1345]_conv1' --filters 0:10)
export OPENBLAS_NUM_THREADS=1 # so that the program need not start itself again, past RUN
export TMPDIR=$TEMPORARY # what a killed launcher leaves behind must not be in the next one's way
cd "$HERE" || exit 1

check "build: without warnings" make -j"$(nproc)" BUILD="$BUILD" CFLAGS="-O2 -g -Werror" "$@" all tests
for test in "$BUILD"/tests/test_*; do
    case $test in *.d | *.o) continue ;; esac
    check "unit: ${test##*/}" timeout 3600 "${RUN[@]}" "$test"
done

contents() { (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cut -d, -f1-4 losses.csv); }
same() { [ "$(contents "$1" | grep -c /filters/)" -ge 20 ] && diff <(contents "$1") <(contents "$2"); }
render() { timeout 1800 "${MPIRUN:-mpirun}" -n "$1" "${RUN[@]}" "$FILTERATLAS" render --out "$TEMPORARY/$2" "${@:3}"; }
for ranks in 1 2 3 5; do
    check "render: $ranks ranks" render $ranks $ranks "${JOB[@]}"
    check "render: $ranks ranks draw the bytes of one" same "$TEMPORARY/$ranks" "$TEMPORARY/1"
done
check "render: jobs/local.sh" env RANKS=2 FILTERATLAS="$FILTERATLAS" WEIGHTS="$WEIGHTS" OUT="$TEMPORARY/local" jobs/local.sh "${JOB[@]}"
# What it was built with, for the table.
render 1 facts "${JOB[@]}" --filters 0:1 --progress lines | sed -n '1s/^filteratlas [^,]*,/# with/p'
echo "# by $(readelf -p .comment "$BUILD/src/main.o" | sed -nE 's/^ *\[.*\] *//p' | tail -n 1)"
if [ -n "${ATLAS:-}" ]; then cp -r "$TEMPORARY/1" "$ATLAS"; fi # to compare with another environment's

# The longer job is killed once it has committed a unit.
LONG=("${JOB[@]}" --epochs 40)
records() { find "$TEMPORARY/$1/units" -name '*.txt' ! -name '.*' 2>/dev/null | wc -l; }
check "kill: the longer job, undisturbed" render 1 whole "${LONG[@]}"
render 2 killed "${LONG[@]}" >/dev/null 2>&1 &
for _ in $(seq 6000); do [ "$(records killed)" -eq 0 ] || break; sleep 0.05; done
pkill -KILL -f -- "--out $TEMPORARY/killed " # launcher and ranks
wait $! 2>/dev/null
units=$(records killed)
check "kill: some units were kept ($units of $(records whole))" test "$units" -gt 0 -a "$units" -lt "$(records whole)"
check "kill: the next run completes" render 3 killed "${LONG[@]}"
check "kill: the bytes of an undisturbed one" same "$TEMPORARY/killed" "$TEMPORARY/whole"
