#!/usr/bin/env bash
# The commands as a person meets them: help, inspect, plan, stitch. Nothing here is drawn but one small atlas.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
ATLAS=$TEMPORARY/atlas
JOB=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 3)
PIXELS=$BUILD/tests/png_pixels
PYTHON=${PYTHON:-/usr/bin/python3}

# says PATTERN COMMAND...: exit status 0, nothing on standard error, a line of output that matches.
says() {
    local pattern=$1; shift
    "$@" >"$TEMPORARY/out" 2>"$TEMPORARY/err" || return 1
    [ ! -s "$TEMPORARY/err" ] && grep -Eq -- "$pattern" "$TEMPORARY/out" && return
    cat "$TEMPORARY/out" "$TEMPORARY/err"
    return 1
}

# Help and version ---------------------------------------------------------------------------------------------------
check "--help says how to use it, on standard output" says '^ *filteratlas render ' "$FILTERATLAS" --help
check "-h does the same" says '^ *filteratlas render ' "$FILTERATLAS" -h
check "--version names program and libraries" says '^filteratlas [0-9]+\.[0-9]' "$FILTERATLAS" --version
for command in render plan inspect stitch; do
    check "$command --help says how to use it, on standard output" says "filteratlas $command " \
        "$FILTERATLAS" "$command" --help
done
check "render --help needs no weights and comes before bad options" says '--upscaling-factor' \
    "$FILTERATLAS" render --help --size 0
check "render --help tells the defaults" says '--size .*412' "$FILTERATLAS" render --help

"$FILTERATLAS" >"$TEMPORARY/out" 2>"$TEMPORARY/err"; status=$?
check "without arguments: exit status 2" test $status -eq 2
check "without arguments: says how to use it" grep -q 'filteratlas render' "$TEMPORARY/out" "$TEMPORARY/err"
expect "an unknown command is named" 2 '^filteratlas: rendr: ' "$FILTERATLAS" rendr
expect "an unknown command is named, --help or not" 2 '^filteratlas: rendr: ' "$FILTERATLAS" rendr --help
expect "an option in place of a command is refused" 2 '^filteratlas: --size: ' "$FILTERATLAS" --size 64
expect "a typing error gets the right option suggested" 2 '^filteratlas: --epoch5: .*--epochs' \
    "$FILTERATLAS" plan "${JOB[@]}" --epoch5 3

# What a newcomer mistypes, and the remedy in the answer.
# remedy WHAT PATTERN ARGUMENT...: refused in one line that ends in what to do.
remedy() { expect "$1" 2 "^filteratlas: .*$2" "$FILTERATLAS" "${@:3}"; }
PLAN=(plan --weights "$WEIGHTS")
remedy "a misspelt command" 'stich: .*did you mean stitch' stich
remedy "a misspelt command to get help on" 'rendr: .*did you mean render' help rendr
remedy "a command left out" '--size: a command comes first' --size 64
remedy "an option with one hyphen" '-size: .*did you mean --size' render -size 64
remedy "an option with one hyphen behind others" '-size: .*did you mean --size' render -q -size 64
remedy "a dash out of a text" '–size: .*no hyphen; type .*--' render –size 64
remedy "an option in place of a value" '--out: a value is missing before --size' render --out --size 64
remedy "an option of another command" '--grid: is an option of stitch, not of render' render --grid 3
remedy "weights without --weights" 'w.h5: .*did you mean --weights w.h5' render w.h5 --out atlas
remedy "a folder without --out" 'folder: .*did you mean --out folder' render --weights w.h5 folder
remedy "a folder without --out for stitch" 'folder: .*did you mean --out folder' stitch folder
remedy "a glob that the shell expanded" 'b.h5: one argument too many; .*quotes' plan --weights a.h5 b.h5
remedy "an empty value" "--weights '': .*give FILE" plan --weights=
remedy "a size with a comma" '--size 412,412: .*such as 412 or 640x480' "${PLAN[@]}" --size 412,412
remedy "a size with a unit" '--size 412px: .*such as 412' "${PLAN[@]}" --size 412px
remedy "one filter alone" '--filters 3: .*such as 3:4 for filter 3' "${PLAN[@]}" --filters 3
remedy "a time without minutes" '--time-limit 4h: .*such as 30:00 or 4:00:00' render --time-limit 4h
remedy "a layer as Caffe names it" "conv5_1: .*did you mean 'block5_conv1'" "${PLAN[@]}" --layers conv5_1
remedy "a misspelt layer" "block5_cnov1: .*did you mean 'block5_conv1'" "${PLAN[@]}" --layers block1_conv1,block5_cnov1
remedy "a whole block" "block5: .*did you mean 'block5_\\*'" "${PLAN[@]}" --layers block5
remedy "a layer of VGG19" 'block5_conv4: .*there are block1_conv1 to block5_conv3' "${PLAN[@]}" --layers block5_conv4
remedy "weights that are a folder" 'demo: is a directory; give the .h5 file' plan --weights "$HERE/jobs/demo"
mkfifo "$TEMPORARY/pipe"
remedy "weights that are a pipe nobody writes to" 'pipe: is not a regular file; give the .h5 file' inspect "$TEMPORARY/pipe"
remedy "weights as the folder" 'demo_weights.h5: .*Not a directory; give another --out' \
    render --weights "$WEIGHTS" --out "$WEIGHTS"
check "help COMMAND is COMMAND --help" cmp <("$FILTERATLAS" help plan) <("$FILTERATLAS" plan --help)
check "-V is --version" cmp <("$FILTERATLAS" -V) <("$FILTERATLAS" --version)

for command in --help --version "render --help" "inspect $WEIGHTS" "plan --weights $WEIGHTS"; do
    # shellcheck disable=SC2086 # the words of the command
    "$FILTERATLAS" $command >/dev/full 2>"$TEMPORARY/err"; status=$?
    check "${command%% /*}: output that cannot be written is a failure" test $status -eq 1
done

# Without standard files: what is said must not get into the files that are opened instead.
few=(render "${JOB[@]}" --layers block1_conv1 --filters 0:4 --out)
"$FILTERATLAS" "${few[@]}" "$TEMPORARY/mute" >&- 2>"$TEMPORARY/err"; status=$?
check "render without standard output: all is done, status 1, not $status" test $status -eq 1 -a -s "$TEMPORARY/mute/losses.csv"
check "one line says why" grep -q '^filteratlas: standard output: closed' "$TEMPORARY/err"
rm -r "$TEMPORARY/mute/filters"
"$FILTERATLAS" stitch --out "$TEMPORARY/mute" -q 2>&-; status=$?
check "stitch of a damaged atlas without standard error: status 1, not $status" test $status -eq 1
check "what it had to say is in no file" test -z "$(grep -rl 'filteratlas: ' "$TEMPORARY/mute")"
"$FILTERATLAS" "${few[@]}" "$TEMPORARY/unread" 2>"$TEMPORARY/err" | head -n 1 >/dev/null; status=${PIPESTATUS[0]}
check "render goes on when who reads its output has ended: status 1, not $status" test "$status" -eq 1 -a -s "$TEMPORARY/unread/losses.csv"

# inspect ------------------------------------------------------------------------------------------------------------
"$FILTERATLAS" inspect "$WEIGHTS" >"$TEMPORARY/inspect" 2>"$TEMPORARY/err"; status=$?
check "inspect: exit status 0, nothing on standard error" test "$status$(cat "$TEMPORARY/err")" = 0
check "inspect names the network" grep -q 'VGG16' "$TEMPORARY/inspect"
check "inspect lists 13 layers" test "$(grep -c '^block[1-5]_conv[1-3] ' "$TEMPORARY/inspect")" -eq 13
check "inspect: the first layer has 16 filters and 448 parameters" \
    grep -Eq '^block1_conv1 +16 +448$' "$TEMPORARY/inspect"
check "inspect: the last layer has 128 filters and 147,584 parameters" \
    grep -Eq '^block5_conv3 +128 +147,584$' "$TEMPORARY/inspect"
check "inspect: the total is that of the layers" awk '
    { gsub(",", "") }
    /^block/ { filters += $2; parameters += $3 }
    /^Total/ { exit !($2 == filters && $3 == parameters && filters == 1056) }
    END { if (!filters) exit 1 }' "$TEMPORARY/inspect"
check "inspect prints the file's SHA-256" grep -q "$(sha256sum "$WEIGHTS" | cut -c1-64)" "$TEMPORARY/inspect"
LC_ALL=C "$FILTERATLAS" inspect "$WEIGHTS" >"$TEMPORARY/plain"
check "inspect fits 80 columns" awk '/^SHA-256|demo_weights/ { next } length > 80 { exit 1 }' "$TEMPORARY/plain"
check "inspect draws a bar chart for each layer, in ASCII where the locale is" awk '
    /^  block[1-5]_conv[1-3] / && $2 <= $3 && $3 <= $4 && $5 ~ /^[.1-9]*9[.1-9]*$/ && length($5) == 24 { rows++ }
    END { exit rows != 13 }' "$TEMPORARY/plain"
check "inspect: plain ASCII there" bash -c '! LC_ALL=C grep -q "[^ -~]" "$1"' bash "$TEMPORARY/plain"
LC_ALL=C.UTF-8 "$FILTERATLAS" inspect "$WEIGHTS" >"$TEMPORARY/bars"
check "inspect: bars in UTF-8" grep -q '▁.*█' "$TEMPORARY/bars"
if "$PYTHON" -c 'import h5py' 2>/dev/null; then
    check "weights with two silent channels" "$PYTHON" - "$WEIGHTS" "$TEMPORARY/silent.h5" <<'END'
import shutil, sys
import h5py
shutil.copy(sys.argv[1], sys.argv[2])
with h5py.File(sys.argv[2], "r+") as file:
    def arrays(layer):
        return [file[layer][name] for name in file[layer].attrs["weight_names"]]
    kernel, bias = arrays("block1_conv2")
    kernel[:, :, :, 5] = -abs(kernel[:, :, :, 5])
    bias[5] = -0.25
    kernel, bias = arrays("block2_conv1")
    kernel[:, :, :, 7] = -abs(kernel[:, :, :, 7])
    kernel[:, :, 5, 7] = 1
    bias[7] = 0
END
    LC_ALL=C "$FILTERATLAS" inspect "$TEMPORARY/silent.h5" >"$TEMPORARY/silent"
    check "inspect finds them, the one that only a silent one feeds too" test \
        "$(sed -n '/^Silent/,/^$/p' "$TEMPORARY/silent" | tail -n +2 | xargs)" = "block1_conv2 5 block2_conv1 7"
    check "render finds them dead" bash -c '
        "$0" render --weights "$1" --out "$2" -q --size 64 --upscaling-steps 2 --epochs 2 --layers block1_conv2,block2_conv1 \
            --filters 5:8 && grep -q "^block1_conv2,5,dead," "$2/losses.csv" && grep -q "^block2_conv1,7,dead," "$2/losses.csv"' \
        "$FILTERATLAS" "$TEMPORARY/silent.h5" "$TEMPORARY/silent_atlas"
else
    pass "inspect finds silent channels # SKIP needs python3-h5py"
fi
check "inspect tells the layout" grep -q 'HWIO.*float16' "$TEMPORARY/inspect"

# plan ---------------------------------------------------------------------------------------------------------------
# layers_hold FILE FILTERS LAYERS: the table of layers sums up to its total, which has this many filters.
layers_hold() {
    awk -v wanted="$2" -v layers="$3" '
        /^block/ { count++; units += $2; filters += $3; tflop += $4 }
        /^Total/ { seen = 1; good = $2 == units && $3 == filters && filters == wanted && count == layers &&
                   ($4 - tflop)^2 < 0.0005^2 * (count + 1)^2 }
        END { exit !(seen && good) }' "$1"
}

# slices_hold FILE RANKS: as many slices, which sum up to the table's total; even, where there are units enough.
slices_hold() {
    awk -v ranks="$2" '
        /^Total/ { all_units = $2; all_filters = $3; all_tflop = $4 }
        inside && NF { if ($1 != count) exit 1; count++; pieces += $2; filters += $3; tflop += $4
                       if ($4 > longest) longest = $4 }
        $1 == "Rank" { inside = 1 }
        END { exit !(count == ranks && pieces >= all_units && filters == all_filters &&
                     (tflop - all_tflop)^2 < 0.0005^2 * (count + 1)^2 && (ranks > all_units / 10 || longest < 1.1 * tflop / ranks)) }' "$1"
}

"$FILTERATLAS" plan --weights "$WEIGHTS" >"$TEMPORARY/plan" 2>"$TEMPORARY/err"; status=$?
check "plan: exit status 0, nothing on standard error" test "$status$(cat "$TEMPORARY/err")" = 0
check "plan: without --speed it measures this machine" grep -Eq '^At [1-9][0-9]* GF/s per rank, measured here' "$TEMPORARY/plan"
check "plan: it says how much of the memory's bandwidth a rank takes, and for how many there is" \
    awk '/^Memory bandwidth: a rank moves at most / { rank = $8; copied = $17; ranks = $(NF - 1) }
         END { exit !(rank > 0.01 && copied > 0.1 && ranks >= int(copied / (rank + 0.06)) - 1 && ranks <= copied / (rank - 0.06) + 1) }' "$TEMPORARY/plan"
check "plan: 13 layers, 1056 filters, sums that add up" layers_hold "$TEMPORARY/plan" 1056 13
for ranks in 1 3 5 200; do
    "$FILTERATLAS" plan --weights "$WEIGHTS" --speed 300 --ranks $ranks >"$TEMPORARY/plan"
    check "plan: the slices of $ranks ranks are balanced and add up" slices_hold "$TEMPORARY/plan" $ranks
done
"$FILTERATLAS" plan --weights "$WEIGHTS" --ranks 5,10,1000000 --speed 300 >"$TEMPORARY/plan"
check "plan: of several numbers of ranks the first has its slices shown" slices_hold "$TEMPORARY/plan" 5
check "plan: every number of ranks has its time" \
    test "$(grep -Ec '^ *(5|10|1000000) ranks: .* s ' "$TEMPORARY/plan")" -eq 3
"$FILTERATLAS" plan --weights "$WEIGHTS" --speed 300 --layers 'block1_*,block5_conv3' --filters 2:5 >"$TEMPORARY/plan"
check "plan: a selection has its filters alone" layers_hold "$TEMPORARY/plan" 9 3

"$FILTERATLAS" plan --weights "$WEIGHTS" --speed 300 --filters 2:13 --batch 5 --ranks 3 >"$TEMPORARY/plan"
check "plan: units that are wanted in part add up" layers_hold "$TEMPORARY/plan" $((13 * 11)) 13
check "plan: slices of units that are wanted in part add up" slices_hold "$TEMPORARY/plan" 3

# disk MILLISECONDS: whether plan finds that a disk with such flushes limits 64 ranks.
disk() {
    mkdir "$TEMPORARY/disk$1"
    FAULTS_FSYNC=$1 LD_PRELOAD=$BUILD/tests/faults.so "$FILTERATLAS" plan --weights "$WEIGHTS" --speed 300 --ranks 64 --size 64 --upscaling-steps 1 \
        --out "$TEMPORARY/disk$1/atlas" >"$TEMPORARY/plan"
    grep -q '^ *64 ranks: .*the disk limits it' "$TEMPORARY/plan"
}
check "plan: a disk whose flushes take 50 ms limits 64 ranks that draw small pictures" disk 50
check "plan: what it measured of the disk" grep -Eq '^Commits, measured at .*/atlas: 0\.[0-9]+ s, and [0-9]+ pictures a second' "$TEMPORARY/plan"
check "plan: the measurement leaves nothing behind" test -z "$(ls -A "$TEMPORARY/disk50")"
expect "plan: a folder where nothing can be written" 2 '/proc: nothing can be written there' \
    "$FILTERATLAS" plan --weights "$WEIGHTS" --speed 300 --out /proc/atlas

# seconds SPEED: what plan expects of one rank.
seconds() { "$FILTERATLAS" plan --weights "$WEIGHTS" --speed "$1" | awk '$2 == "rank:" { print $3 }'; }
check "plan: twice the speed takes half the time" awk "BEGIN { exit !(($(seconds 100) / $(seconds 200) - 2)^2 < 0.01) }"

# stitch -------------------------------------------------------------------------------------------------------------
layers='block1_conv1,block1_conv2,block5_conv3'
check "render draws a small atlas" "$FILTERATLAS" render "${JOB[@]}" --out "$ATLAS" -q --layers $layers --filters 0:16

# plan --costs: what the run took, divided among ranks.
drawn=(plan "${JOB[@]}" --layers "$layers" --filters 0:16 --costs "$ATLAS/losses.csv")
"$FILTERATLAS" "${drawn[@]}" --ranks 1,4 >"$TEMPORARY/plan"
took=$(awk -F, 'NR > 1 { sum += $5 } END { print sum }' "$ATLAS/losses.csv")
check "plan --costs: one rank takes what the run took ($took s)" \
    awk -v took="$took" '$2 == "rank:" { found = ($3 - took)^2 < (0.1 + took / 20)^2 } END { exit !found }' "$TEMPORARY/plan"
awk -F, -v OFS=, 'NR > 1 { $5 = 1000 } 1' "$ATLAS/losses.csv" >"$TEMPORARY/slow.csv"
"$FILTERATLAS" "${drawn[@]/$ATLAS\/losses.csv/$TEMPORARY/slow.csv}" --ranks 4 >"$TEMPORARY/plan"
check "plan --costs: 48 filters of 1000 s take 4 ranks 12000 s, or little more" \
    awk '$2 == "ranks:" { found = $3 >= 12000 && $3 < 20000 } END { exit !found }' "$TEMPORARY/plan"
echo block9_conv1,0,live,1,1,0 >>"$TEMPORARY/slow.csv"
expect "plan --costs with a filter that isn't there" 2 '^filteratlas: --costs .*slow.csv: line [0-9]+ names no filter' \
    "$FILTERATLAS" "${drawn[@]/$ATLAS\/losses.csv/$TEMPORARY/slow.csv}"
expect "plan --costs with no such file" 2 '^filteratlas: .*none.csv' \
    "$FILTERATLAS" "${drawn[@]/$ATLAS\/losses.csv/$TEMPORARY/none.csv}"

mosaics() { (cd "$ATLAS" && sha256sum vgg_*.png losses.csv); }
# live LAYER: its live filters, highest loss first.
live() { awk -F, -v layer="$1" '$1 == layer && $3 == "live" { print $4, $2 }' "$ATLAS/losses.csv" | sort -k1,1gr -k2,2n; }
same() { [ -s "$TEMPORARY/before" ] && cmp "$TEMPORARY/before" "$TEMPORARY/after"; }
size() { "$PIXELS" "$ATLAS/$1" | cut -d' ' -f2; }
stitch() { "$FILTERATLAS" stitch --out "$ATLAS" "$@" >"$TEMPORARY/out" 2>"$TEMPORARY/err" && [ ! -s "$TEMPORARY/err" ]; }

count=$(live block1_conv1 | wc -l)
check "the small atlas has live and dead filters" test "$count" -ge 4 -a "$count" -lt 16
mosaics >"$TEMPORARY/before"
rm "$ATLAS"/vgg_*.png "$ATLAS/losses.csv"
check "stitch makes mosaics and tables again" stitch
mosaics >"$TEMPORARY/after"
check "stitch makes what render made, byte for byte" same
check "stitch again: the same" stitch
mosaics >"$TEMPORARY/after"
check "stitch again: the same bytes" same

check "stitch --grid 2 --margin 3" stitch --grid 2 --margin 3
check "--grid 2 --margin 3: 131 x 131 pixels" test "$(size vgg_block1_conv1_2x2.png)" = 131x131
check "one mosaic for each layer" test "$(find "$ATLAS" -maxdepth 1 -name 'vgg_*' | wc -l)" -eq 3
check "stitch --grid 1" stitch --grid 1
highest=$(live block5_conv3 | head -n 1 | cut -d' ' -f2)
check "--grid 1 shows the filter with the highest loss" test "$("$PIXELS" "$ATLAS/vgg_block5_conv3_1x1.png")" = \
    "$("$PIXELS" "$ATLAS/filters/block5_conv3/$(printf %04d "$highest").png")"
check "stitch --grid 1 --sort index" stitch --grid 1 --sort index
lowest=$(live block5_conv3 | cut -d' ' -f2 | sort -n | head -n 1)
check "--sort index shows the first live filter" test "$("$PIXELS" "$ATLAS/vgg_block5_conv3_1x1.png")" = \
    "$("$PIXELS" "$ATLAS/filters/block5_conv3/$(printf %04d "$lowest").png")"
check "the two are different filters" test "$highest" -ne "$lowest"

sha256sum "$ATLAS"/vgg_block1_conv*.png >"$TEMPORARY/before"
check "stitch --layers block5_conv3 --margin 0 --grid 4" stitch --layers 'block5_*' --margin 0 --grid 4
check "--layers: that layer is made anew" test "$(size vgg_block5_conv3_4x4.png)" = 256x256
check "--layers: the others stay as they were" sha256sum --quiet -c "$TEMPORARY/before"
check "stitch -q works" stitch -q
check "stitch -q prints nothing" test ! -s "$TEMPORARY/out"

mkdir "$TEMPORARY/empty"
echo precious >"$TEMPORARY/file"
expect "stitch of an empty folder" 2 '^filteratlas: .*empty: ' "$FILTERATLAS" stitch --out "$TEMPORARY/empty"
check "an empty folder stays empty" test -z "$(ls -A "$TEMPORARY/empty")"
mkdir "$TEMPORARY/bare"
cp "$ATLAS/job.txt" "$TEMPORARY/bare"
expect "stitch of a job without pictures" 2 '^filteratlas: .*bare: ' "$FILTERATLAS" stitch --out "$TEMPORARY/bare"
check "a job without pictures stays as it is" test "$(ls -A "$TEMPORARY/bare")" = job.txt
expect "stitch of a folder that is not there" 2 '^filteratlas: .*nowhere: no such folder; give' "$FILTERATLAS" stitch --out "$TEMPORARY/nowhere"
check "it is not made" test ! -e "$TEMPORARY/nowhere"
expect "stitch of a file" 2 '^filteratlas: .*file: ' "$FILTERATLAS" stitch --out "$TEMPORARY/file"
check "the file is not touched" test "$(cat "$TEMPORARY/file")" = precious
expect "stitch of a layer that was not drawn" 2 '^filteratlas: .*block3_conv1: ' \
    "$FILTERATLAS" stitch --out "$ATLAS" --layers block3_conv1
expect "stitch without --out" 2 '^filteratlas: .*--out' "$FILTERATLAS" stitch
