#!/usr/bin/env bash
# Real MPI jobs: the same files for any number of ranks and however the work was cut, continued or repaired.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
PIXELS=$BUILD/tests/png_pixels
LAYERS=block1_conv1,block3_conv1,block5_conv3
SMALL=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 3)
# 30 filters, some of them dead, in 6 units of which 3 are partial.
JOB=("${SMALL[@]}" --layers "$LAYERS" --filters 0:10)
cd "$TEMPORARY" || exit 1

# render RANKS DIR OPTION...: quietly; RANKS 0 is without mpirun.
render() {
    local ranks=$1 dir=$2 launcher=(); shift 2
    [ "$ranks" -eq 0 ] || launcher=(mpirun -n "$ranks")
    timeout 120 "${launcher[@]}" "$FILTERATLAS" render --out "$dir" -q "$@" >"$TEMPORARY/out" 2>"$TEMPORARY/err"
}

# contents DIR: what must not depend on who drew it, when or with whom.
contents() {
    (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt && cut -d, -f1-4 losses.csv)
}

# same DIR REFERENCE: there are pictures, and both hold the same.
same() {
    contents "$1" >"$TEMPORARY/one" && contents "$2" >"$TEMPORARY/other" || return 1
    grep -q '/filters/.*png$' "$TEMPORARY/one" && diff "$TEMPORARY/one" "$TEMPORARY/other"
}

# stamps DIR: name, inode and time of every stored picture and record.
stamps() { find "$1/filters" "$1/units" -type f -printf '%p %i %T@\n' | sort; }

pixels() { find "$1/filters" -name '*.png' | sort | xargs "$PIXELS" "${@:2}"; }

# The number of ranks ------------------------------------------------------------------------------------------------
check "render alone" render 0 reference "${JOB[@]}" --trace
live=$(find reference/filters -name '*.png' | wc -l)
check "there are live and dead filters" test "$live" -gt 15 -a "$live" -lt 30
check "every filter has a row, the dead too" test "$(grep -c . reference/losses.csv)" -eq 31
check "the live ones have a picture" test "$(grep -c ',live,' reference/losses.csv)" -eq "$live"
check "every layer has a mosaic" test "$(find reference -maxdepth 1 -name 'vgg_block*.png' | wc -l)" -eq 3
for ranks in 1 2 3 5 8; do # 8 are more than there are units
    check "$ranks ranks render" render $ranks ranks$ranks "${JOB[@]}"
    check "$ranks ranks: the same pictures, mosaics and losses" same ranks$ranks reference
    check "$ranks ranks: the losses name ranks that there were" \
        awk -F, -v ranks=$ranks 'NR > 1 && ($6 < 0 || $6 >= ranks) { bad = 1 } END { exit bad }' ranks$ranks/losses.csv
done
check "more than one rank draws" grep -Eq ',[1-9]$' ranks*/losses.csv
check "without --trace there is no trace" test ! -e ranks3/trace.csv

check "3 ranks render with --trace" render 3 trace "${JOB[@]}" --trace
check "3 ranks: the same trace" cmp trace/trace.csv reference/trace.csv
check "--trace changes no picture" same trace reference
check "the trace has a row per iteration of a live filter" awk -F, '
    NR == 1 { good = $0 == "layer,filter,octave,epoch,loss"; next }
    { rows[$1 "," $2]++; if ($3 != int((rows[$1 "," $2] - 1) / 3) || $4 != (rows[$1 "," $2] - 1) % 3) good = 0 }
    END { while ((getline line < "reference/losses.csv") > 0) {
              split(line, field, ",")
              if (field[3] == "live" && rows[field[1] "," field[2]] != 6) good = 0 }
          exit !good }' reference/trace.csv

# Continuing ---------------------------------------------------------------------------------------------------------
check "one layer first" render 2 layers "${SMALL[@]}" --layers block3_conv1 --filters 0:10 --trace
check "then the others" render 3 layers "${SMALL[@]}" --layers 'block1_conv1,block5_*3' --filters 0:10 --trace
check "layer by layer: the same files" same layers reference
check "layer by layer: the same trace" cmp layers/trace.csv reference/trace.csv

check "some filters first" render 2 filters "${SMALL[@]}" --layers "$LAYERS" --filters 5:9 --trace
stamps filters >before
check "then all" render 3 filters "${JOB[@]}" --trace
check "filter by filter: the same files" same filters reference
check "filter by filter: the same trace" cmp filters/trace.csv reference/trace.csv
grep '\.png ' before >pictures
check "the pictures that were there stay as they were" test "$(stamps filters | grep -cFxf pictures)" -eq "$(wc -l <pictures)"

stamps ranks2 >before
for ranks in 0 3; do
    check "the same command again ($ranks ranks)" render $ranks ranks2 "${JOB[@]}"
    stamps ranks2 >after
    check "nothing is drawn or written again ($ranks ranks)" cmp before after
done
check "again: the same files" same ranks2 reference

render 0 both "${SMALL[@]}" --layers block1_conv1,block5_conv3 --filters 0:10 & first=$!
render 0 both "${SMALL[@]}" --layers block3_conv1 --filters 0:10 & second=$!
wait $first; one=$?; wait $second; other=$?
check "two renders of different layers at once into one folder" test "$one$other" = 00
check "stitch brings the common files up to date" "$FILTERATLAS" stitch --out both -q
check "two at once: the same files" same both reference

# Repair -------------------------------------------------------------------------------------------------------------
picture=$(find ranks3/filters/block3_conv1 -name '*.png' | sort | tail -n 1)
damaged=$(find ranks3/filters/block5_conv3 -name '*.png' | sort | head -n 1)
rm "$picture"
printf X | dd of="$damaged" bs=1 seek=200 conv=notrunc status=none
rm ranks3/vgg_block1_conv1_*.png ranks3/losses.csv
stamps ranks3 | grep '\.png ' | grep -v "$damaged" >before
check "a deleted and a damaged picture are drawn again" render 3 ranks3 "${JOB[@]}"
check "repaired: the same files" same ranks3 reference
check "repaired: the other pictures stay as they were" test "$(stamps ranks3 | grep -cFxf before)" -eq "$(wc -l <before)"
rm trace/filters/block3_conv1/*.png
: >trace/units/block5_conv3/00001.txt
check "pictures and a record lost with --trace are made again" render 2 trace "${JOB[@]}" --trace
check "repaired with --trace: the same files" same trace reference
check "repaired with --trace: the same trace" cmp trace/trace.csv reference/trace.csv

# Other jobs ---------------------------------------------------------------------------------------------------------
expect "another batch is another job" 3 'batch' "$FILTERATLAS" render --out ranks1 "${JOB[@]}" --batch 3
check "another batch into a folder of its own" render 3 batch "${JOB[@]}" --batch 3
check "another batch: the same pixels" test "$(pixels batch)" = "$(pixels reference)"
check "another batch: the same losses" cmp <(cut -d, -f1-4 batch/losses.csv) <(cut -d, -f1-4 reference/losses.csv)
check "another batch: the pictures name another job" test \
    "$("$PIXELS" --texts "batch/filters/block5_conv3/0000.png" | grep '^job=')" != \
    "$("$PIXELS" --texts "reference/filters/block5_conv3/0000.png" | grep '^job=')"

check "--channels bgr" render 2 bgr "${JOB[@]}" --channels bgr
check "bgr is rgb with red and blue exchanged" test "$(pixels bgr --swap)" = "$(pixels reference)"
check "bgr is not rgb" test "$(pixels bgr)" != "$(pixels reference)"
check "bgr: the same losses" cmp <(cut -d, -f1-4 bgr/losses.csv) <(cut -d, -f1-4 reference/losses.csv)
for change in "rescale stats" "seed 1" "step 0.5" "epochs 4" "upscaling-factor 1.3"; do
    # shellcheck disable=SC2086 # option and value
    check "--$change" render 0 "${change%% *}" "${JOB[@]}" --$change
    check "--$change draws other pictures" test "$(pixels "${change%% *}")" != "$(pixels reference)"
done
check "--size 72x48" render 2 wide "${SMALL[@]}" --size 72x48 --layers block3_conv1 --filters 0:4
check "--size 72x48: 72 wide, 48 high" test "$(pixels wide | cut -d' ' -f2 | sort -u)" = 72x48

dead=$(grep -m 1 '^block1_conv1,.*,dead,' reference/losses.csv | cut -d, -f2)
check "a dead filter alone" render 2 dead "${SMALL[@]}" --layers block1_conv1 --filters "$dead:$((dead + 1))"
check "a dead filter alone: its row, no picture, no mosaic" test \
    "$(grep -c ',dead,' dead/losses.csv)$(find dead -name '*.png' | wc -l)" = 10

# The Fourier recipe ---------------------------------------------------------------------------------------------------
FOURIER=(--recipe fourier "${JOB[@]}" --rate 0.1 --rotate 8 --zoom 0.08)
check "Fourier: render alone" render 0 fourier "${FOURIER[@]}" --trace
check "Fourier: every filter has a picture" test "$(find fourier/filters -name '*.png' | wc -l)" -eq 30
for ranks in 1 2 3 5; do
    check "Fourier: $ranks ranks render" render $ranks fourier$ranks "${FOURIER[@]}" --trace
    check "Fourier: $ranks ranks: the same files" same fourier$ranks fourier
    check "Fourier: $ranks ranks: the same trace" cmp fourier$ranks/trace.csv fourier/trace.csv
done
for batch in 1 5; do
    check "Fourier: --batch $batch" render 2 fourier-$batch "${FOURIER[@]}" --batch $batch
    check "Fourier: --batch $batch draws the same pixels" test "$(pixels fourier-$batch)" = "$(pixels fourier)"
    check "Fourier: --batch $batch has the same losses" \
        cmp <(cut -d, -f1-4 fourier-$batch/losses.csv) <(cut -d, -f1-4 fourier/losses.csv)
done
check "Fourier: one layer first" render 2 parts "${FOURIER[@]}" --layers block3_conv1 --trace
check "Fourier: then all" render 3 parts "${FOURIER[@]}" --trace
check "Fourier: layer by layer: the same files" same parts fourier
check "Fourier: the pictures name the recipe" sh -c '"$0" --texts fourier/filters/block5_conv3/0000.png | grep -qx recipe=fourier' "$PIXELS"
check "Fourier: job.txt names the recipe's options" test \
    "$(grep -cE '^(recipe = fourier|rate = |spectrum = 1$|preprocess = caffe|rotate = 8$|zoom = )' fourier/job.txt)" -eq 6
check "Fourier: and no others" sh -c '! grep -qE "^(step|rescale|channels|decay|blur)" fourier/job.txt'
expect "Fourier: another rate is another job" 3 'rate' "$FILTERATLAS" render --out fourier "${FOURIER[@]}" --rate 0.2
expect "Fourier: the Keras recipe is another job" 3 'recipe' "$FILTERATLAS" render --out fourier "${JOB[@]}"
check "Fourier: other options draw other pictures" render 0 unturned "${FOURIER[@]}" --rotate 0 --zoom 0
check "Fourier: ... than without" test "$(pixels unturned)" != "$(pixels fourier)"
check "Fourier: a picture that is to be looked at" render 2 finished --recipe fourier --weights "$WEIGHTS" --size 96x80 \
    --upscaling-steps 2 --epochs 12 --rate 0.1 --layers 'block2_conv2,block4_conv1,block5_conv1' --filters 0:12
check "Fourier: the pictures have the losses that are recorded" "$BUILD/tests/read_back" "$WEIGHTS" finished
legible() { "$FILTERATLAS" stitch --out "$1" -q --legibility | awk '$1 == "All" { print $2, $3, int($4 * 10) }'; }
read -r filters pictures grain < <(legible fourier)
check "stitch --legibility counts filters and pictures" test "$filters$pictures" = 3030
read -r filters pictures keras_grain < <(legible reference)
check "stitch --legibility counts the dead" test "$filters$pictures" = "30$live"
check "Fourier: less fine grain" test "$grain" -lt "$keras_grain"

# Options that are off by default ------------------------------------------------------------------------------------
RESCUED=("${SMALL[@]}" --layers 'block4_conv3,block5_conv1' --filters 54:66)
SMOOTH=(--border 1 --decay 0.05 --blur 2 --blur-sigma 0.6 --jitter 3)
NEURON=(--objective neuron --jitter 3)
# marks_agree DIR: every filter has a row of 7 fields, and the mark in its picture is the one in its row.
marks_agree() {
    local layer filter status mark wanted
    [ "$(head -n 1 "$1/losses.csv")" = layer,filter,status,loss,seconds,rank,rescue ] || return 1
    while IFS=, read -r layer filter status _ _ _ mark; do
        [ "$status" = live ] || { [ -z "$mark" ] && continue; return 1; }
        wanted=${mark:+rescue=$mark}
        [ "$("$PIXELS" --texts "$1/filters/$layer/$(printf %04d "$filter").png" | grep '^rescue=')" = "$wanted" ] || return 1
    done < <(tail -n +2 "$1/losses.csv")
}
# rescue NAME OPTION...: the same for 1 and 3 ranks, and the same pixels in other batches.
rescue() {
    local name=$1; shift
    check "$name" render 1 "$name" "${RESCUED[@]}" "$@"
    check "$name: 3 ranks" render 3 "$name-3" "${RESCUED[@]}" "$@"
    check "$name: 3 ranks draw the same files" same "$name" "$name-3"
    check "$name: the same rescues" cmp <(cut -d, -f1-4,7 "$name/losses.csv") <(cut -d, -f1-4,7 "$name-3/losses.csv")
    for batch in 1 5; do
        check "$name: --batch $batch" render 2 "$name-$batch" "${RESCUED[@]}" "$@" --batch $batch
        check "$name: --batch $batch draws the same pixels" test "$(pixels "$name-$batch")" = "$(pixels "$name")"
        check "$name: --batch $batch has the same losses and rescues" \
            cmp <(cut -d, -f1-4,7 "$name/losses.csv") <(cut -d, -f1-4,7 "$name-$batch/losses.csv")
    done
    check "$name: pictures and losses.csv mark the same filters" marks_agree "$name"
}
check "no rescue, smooth" render 2 smooth "${RESCUED[@]}" "${SMOOTH[@]}"
check "without rescue there is no column for it" sh -c 'head -n 1 smooth/losses.csv | grep -q "rank$"'
rescue retry "${SMOOTH[@]}" --dead retry=4
check "retry: more filters live than without" test \
    "$(grep -c ,live, retry/losses.csv)" -gt "$(grep -c ,live, smooth/losses.csv)"
check "retry: those are the ones that are marked" test "$(grep -c ',live,.*,retry [1-4]$' retry/losses.csv)" -eq \
    $(($(grep -c ,live, retry/losses.csv) - $(grep -c ,live, smooth/losses.csv)))
rescue leak "${NEURON[@]}" --dead leak
check "leak: every filter has a picture" test "$(find leak/filters -name '*.png' | wc -l)" -eq 24
check "leak: some are marked, some are not" sh -c "grep -q ',leak$' leak/losses.csv && grep -q ',live,.*,$' leak/losses.csv"
check "leak: the page marks the same ones" test "$(grep -c ',leak$' leak/losses.csv)" -eq "$(grep -c '"mark": "leak"' leak/page/atlas.js)"
expect "a store with a rescue is not continued without" 3 'dead \(retry=4 there, .*default\)' \
    "$FILTERATLAS" render --out retry "${RESCUED[@]}" "${SMOOTH[@]}"
expect "nor a store without a rescue with one" 3 'dead \(not there, now leak\)' \
    "$FILTERATLAS" render --out smooth "${RESCUED[@]}" "${SMOOTH[@]}" --dead leak

# Facts in the pictures ----------------------------------------------------------------------------------------------
facts_hold() {
    local layer filter status loss digest wanted
    digest=$(sha256sum <reference/job.txt | cut -c1-64)
    while IFS=, read -r layer filter status loss _ _; do
        [ "$status" = live ] || continue
        wanted=$(printf 'Software=filteratlas\nlayer=%s\nfilter=%s\nloss=%s\njob=%s' "$layer" "$filter" "$loss" "$digest")
        [ "$("$PIXELS" --texts "reference/filters/$layer/$(printf %04d "$filter").png")" = "$wanted" ] || return 1
    done <reference/losses.csv
}
check "every picture carries layer, filter, loss and the job's digest" facts_hold

# What it tells ------------------------------------------------------------------------------------------------------
# told OPTION...: what a new render with 2 ranks prints, in the file `told`.
told() {
    rm -rf told_atlas
    timeout 120 mpirun -n 2 "$FILTERATLAS" render --out told_atlas "${JOB[@]}" "$@" >told 2>err && [ ! -s err ]
}
check "-q" told -q
check "-q prints nothing" test ! -s told
check "--progress lines" told --progress lines
for fact in '^filteratlas [0-9]' 'Open MPI' OpenBLAS libpng HDF5 '2 ranks' '1 host' VGG16 '64x64' "$(hostname)"; do
    check "the header has '$fact'" grep -q "$fact" told
done
check "the last line has the totals" sh -c "tail -n 1 told | grep -q '30 .*$live .*$((30 - live)) '"
check "--progress lines prints no control characters" test "$(tr -d '\n[:print:]' <told | wc -c)" -eq 0
check "into a file the default prints none either" told
check "into a file the default prints lines" test "$(tr -d '\n[:print:]' <told | wc -c)" -eq 0
check "--progress bar" told --progress bar
check "--progress bar goes back to the start of the line" grep -q "$(printf '\r')" told
if script -qec true /dev/null </dev/null >told 2>&1; then # a terminal for it, by util-linux
    command=$(printf '%q ' "$FILTERATLAS" render "${JOB[@]}")
    script -qec "$command --out alone" /dev/null </dev/null >told
    check "on a terminal the default is a bar" grep -q "$(printf '\r\033')" told
    script -qec "mpirun -n 2 $command --out together" /dev/null </dev/null >told
    check "on a terminal the default is a bar under mpirun too" grep -q "$(printf '\r\033')" told
fi
check "-v" told -v
check "-v prints a line for every filter" awk '
    /^block[0-9]_conv[0-9] [0-9]+ / { seen[$1 $2] = 1 }
    END { for (filter in seen) filters++; exit filters != 30 }' told
check "--progress none" told --progress none
check "--progress none prints no control characters" test "$(tr -d '\n[:print:]' <told | wc -c)" -eq 0
