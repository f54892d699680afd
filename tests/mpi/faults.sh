#!/usr/bin/env bash
# A render that crashes, or whose file system fails, at any one of its system calls: nothing half-written gets a final
# name, the error is one line, and the same command again completes with the bytes of an undisturbed run.
# shellcheck source=tests/harness.sh disable=SC1091,SC2015
. "$(dirname "$0")/../harness.sh"

SHIM=$BUILD/tests/faults.so
WEIGHTS=$HERE/jobs/demo/demo_weights.h5
# 6 filters, one of them dead, in 2 units; a third of a second, of which most is MPI's start.
JOB=(--weights "$WEIGHTS" --size 32 --upscaling-steps 2 --epochs 2 --batch 3 --layers block1_conv1 --filters 0:6 --trace)
# About two seconds, to be disturbed on the way.
LONG=(--weights "$WEIGHTS" --size 96 --upscaling-steps 3 --epochs 20 --batch 2 --layers 'block[123]_conv1' --filters 0:16 --trace)
AT_ONCE=3
export OMPI_MCA_ess_singleton_isolated=1 # alone, MPI need not start a daemon
RANDOM=4
cd "$TEMPORARY" || exit 1
mounted=()
cleanup() { for place in "${mounted[@]}"; do umount -l "$place"; done; }

# render DIR OPTION...: alone, quietly, within 60 s; what it says goes to DIR.err.
render() {
    local dir=$1; shift
    mkdir -p "$TEMPORARY/tmp.$dir" # Open MPI's session folders: runs at once make and remove one another's
    TMPDIR=$TEMPORARY/tmp.$dir timeout 60 "$FILTERATLAS" render --out "$TEMPORARY/$dir" -q "$@" >/dev/null 2>"$TEMPORARY/$dir.err"
}

# disturbed DIR AT DO [STAYS]: the job with a fault at its call number AT.
disturbed() {
    FAULTS_FOLDER=$TEMPORARY/$1 FAULTS_LOG=$TEMPORARY/$1.calls FAULTS_AT=$2 FAULTS_DO=$3 FAULTS_STAYS=${4:-} \
        LD_PRELOAD=$SHIM render "$1" "${JOB[@]}"
}

# contents DIR: name and hash of every file under its final name, but for who drew it and how long it took; of records and
# traces the lines, since a unit may be committed in pieces.
contents() {
    (cd "$1" && find . -type f ! -path '*/.*' ! -path './units/*' ! -name losses.csv -exec sha256sum {} +
     [ ! -f losses.csv ] || echo "$(cut -d, -f1-4 losses.csv | sha256sum) losses.csv"
     for file in units/*/*.txt; do
         [ ! -f "$file" ] || awk -v file="$file" '!/^(trace|crc)/ { $4 = $5 = "-"; print file, $0 }' "$file"
     done
     for file in units/*/*.csv; do [ ! -f "$file" ] || sed "s|^|${file%.*.csv} |" "$file"; done) | sort -u
}

same() { diff <(contents "$1") <(contents "${2:-reference}"); }

# partial DIR [REFERENCE]: it has nothing under a final name that the reference has not; what is torn between two lines, the
# next run would say.
partial() {
    [ ! -d "$1" ] || [ -z "$(contents "$1" | comm -23 - <(contents "${2:-reference}") 2>&1)" ]
}

# clean DIR: no temporary file of what is finished, no lock.
clean() { [ -z "$(find "$1" -name '*.lock' -o -name '*.png.part' -o -name '*.txt.part' -o -name '*.csv.part')" ]; }

# completes DIR OPTION...: the same command again, undisturbed.
completes() { render "$@" && same "$1" && clean "$1"; }

# one_line DIR: of what the program says there is one line, which begins with the file or folder it could not use.
one_line() {
    [ "$(wc -l <"$1.err")" -eq 1 ] && grep -q "^filteratlas: $TEMPORARY/$1" "$1.err" || { cat "$1.err"; false; }
}

# each WHAT FUNCTION ARGUMENTS...: calls FUNCTION with every one of the (space-separated) arguments, some at a time; one
# check for all.
each() {
    local what=$1 function=$2 arguments running=0; shift 2
    rm -f failures
    for arguments; do
        # shellcheck disable=SC2086 # the words of one call
        { $function $arguments >"log.${arguments// /-}" 2>&1 || echo "$arguments: $(head -c 400 "log.${arguments// /-}")" >>failures; } &
        [ $((++running)) -lt $AT_ONCE ] || { wait -n; running=$((running - 1)); }
    done
    wait
    if [ -s failures ]; then fail "$what" "of $# cases: $(head -n 20 failures)"; else pass "$what ($# cases)"; fi
}

check "an undisturbed render" render reference "${JOB[@]}"
check "the shim alone disturbs nothing" disturbed calls 0 ''
check "the shim alone: the same files" same calls
calls=$(wc -l <calls.calls)
first=$(grep -n 'fsync .*/units/block1_conv1$' calls.calls | sed -n '2s/:.*//p') # ends the first commit
check "there are calls to disturb" test "$first" -gt 30 -a "$calls" -gt $((first + 40))
# Every call of the start and the first commit; of the rest every one that isn't like the one before, and some of those.
chosen=()
previous=
while read -r call _; do
    number=$((${number:-0} + 1))
    if [ "$number" -le "$first" ] || [ "$call" != "$previous" ] || [ $((RANDOM % 10)) -eq 0 ]; then chosen+=("$number"); fi
    previous=$call
done <calls.calls

# missed DIR AT STATUS: the run did not come to such a call, since units that are committed together take fewer, or to none
# that can fail, and so completed; a lock that could not be removed is the next run's to take over. The log has every call
# that there was.
missed() {
    [ "$3" -eq 0 ] && ! tail -n "+$2" "$1.calls" | grep -qvE '^(unlink|fclose) ' && same "$1" &&
        { clean "$1" || completes "$1" "${JOB[@]}"; }
}

# Crashes --------------------------------------------------------------------------------------------------------------
crash() {
    local dir=crash$1 status
    disturbed "$dir" "$1" "$2"; status=$?
    ! missed "$dir" "$1" $status || { rm -rf "$dir"; return 0; }
    [ $status -eq 99 ] || { echo "the crash did not happen: status $status"; cat "$dir.err"; return 1; }
    partial "$dir" || { echo "a file that the reference has not"; return 1; }
    completes "$dir" "${JOB[@]}" && [ ! -s "$dir.err" ] || { cat "$dir.err"; return 1; }
    rm -rf "$dir"
}
each "a crash before a system call: the next run completes" crash "${chosen[@]/%/ exit}"

# A crash of the run that mends what a crash left, and so on, until one gets through.
crash_again() {
    local at status=99 runs=0
    for at in "$@"; do
        disturbed again "$at" exit; status=$?
        runs=$((runs + 1))
        [ $status -eq 99 ] || break
        partial again || return 1
    done
    completes again "${JOB[@]}"
}
check "crash after crash in one folder: it completes" crash_again 13 27 36 31 48 40 20 60

# What power loss would undo: a name may be given only to what is on the disk, and a record's only after its pictures'.
flushed_in_order() {
    awk '
    { base = $2; sub(/.*\//, "", base); folder = substr($2, 1, length($2) - length(base) - 1) }
    $1 == "write" || $1 == "fwrite" { dirty[$2] = 1 }
    $1 == "fsync" { delete dirty[$2]; delete named[$2] }
    $1 == "rename" && (folder "/." base ".part") in dirty { print "renamed before it was flushed: " $2; bad = 1 }
    $1 == "rename" && base ~ /^[0-9]+\.txt$/ { for (open in named) if (open ~ /filters/) {
        print "recorded before the pictures were flushed: " $2; bad = 1 } }
    $1 == "rename" || $1 == "mkdir" { named[folder] = 1 }
    END { for (open in named) if (index(open, top) == 1) { print "never flushed: " open; bad = 1 }
          exit bad }' top="$TEMPORARY/calls" calls.calls
}
check "files and folders are flushed before anything relies on them" flushed_in_order

new_folders_are_flushed() {
    FAULTS_FOLDER=$TEMPORARY/new FAULTS_LOG=$TEMPORARY/new.calls LD_PRELOAD=$SHIM \
        timeout 60 "$FILTERATLAS" render --out "$TEMPORARY/new/deep/atlas" -q "${JOB[@]}" &&
        grep -qx "fsync $TEMPORARY/new" new.calls && grep -qx "fsync $TEMPORARY/new/deep" new.calls
}
mkdir new
check "the folders above a new atlas are flushed" new_folders_are_flushed

# Errors ---------------------------------------------------------------------------------------------------------------
fault() {
    local dir=$2$1$3 status
    disturbed "$dir" "$1" "$2" "${3:-}"; status=$?
    ! missed "$dir" "$1" $status || { rm -rf "$dir"; return 0; }
    # A folder that a read-only file system does not let anybody make is bad usage.
    [ $status -eq 1 ] || [ "$2$status" = EROFS2 ] || { echo "status $status"; cat "$dir.err"; return 1; }
    one_line "$dir" || return 1
    partial "$dir" || { echo "a file that the reference has not"; return 1; }
    completes "$dir" "${JOB[@]}" && [ ! -s "$dir.err" ] || { cat "$dir.err"; return 1; }
    rm -rf "$dir"
}
# An unlink or fclose that fails hurts nothing: what they clean up is found by the next run.
errors=(ENOSPC EIO EDQUOT EROFS)
once=() stays=() short=()
for number in "${chosen[@]}"; do
    call=$(sed -n "${number}s/ .*//p" calls.calls)
    case $call in unlink | fclose) continue ;; write) short+=("$number short") ;; esac
    error=${errors[RANDOM % 4]}
    # A close reports what a network file system could not write, but nothing of the file system's state.
    case $((RANDOM % 3)) in 0) once+=("$number $error") ;; 1) stays+=("$number $error 1") ;; esac
done
each "a call fails once: one line, status 1, the next run completes" fault "${once[@]}"
each "a call and all later ones fail: the same" fault "${stays[@]}"

short_write() { disturbed "short$1" "$1" short && same "short$1" && clean "short$1" && rm -rf "short$1"; }
each "a short write is gone on with" short_write "${short[@]}"

# Damage ---------------------------------------------------------------------------------------------------------------
flip() { printf '\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
mended() { completes damage "${JOB[@]}" && [ "$(wc -l <damage.err)" -eq 1 ] && grep -q 'drawn again' damage.err; }
cp -a reference damage
for place in filters/block1_conv1/0002.png:40 filters/block1_conv1/0005.png:300 units/block1_conv1/00000.txt:5 \
    units/block1_conv1/00001.txt:60; do
    flip "damage/${place%:*}" "${place#*:}"
    check "a flipped byte in ${place%:*} is found and mended" mended
done
for size in 0 100; do
    truncate -s $size damage/filters/block1_conv1/0004.png
    check "a picture cut to $size bytes is found and mended" mended
    truncate -s $size damage/units/block1_conv1/00001.txt
    check "a record cut to $size bytes is found and mended" mended
done
sed -i '/^4 live/s/ 0\./ 1./' damage/units/block1_conv1/00001.txt # still reads as a record
check "a changed digit of a loss in a record is found and mended" mended
flip damage/units/block1_conv1/00001.*.csv 60
check "a flipped byte in a unit's trace is found and mended" mended

rm damage/filters/block1_conv1/0005.png
unselected() {
    render damage "${JOB[@]}" --filters 0:3 && [ "$(wc -l <damage.err)" -eq 1 ] && ! grep -q '^block1_conv1,5,' damage/losses.csv
}
check "a picture is missing that isn't selected: the others are published without it" unselected
check "and drawn again when it is" mended

# The folder goes away -------------------------------------------------------------------------------------------------
# soon FILE...: waits up to 20 s until one is there.
soon() { for _ in $(seq 400); do compgen -G "$1" >/dev/null && return 0; sleep 0.05; done; return 1; }
check "a longer render" render long "${LONG[@]}"
render vanishing "${LONG[@]}" & pid=$!
soon 'vanishing/units/*/*.txt'
mv vanishing vanished
wait $pid
check "the folder vanishes: status 1" test $? -eq 1
check "the folder vanishes: one line" one_line vanishing
mv vanished vanishing 2>/dev/null || cp -a vanished/. vanishing
check "the folder is back: the next run completes" render vanishing "${LONG[@]}"
check "the folder is back: the same files" same vanishing long

# A small file system --------------------------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && mkdir full && mount -t tmpfs -o size=16k none full 2>/dev/null; then
    mounted+=("$TEMPORARY/full")
    for size in 16k 60k 300k 900k 1300k; do
        mount -o "remount,size=$size" full
        render full "${LONG[@]}"; status=$?
        check "a file system of $size fills up: status 1, not $status" test $status -eq 1
        check "a file system of $size fills up: one line" one_line full
        check "a file system of $size fills up: nothing half-written" partial full long
    done
    mount -o remount,size=20m full
    rm -r full/*
    # While a run has its locks open for writing, Linux refuses to make the file system read-only: between two of them.
    render full "${LONG[@]}" --time-limit 0:01
    mount -o remount,ro full
    render full "${LONG[@]}"; status=$?
    check "a file system that is read-only: status 1 or 2, not $status" test $status -eq 1 -o $status -eq 2
    check "a file system that is read-only: one line" one_line full
    mount -o remount,rw full
    check "there is room: the next run completes" render full "${LONG[@]}"
    check "there is room: the same files" same full long
else
    echo "ok - a small file system that fills up # SKIP only root may mount one"
fi
