#!/usr/bin/env bash
# One copy of weights and tables per node: the same pictures with and without, less memory with it, a notice where there
# is no room for it, and the scheduling around it: pieces of units, layers published by several ranks.
# shellcheck source=tests/harness.sh disable=SC1091,SC2015
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
JOB=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 4 --layers 'block[1345]_conv2' --filters 0:14 --trace)
cd "$TEMPORARY" || exit 1
mounted=
cleanup() { [ -z "$mounted" ] || umount -l "$mounted"; }

contents() { (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt trace.csv && cut -d, -f1-4 losses.csv); }
same() { diff <(contents "$1") <(contents reference) && [ "$(wc -l <"$1/losses.csv")" -gt 50 ]; }
draw() { # DIR RANKS OPTION...
    local dir=$1 ranks=$2; shift 2
    timeout 60 mpirun -n "$ranks" "$FILTERATLAS" render --out "$dir" "${JOB[@]}" "$@" >"$dir.out" 2>"$dir.err"
}

check "one rank alone" timeout 60 "$FILTERATLAS" render --out reference -q "${JOB[@]}"
check "4 ranks that share" draw shared 4
check "4 ranks that share: the same files" same shared
check "4 ranks that share: nothing on standard error" test ! -s shared.err
check "4 ranks, --no-shared" draw own 4 --no-shared
check "4 ranks, --no-shared: the same files" same own
check "every layer's line once, in the order of the network" \
    test "$(grep -o '^block[0-9]_conv2: ' shared.out | tr -d '\n')" = 'block1_conv2: block3_conv2: block4_conv2: block5_conv2: '
# Huge pages, where the node has set some aside or root may; the test's own are 30 more.
before=$(cat /proc/sys/vm/nr_hugepages)
if [ "$(id -u)" -eq 0 ] && echo $((before + 30)) >/proc/sys/vm/nr_hugepages 2>/dev/null &&
    [ "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" -ge 30 ]; then
    check "4 ranks, huge pages" draw huge 4
    check "4 ranks, huge pages: the log says so" grep -q '^tables: .*shared.*2 MB pages$' huge.out
    check "4 ranks, huge pages: the same files" same huge
    check "4 ranks, huge pages: they are given back" \
        test "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" -ge 30
else
    echo "ok - huge pages # SKIP only root may set them aside, where there is memory"
fi
[ "$(cat /proc/sys/vm/nr_hugepages)" -le "$before" ] || echo "$before" >/proc/sys/vm/nr_hugepages
# More ranks than units (4 layers of 14 filters, batches of 8): the units go out in pieces.
check "12 ranks for 8 units" draw pieces 12
check "12 ranks for 8 units: the same files" same pieces
check "12 ranks for 8 units: most of them had something to draw" \
    test "$(tail -n +2 pieces/losses.csv | cut -d, -f6 | sort -u | wc -l)" -gt 8

# A cluster of two kinds of processors, as near as one machine comes to it.
cat >kernels <<'SH'
#!/bin/sh
[ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" -eq 0 ] || export OPENBLAS_CORETYPE=Prescott
exec "$@"
SH
chmod +x kernels
mixed=(mpirun -n 2 ./kernels "$FILTERATLAS" render --out mixed -q "${JOB[@]}" --layers block1_conv2)
"${mixed[@]}" 2>mixed.err; status=$?
check "ranks with other kernels: refused with status 3, not $status" test $status -eq 3
check "ranks with other kernels: one line says so and names both" \
    test "$(grep -c "^filteratlas: rank 1 on $(hostname): computes with .*Prescott kernels, rank 0 with .*--mixed-kernels" mixed.err)" = 1
"${mixed[@]}" --mixed-kernels 2>mixed.err; status=$?
check "ranks with other kernels: with --mixed-kernels the run goes on" test $status -eq 0
check "ranks with other kernels: then, too, one line says so" \
    test "$(wc -l <mixed.err) $(grep -c "^filteratlas: rank 1 on $(hostname): computes with .*Prescott" mixed.err)" = '1 1'

# shared_memory DIR OPTION...: the most shared memory that any rank of such a run has, in kB.
shared_memory() {
    local dir=$1 launcher most=0 now process; shift
    mpirun -n 2 "$FILTERATLAS" render --out "$dir" -q "${JOB[@]}" --size 128 --epochs 60 "$@" >/dev/null 2>&1 & launcher=$!
    while kill -0 $launcher 2>/dev/null; do
        for process in $(pgrep -P $launcher filteratlas); do
            now=$(awk '/^[0-9a-f]+-/ { window = /osc_sm|\/dev\/shm\/osc|osc\.sm/ } /^Rss/ && window { sum += $2 } END { print sum + 0 }' \
                "/proc/$process/smaps" 2>/dev/null)
            [ "${now:-0}" -le "$most" ] || most=$now
        done
        sleep 0.1
    done
    echo "$most"
}
with=$(shared_memory with) without=$(shared_memory without --no-shared)
check "the tables stand in shared memory ($with kB), with --no-shared they don't ($without kB)" test "$with" -gt 1000 -a "$without" -lt 500

if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=1m none small 2>/dev/null; then
    mounted=$TEMPORARY/small
    export OMPI_MCA_osc_sm_backing_directory=$mounted
    check "too little shared memory: the run goes on" draw fallback 3
    check "too little shared memory: the same files" same fallback
    check "too little shared memory: one line says so" \
        test "$(wc -l <fallback.err) $(grep -c "^filteratlas: $(hostname): .*--no-shared" fallback.err)" = '1 1'
    check "--no-shared says nothing" draw quiet 3 --no-shared
    check "--no-shared: nothing on standard error" test ! -s quiet.err
    # Room for one of two jobs, which both see it free: tables of 38 MB.
    mount -o remount,size=70m small
    draw one 2 --layers block5_conv2 -q & first=$!
    draw other 2 --layers block4_conv2,block5_conv2 -q; status=$?
    wait $first; status=$status$?
    check "two jobs that start where there is room for one: both complete ($status)" test $status = 00
else
    echo "ok - too little shared memory # SKIP only root may mount a small file system"
fi
