#!/usr/bin/env bash
# Bad input of every kind, alone and under mpirun: one line that names the culprit, the right exit status, within seconds,
# and no file made, changed or touched. The cases run a few at a time, since mpirun mostly waits.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

DEMO=$HERE/jobs/demo/demo_weights.h5
WEIGHTS=$TEMPORARY/weights
TEMPLATE=$TEMPORARY/template
AT_ONCE=4
SECONDS_ALLOWED=60
JOB=(--size 64 --upscaling-steps 2 --epochs 3 --layers block1_conv1 --filters 0:6)
cases=0

# fingerprint FOLDER: every name, kind, time and byte in it.
fingerprint() {
    (cd "$1" && find . -printf '%p %y %m %s %T@ %i\n' | sort && find . -type f -exec sha256sum {} + | sort)
}

# lines FILE: how many of its lines are the program's.
lines() { grep -c '^filteratlas: ' "$1"; }

# judge CASE STATUS PATTERN LAUNCHER: why the finished case is wrong; nothing if it is right.
judge() {
    local at=$TEMPORARY/case$1 status=$2 pattern=$3 launcher=$4 got
    got=$(cat "$at.status")
    [ "$got" -eq 124 ] && echo "still running after $SECONDS_ALLOWED s" && return
    [ "$got" -eq "$status" ] || echo "exit status $got, not $status"
    [ "$(lines "$at.err")" -eq 1 ] || echo "$(lines "$at.err") lines of ours on standard error, not 1"
    [ "$launcher" = mpirun ] || [ "$(wc -l <"$at.err")" -eq 1 ] || echo "more than a line on standard error"
    grep '^filteratlas: ' "$at.err" | grep -Eq -- "$pattern" || echo "no match for /$pattern/"
    ! grep -Eq 'HDF5-DIAG|#00[0-9]:|MPI_ABORT|Backtrace|signal' "$at.err" || echo "a library speaks up"
    [ ! -s "$at.out" ] || echo "something on standard output"
    cmp -s "$at.before" "$at.after" || diff "$at.before" "$at.after" | head -5
}

# run CASE STATUS PATTERN LAUNCHER ARGUMENT...: one case; @ in an argument stands for its own copy of the template.
run() {
    local case=$1 status=$2 pattern=$3 launcher=$4 at=$TEMPORARY/case$1; shift 4
    local command=("$FILTERATLAS" "${@//@/$at}")
    [ "$launcher" = mpirun ] && command=(mpirun -n 3 "${command[@]}")
    [ -n "$AS" ] && command=(env "HOME=$TEMPORARY" setpriv --reuid=65534 --regid=65534 --clear-groups "${command[@]}")
    cp -a "$TEMPLATE" "$at"
    fingerprint "$at" >"$at.before"
    (cd "$at" && timeout -k 5 "$SECONDS_ALLOWED" "${command[@]}") >"$at.out" 2>"$at.err" </dev/null
    echo $? >"$at.status"
    fingerprint "$at" >"$at.after"
    judge "$case" "$status" "$pattern" "$launcher" >"$at.verdict" 2>&1
}

# try WHAT STATUS PATTERN ARGUMENT...: queues the command alone and under mpirun.
try() {
    local what=$1 launcher; shift
    for launcher in alone mpirun; do
        cases=$((cases + 1))
        names[cases]="$what ($launcher)"
        while [ "$(jobs -rp | wc -l)" -ge $AT_ONCE ]; do wait -n; done
        run $cases "$1" "$2" "$launcher" "${@:3}" &
    done
}

# render WHAT STATUS PATTERN OPTION...: tries a render into a folder that holds the same job, with these options added.
render() { try "$1" "$2" "$3" render --weights "$DEMO" --out @/atlas "${JOB[@]}" "${@:4}"; }

# weights WHAT PATTERN FILE: tries to render a new atlas from a bad file.
weights() { try "$1" 2 "$2" render --weights "$3" --out @/new "${JOB[@]}"; }

make_weights() { "$BUILD/tests/make_weights" --divide 16 "${@:2}" "$WEIGHTS/$1"; }

AS=
names=()
mkdir -p "$WEIGHTS" "$TEMPLATE/orphan/filters/block1_conv1" "$TEMPLATE/empty"
echo precious >"$TEMPLATE/file"
echo a picture >"$TEMPLATE/orphan/filters/block1_conv1/0000.png"
mkdir -m 555 "$TEMPLATE/locked"
check "an atlas to endanger" "$FILTERATLAS" render --weights "$DEMO" --out "$TEMPLATE/atlas" "${JOB[@]}" -q
check "an atlas with other options to endanger" "$FILTERATLAS" render --weights "$DEMO" --out "$TEMPLATE/neuron" \
    "${JOB[@]}" --objective neuron -q

# Weights ------------------------------------------------------------------------------------------------------------
: >"$WEIGHTS/empty.h5"
head -c 100000 "$DEMO" >"$WEIGHTS/truncated.h5"
{ head -c 2000 "$DEMO"; head -c 100000 /dev/zero; } >"$WEIGHTS/broken.h5"
echo "This is no HDF5 file." >"$WEIGHTS/text.h5"
mkdir "$WEIGHTS/folder.h5"
weights "a file that is missing" missing.h5 "$WEIGHTS/missing.h5"
weights "an empty file" empty.h5 "$WEIGHTS/empty.h5"
weights "a truncated file" truncated.h5 "$WEIGHTS/truncated.h5"
weights "a file that is HDF5 at its start only" broken.h5 "$WEIGHTS/broken.h5"
weights "a file that is not HDF5" text.h5 "$WEIGHTS/text.h5"
weights "a folder as the file" folder.h5 "$WEIGHTS/folder.h5"
for defect in weightless layer group dataset no-bias kernel chain bias nan infinity; do
    check "a file with the defect '$defect'" make_weights $defect.h5 --defect $defect
    weights "weights with the defect '$defect'" "$defect.h5" "$WEIGHTS/$defect.h5"
done
for defect in group dataset kernel chain nan; do
    expect "the layer with the defect '$defect' is named" 2 'block3_conv[23]' "$FILTERATLAS" inspect "$WEIGHTS/$defect.h5"
done

# Selection and sizes ------------------------------------------------------------------------------------------------
render "an unknown layer" 2 'block6_conv1' --layers block6_conv1
render "an unknown layer among known ones" 2 'block5_conv4' --layers 'block1_conv1,block5_conv4,block5_*'
render "a glob that matches nothing" 2 'block9_\*' --layers 'block9_*'
render "an empty name in the list" 2 '--layers' --layers 'block1_conv1,'
render "filters beyond the layer" 2 '--filters.* block1_conv1' --filters 0:17
render "filters that start beyond the layer" 2 '--filters.* block1_conv1' --filters 16:
render "filters of which only the smallest layer has too few" 2 '--filters.* block1_conv1' --layers '*' --filters 0:100
render "a size too small for a layer" 2 '--size 20x20.*block5_conv1' --layers block5_conv1 --size 20
render "a height too small for a layer" 2 '--size 200x20.*block5_conv1' --layers block5_conv1 --size 200x20
render "sizes that shrink to nothing" 2 '--size' --upscaling-factor 16 --upscaling-steps 64
render "sizes that shrink below a pixel" 2 '--size' --upscaling-factor 2 --upscaling-steps 40 --size 16384

# Options ------------------------------------------------------------------------------------------------------------
render "zero pixels" 2 '--size 0:' --size 0
render "zero steps" 2 '--upscaling-steps 0:' --upscaling-steps 0
render "a factor below 1" 2 '--upscaling-factor 0.5:' --upscaling-factor 0.5
render "negative epochs" 2 '--epochs -3:' --epochs -3
render "a step that is no number" 2 '--step nan:' --step nan
render "a seed that is no number" 2 '--seed x:' --seed x
render "a batch beyond the most" 2 '--batch 65:' --batch 65
render "a range backwards" 2 '--filters 5:3:' --filters 5:3
render "an unknown choice" 2 '--channels cmyk:' --channels cmyk
render "a rule for the dead that there is not" 2 '--dead revive:' --dead revive
render "no retry at all" 2 '--dead retry=0:' --dead retry=0
render "retries without a number" 2 '--dead retry=:' --dead retry=
render "an objective that there is not" 2 '--objective layer:' --objective layer
render "a negative border" 2 '--border -1:' --border -1
render "a decay of everything" 2 '--decay 1:' --decay 1
render "a blur between steps" 2 '--blur 1.5:' --blur 1.5
render "a blur without a width" 2 '--blur-sigma 0:' --blur 2 --blur-sigma 0
render "a width without a blur" 2 '--blur-sigma 2: .*--blur' --blur-sigma 2
render "a jitter that is no number" 2 '--jitter x:' --jitter x
render "an unknown option" 2 '--frobnicate:' --frobnicate
render "an option of another command" 2 '--grid' --grid 3
render "a value that is missing" 2 '--epochs:' --epochs
render "an argument too many" 2 'block5_conv1:' block5_conv1
try "no weights" 2 '--weights' render --out @/new
try "no folder" 2 '--out' render --weights "$DEMO"

# The folder ---------------------------------------------------------------------------------------------------------
# into WHAT STATUS PATTERN FOLDER: tries to render into a folder that won't do.
into() { try "$1" "$2" "$3" render --weights "$DEMO" "${JOB[@]}" --out "$4"; }
into "a file as the folder" 2 '/file: ' @/file
into "a folder below a file" 2 '/file' @/file/below
into "a folder that cannot be made" 2 '/proc/atlas: ' /proc/atlas
into "pictures without a job" 2 '/orphan: ' @/orphan
into "a folder name too long" 2 'aaaaaaaa' "@/$(printf 'a%.0s' {1..300})"
render "another size" 3 'atlas: .*size .*64x64.*65x65' --size 65
render "another seed and batch" 3 'atlas: .*seed .*batch ' --seed 1 --batch 4
render "options that are off in the folder's job" 3 'atlas: .*dead .*leak.*border .*2.*jitter .*4' \
    --dead leak --border 2 --jitter 4
into "options that are on in the folder's job" 3 'neuron: .*objective \(neuron there, now the default\)' @/neuron
check "other weights" make_weights other.h5
try "other weights in the folder" 3 'atlas: .*weights-sha256 ' \
    render --weights "$WEIGHTS/other.h5" --out @/atlas "${JOB[@]}" --filters 0:4
wait

# As root everything can be written: these two as somebody else, with copies that anybody can read.
if [ "$(id -u)" -eq 0 ]; then
    AS=nobody
    chmod 755 "$TEMPORARY"
    cp "$FILTERATLAS" "$TEMPORARY/program"
    cp "$DEMO" "$WEIGHTS/demo.h5"
    FILTERATLAS=$TEMPORARY/program DEMO=$WEIGHTS/demo.h5
fi
into "a folder that is not writable" 2 '/locked: ' @/locked
into "a folder below one that is not writable" 2 '/locked' @/locked/below
wait

for case in $(seq $cases); do
    verdict=$TEMPORARY/case$case.verdict
    if [ -e "$verdict" ] && [ ! -s "$verdict" ]; then pass "${names[case]}"
    else fail "${names[case]}" "$(cat "$verdict")" "$(head -c 500 "$TEMPORARY/case$case.err")"; fi
done
