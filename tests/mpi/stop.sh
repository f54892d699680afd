#!/usr/bin/env bash
# Stopping on purpose (signals, a time limit, a file), ranks that hang or die, and two jobs in one folder: the exit
# statuses as seen through mpirun, nothing finished lost, and the next run completes.
# shellcheck source=tests/harness.sh disable=SC1091,SC2015,SC2086 # $status and $took are numbers
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
# 56 short units, some seconds for two ranks.
JOB=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 150 --batch 2 --layers 'block[123]_*' --filters 0:16)
# Pieces of a minute each.
SLOW=(--weights "$WEIGHTS" --size 96 --upscaling-steps 1 --epochs 60000 --batch 2 --layers block3_conv1 --filters 0:4)
# Eight live filters, each a unit of some seconds.
UNITS=(--weights "$WEIGHTS" --size 96 --upscaling-steps 1 --epochs 9000 --batch 1 --layers block3_conv1 --filters 0:8)
QUICK=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 3)
took=0
cd "$TEMPORARY" || exit 1
export TMPDIR=$TEMPORARY # for Open MPI's session folders

contents() { (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt && cut -d, -f1-4 losses.csv); }
same() { contents "$1" >one && contents "$2" >other && grep -q '/filters/.*png$' one && diff one other; }

# start RANKS DIR OPTION...: in the background.
start() {
    local ranks=$1 dir=$2; shift 2
    mpirun -n "$ranks" "$FILTERATLAS" render --out "$dir" -q "$@" >out 2>err </dev/null &
    launcher=$!
    began=$(date +%s%N)
}

# ended SECONDS: waits for the job; its status, or 124 if it has not ended by then. Leaves $took, in milliseconds.
ended() {
    local status
    for _ in $(seq $(($1 * 20))); do kill -0 "$launcher" 2>/dev/null || break; sleep 0.05; done
    took=$((($(date +%s%N) - began) / 1000000))
    if kill -0 "$launcher" 2>/dev/null; then
        kill -9 "$launcher" $(pgrep -P "$launcher" filteratlas)
        wait "$launcher" 2>/dev/null
        return 124
    fi
    wait "$launcher" 2>/dev/null; status=$?
    return $status
}

# rank N: the process of that rank.
rank() {
    local pid
    for pid in $(pgrep -P "$launcher" filteratlas); do
        ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" || echo "$pid"
    done
}

records() { find "$1/units" -name '*.txt' ! -name '.*' 2>/dev/null | wc -l; }

# working DIR: waits until the job that was just started commits.
working() {
    local before
    before=$(records "$1")
    for _ in $(seq 400); do [ "$(records "$1")" -le "$before" ] || return 0; sleep 0.02; done
    return 1
}

# drawing: waits until the slow job, which commits nothing for long, is drawing.
drawing() { for _ in $(seq 200); do compgen -G "$1/units/.*.lock" >/dev/null && break; sleep 0.05; done; sleep 0.7; }

# Open MPI 5 mixes zero bytes into what it says itself.
said() { grep -a '^filteratlas:' err >lines; [ "$(wc -l <lines)" -eq 1 ] && grep -Eq "$1" lines || { cat err; false; }; }

# completes DIR RANKS WHAT: the next run, undisturbed, draws what is missing.
completes() {
    local status
    start "$2" "$1" "${JOB[@]}"
    ended 60; status=$?
    check "$3: the next run completes" test $status -eq 0
    check "$3: the same files" same "$1" reference
}

start 2 reference "${JOB[@]}"; ended 60; status=$?
undisturbed=$took
check "an undisturbed render ($took ms)" test $status -eq 0

# Signals ------------------------------------------------------------------------------------------------------------
for signal in USR1 USR2 TERM INT; do
    for target in "rank 0" "rank 1" mpirun; do
        start 2 signals "${JOB[@]}"
        check "SIG$signal to $target: the job gets on first" working signals
        if [ "$target" = mpirun ]; then kill -$signal "$launcher"; else kill -$signal "$($target)"; fi
        ended 60; status=$?
        if [ "$target" = mpirun ] && { [ $signal = TERM ] || [ $signal = INT ]; }; then
            check "SIG$signal to mpirun: the job ends (mpirun's own status is $status)" test $status -ne 124 -a $status -ne 0
        else
            check "SIG$signal to $target: status 75, not $status" test $status -eq 75
            check "SIG$signal to $target: one line says so" said "^filteratlas: SIG$signal: stopped .*same command again"
        fi
        # The next one must not come to its end before the signal.
        [ "$(records signals)" -lt 28 ] || { completes signals 3 "after these signals"; rm -rf signals; }
    done
done
completes signals 3 "after the signals"

for signal in HUP XCPU; do
    start 2 signals2 "${JOB[@]}"
    working signals2
    kill -$signal "$(rank 1)"
    ended 60; status=$?
    check "SIG$signal to rank 1: status 75, not $status, and one line" test $status -eq 75 -a "$(grep -c "^filteratlas: SIG$signal: stopped" err)" -eq 1
done
nohup "$FILTERATLAS" render --out signals2 -q "${JOB[@]}" >out 2>err & launcher=$!
working signals2
kill -HUP "$launcher"
ended 60; status=$?
check "nohup: SIGHUP is ignored, status 0, not $status" test $status -eq 0
check "the same files" same signals2 reference

start 2 slow "${SLOW[@]}"
drawing slow
kill -USR1 "$(rank 0)"
sleep 1.5
check "after a signal the units in flight go on" kill -0 "$launcher"
kill -USR2 "$(rank 1)"
began=$(date +%s%N)
ended 60; status=$?
check "a second, other signal drops them: status 75, not $status" test $status -eq 75
check "a second signal drops them at once ($took ms)" test $took -lt 15000
for case in "--grace 0" ""; do
    start 2 slow "${SLOW[@]}" $case
    drawing slow
    kill -TERM "$(rank 1)"
    began=$(date +%s%N)
    ended 60; status=$?
    check "SIGTERM ${case:-without --grace}: status 75, not $status" test $status -eq 75
    check "SIGTERM ${case:-without --grace}: in time ($took ms)" test $took -lt 15000
done
check "no unit was finished, so none is kept" test "$(records slow)" -eq 0

# Limits -------------------------------------------------------------------------------------------------------------
minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# limited SECONDS: with a time limit in the folder `limit`, checked where it stops.
limited() {
    local before status
    before=$(records limit)
    start 2 limit "${JOB[@]}" --time-limit "$(minutes "$1")"
    ended $(($1 + 60)); status=$?
    [ $status -eq 75 ] || return $status
    check "--time-limit: in time ($took ms of $1 s)" test $took -lt $(($1 * 1000 + 15000))
    check "--time-limit: one line says so" said '^filteratlas: time limit: stopped'
    [ "$(records limit)" -le "$before" ] || advances=$((advances + 1))
    return 75
}
seconds=$((undisturbed / 2000 + 1)) runs=0 stops=0 advances=0 status=75
while [ $status -eq 75 ] && [ $runs -lt 20 ]; do
    stopped=$stops advanced=$advances
    limited $seconds; status=$?
    runs=$((runs + 1))
    [ $status -ne 75 ] || stops=$((stops + 1))
    # All at once: the machine has less to do now. Nothing: it has more, and the limit left no time for a unit.
    if [ $status -eq 0 ] && [ $stops -eq 0 ] && [ $seconds -gt 1 ]; then
        rm -rf limit; seconds=$((seconds / 2)) status=75
    elif [ $stops -gt $stopped ] && [ $advances -eq $advanced ]; then
        seconds=$((seconds + 1))
    fi
done
check "--time-limit: it stops ($stops of $runs runs)" test $stops -gt 0
# Once or twice the next limit may be enough for all that the one before had no time for.
check "--time-limit: it gets on (in $advances of these)" test $advances -gt 0 -o $stops -lt 3
check "--time-limit: all is drawn in the end" test $status -eq 0
check "--time-limit: the same files" same limit reference

# alone DIR OPTION...: as start, without mpirun, which takes seconds to end itself.
alone() {
    "$FILTERATLAS" render --out "$1" -q "${@:2}" 2>err & launcher=$!
    began=$(date +%s%N)
}

# idle SECONDS: with that limit, the milliseconds from the last unit's record to the end of the run.
idle() {
    rm -rf units
    alone units "${UNITS[@]}" --time-limit "$(minutes "$1")"
    ended 60; status=$?
    find units/units -name '*.txt' ! -name '.*' -printf '%T@\n' 2>/dev/null | sort -n |
        awk -v began="$began" -v took="$took" '{ last = $1 } END { printf "%d", began / 1e6 + took - last * 1e3 }' >idle
}
# Between one unit and two: how long one takes is seen first, anew where the machine was disturbed.
for _ in 1 2 3; do
    rm -rf units
    alone units "${UNITS[@]}" --grace 0
    for _ in $(seq 600); do [ "$(records units)" -eq 0 ] || break; sleep 0.05; done
    first=$((($(date +%s%N) - began) / 1000000))
    kill -USR1 "$launcher"
    ended 20
    idle $((first * 3 / 2000 + 1))
    [ $status -ne 75 ] || [ "$(cat idle)" -ge 1000 ] || break
done
check "a unit that would not be finished in time is not begun ($(cat idle) ms after the last): status 75, not $status" \
    test $status -eq 75 -a "$(cat idle)" -lt 1000
start 2 slow "${SLOW[@]}" --time-limit 0:02
ended 60; status=$?
check "--time-limit ends a unit that is too long: status 75, not $status" test $status -eq 75
check "--time-limit ends a unit that is too long: in time ($took ms)" test $took -lt 15000

start 2 file "${JOB[@]}"
working file
touch file/stop
ended 60; status=$?
check "DIR/stop: status 75, not $status" test $status -eq 75
check "DIR/stop: one line says so" said '^filteratlas: file/stop: stopped'
check "DIR/stop is removed" test ! -e file/stop
mkdir -p file/stop/mine
timeout 60 "$FILTERATLAS" render --out file -q "${JOB[@]}" >out 2>err; status=$?
check "a folder of that name is no less clear: status 75, not $status" test $status -eq 75
check "a line names it, for it stays" grep -q '^filteratlas: file/stop: asks to stop, and cannot be removed' err
check "a line says that the run stopped" grep -q '^filteratlas: file/stop: stopped' err
rm -r file/stop
completes file 1 DIR/stop

expect "--time-limit auto outside Slurm" 2 '^filteratlas: --time-limit auto: .*give' \
    env -u SLURM_JOB_ID -u SLURM_JOB_END_TIME "$FILTERATLAS" render --out auto "${JOB[@]}" --time-limit auto
mkdir bin
printf '#!/bin/sh\necho "JobId=77 TimeLimit=UNLIMITED EndTime=Unknown Deadline=N/A"\n' >bin/scontrol
chmod +x bin/scontrol
expect "--time-limit auto in a job without limit" 0 '' env -u SLURM_JOB_END_TIME PATH="$PWD/bin:$PATH" SLURM_JOB_ID=77 \
    OMPI_MCA_ess=singleton OMPI_MCA_ras=^slurm OMPI_MCA_plm=isolated "$FILTERATLAS" render --out unlimited -q "${JOB[@]}" --time-limit auto
expect "--time-limit auto with an end that is no number" 2 '^filteratlas: --time-limit auto: .*give' \
    env SLURM_JOB_END_TIME=nan "$FILTERATLAS" render --out auto "${JOB[@]}" --time-limit auto
printf '#!/bin/sh\nexec sleep 20\n' >bin/scontrol
expect "a scontrol that doesn't answer: a signal ends the wait" 75 '^filteratlas: SIGTERM: stopped' \
    timeout --preserve-status 4 env -u SLURM_JOB_END_TIME PATH="$PWD/bin:$PATH" SLURM_JOB_ID=77 \
    OMPI_MCA_ess=singleton OMPI_MCA_ras=^slurm OMPI_MCA_plm=isolated "$FILTERATLAS" render --out unlimited -q "${QUICK[@]}" --time-limit auto
expect "another MPI's launcher: one line, of its first rank" 2 '^filteratlas: MPI sees 1 of 2 processes, .*; use the mpirun of Open MPI' \
    env PMI_RANK=0 PMI_SIZE=2 "$FILTERATLAS" render --out other "${JOB[@]}"
expect "another MPI's launcher: no line of another" 2 '' env PMI_RANK=1 PMI_SIZE=2 "$FILTERATLAS" render --out other "${JOB[@]}"
export SLURM_JOB_END_TIME=$(($(date +%s) + 12))
start 2 auto "${SLOW[@]}" --time-limit auto
ended 60; status=$?
check "--time-limit auto with the end in 12 s: status 75, not $status" test $status -eq 75
check "--time-limit auto with the end in 12 s: in time ($took ms)" test $took -lt 12000
unset SLURM_JOB_END_TIME

# So do weights on a file system that hardly answers: each read takes half a minute here.
for number in 0 1; do
    FAULTS_READ=30000 LD_PRELOAD=$BUILD/tests/faults.so start 2 unread "${QUICK[@]}"
    for _ in $(seq 100); do [ "$(pgrep -c -P "$launcher" filteratlas)" -lt 2 ] || break; sleep 0.05; done
    sleep 1
    kill -INT "$(rank $number)"; began=$(date +%s%N)
    ended 60; status=$?
    check "SIGINT to rank $number while the weights are read: status 75, not $status" test $status -eq 75
    check "SIGINT to rank $number while the weights are read: in time ($took ms)" test $took -lt 10000
done
FAULTS_READ=30000 LD_PRELOAD=$BUILD/tests/faults.so start 2 unread "${QUICK[@]}" --time-limit 0:03
ended 60; status=$?
check "--time-limit while the weights are read: status 75, not $status, in time ($took ms)" test $status -eq 75 -a $took -lt 15000
completes unread 2 "a run whose weights were not read"

# Files of layers take a while, too: large pictures, soon drawn.
FILES=(--weights "$WEIGHTS" --size 400 --upscaling-steps 1 --upscaling-factor 4 --epochs 1 --dead leak --layers 'block[345]_*' --filters 0:32)
start 2 files "${FILES[@]}"; ended 120; status=$?
check "an atlas of large pictures" test $status -eq 0
cp -r files files.reference
rm -rf files/page files/vgg* files/index.html files/losses.csv
start 2 files "${FILES[@]}"
for _ in $(seq 200); do compgen -G 'files/page/.*.part' >/dev/null && break; sleep 0.05; done
kill -TERM "$launcher"; began=$(date +%s%N)
ended 60; status=$?
check "SIGTERM while files are made: in time ($took ms)" test $took -lt 15000
check "SIGTERM while files are made: no file half-made" test -z "$(find files/page -path '*/.*' -prune -o -name 'sheet.jpg' -print | while read -r f; do [ -s "${f%/*}/sheet.js" ] || echo "$f"; done)"
runs=0 status=75
while [ $status -eq 75 ] && [ $runs -lt 20 ]; do
    runs=$((runs + 1))
    start 2 files "${FILES[@]}" --time-limit "$(minutes $((runs + 1)))"
    ended 60; status=$?
    [ $status -ne 75 ] || check "--time-limit $(minutes $((runs + 1))) while files are made: in time ($took ms)" test $took -lt 30000
done
check "--time-limit while files are made: they get made, after $runs runs" test $status -eq 0
check "--time-limit while files are made: the same files" diff -r -x units -x losses.csv files files.reference

# Ranks that hang or die -----------------------------------------------------------------------------------------------
start 3 hang "${JOB[@]}" --rank-timeout 4
working hang
kill -STOP "$(rank 2)"
ended 60; status=$?
check "a rank that hangs: status 1, not $status" test $status -eq 1
check "a rank that hangs: one line names rank and host" said "^filteratlas: rank 2 on $(hostname): .*run the same command again"
check "a rank that hangs: the job ends when --rank-timeout says so ($took ms)" test $took -lt 20000
start 2 suspended "${SLOW[@]}" --rank-timeout 2
drawing suspended
for signal in STOP CONT; do
    kill -$signal "$(rank 0)" "$(rank 1)"
    [ $signal = CONT ] || sleep 6
done
sleep 1
check "suspended for longer than --rank-timeout: the job goes on" kill -0 "$launcher"
kill -USR1 "$(rank 0)"; sleep 0.5; kill -USR2 "$(rank 0)"
ended 60; status=$?
check "suspended for longer than --rank-timeout: then stops as asked, status 75, not $status" test $status -eq 75
start 3 died "${JOB[@]}"
working died
victim=$(rank 1)
kill -9 "$victim"
began=$(date +%s%N)
ended 60; status=$?
check "a rank that dies: the job ends soon ($took ms, status $status)" test $took -lt 10000 -a $status -ne 124 -a $status -ne 0
check "a rank that dies: mpirun names it" grep -Eq "rank(:[^ ]*,| | .*,)1\]? .*signal 9" <(tr '\n' ' ' <err)
completes hang 2 "a rank that hangs"
completes died 2 "a rank that dies"

# Two jobs in one folder -----------------------------------------------------------------------------------------------
"$FILTERATLAS" render --out busy -q "${SLOW[@]}" 2>/dev/null & first=$!
drawing busy
began=$(date +%s%N)
expect "a second render of a layer: one line names host and pid of the first" 1 \
    "^filteratlas: busy: block3_conv1 .* process $first on $(hostname);" "$FILTERATLAS" render --out busy -q "${SLOW[@]}"
took=$((($(date +%s%N) - began) / 1000000))
check "a second render of a layer doesn't wait for the first ($took ms)" test $took -lt 15000
kill -USR1 $first; kill -0 $first && kill -9 $first
wait $first 2>/dev/null
start 2 busy "${SLOW[@]}" --time-limit 0:02
ended 60; status=$?
check "the lock of one that was killed is taken over: status 75, not $status" test $status -eq 75

"$FILTERATLAS" render --out both -q "${QUICK[@]}" --layers 'block1_*' --filters 0:8 2>one.err & first=$!
"$FILTERATLAS" render --out both -q "${QUICK[@]}" --layers 'block2_*' --filters 0:8 2>other.err & second=$!
wait $first; one=$?; wait $second; other=$?
check "different layers side by side in one folder: both succeed" test "$one$other" = 00
check "different layers side by side: losses.csv has both" test "$(cut -d, -f1 both/losses.csv | sort -u | wc -l)" -eq 5
