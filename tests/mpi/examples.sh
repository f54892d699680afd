#!/usr/bin/env bash
# examples: the same files for any number of ranks, after kills, and when images are added later; what is damaged is
# named; and, where there is a PyTorch, the lists are those that it finds.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

KILLS=${KILLS:-20}
RANDOM=${SEED:-5}
WEIGHTS=$HERE/jobs/demo/demo_weights.h5
SMALL=(--weights "$WEIGHTS" --short 72 --crop 64)
cd "$TEMPORARY" || exit 1
export TMPDIR=$TEMPORARY # for Open MPI's session folders, which a kill leaves behind

# examples RANKS DIR OPTION...: quietly; RANKS 0 is without mpirun.
examples() {
    local ranks=$1 dir=$2 start=(); shift 2
    [ "$ranks" -eq 0 ] || start=(mpirun -n "$ranks")
    timeout 300 "${start[@]}" "$FILTERATLAS" examples --out "$dir" -q "$@" >out 2>err
}

# contents DIR: what must not depend on who looked, when or with whom.
contents() { (cd "$1" && find . -type f ! -name '.*' -exec sha256sum {} + | sort -k2); }
same() { contents "$1" >one && contents "$2" >other && grep -q 'block5_conv3/.*jpg$' one && diff one other; }

"$BUILD/tests/make_images" photos 120

# The number of ranks ------------------------------------------------------------------------------------------------
check "examples alone" examples 0 reference "${SMALL[@]}" --images photos
check "every filter that answered has its list" awk -F, 'NR > 1 && $4 > 0 { n += $4 < 9 ? $4 : 9 } END { exit !(n > 5000 && n == rows - 1) }' \
    rows="$(wc -l <reference/examples.csv)" reference/examples/answers.csv
check "every example has its part of an image" test "$(find reference/examples -name '*.jpg' | wc -l)" -eq "$(($(wc -l <reference/examples.csv) - 1))"
check "no image was skipped" test "$(cat reference/examples/skipped.csv)" = "image,why"
for ranks in 1 2 3 5; do
    check "examples with $ranks ranks" examples "$ranks" "ranks$ranks" "${SMALL[@]}" --images photos
    check "the same files with $ranks ranks" same "ranks$ranks" reference
done
check "again: nothing is left to do" examples 2 ranks2 "${SMALL[@]}" --images photos
check "the same files" same ranks2 reference

# More images later, and lists of them ---------------------------------------------------------------------------------
mkdir part && cp -r photos/b photos/d part
check "examples of some of the images" examples 2 later "${SMALL[@]}" --images part
check "then of all" examples 2 later "${SMALL[@]}" --images photos
check "the same files as of all at once" same later reference
(cd photos && find . -type f -printf '%P\n' | sort -r) >list && cp -r photos/* . && check "a list of images" examples 1 listed "${SMALL[@]}" --images list
check "the same files as of the folder" same listed reference
cp photos/a/0000.png part/b/0001.png
expect "another image of a known name is refused" 3 'another image' "$FILTERATLAS" examples --out later -q "${SMALL[@]}" --images part
expect "another crop is refused" 3 'crop' "$FILTERATLAS" examples --out later -q --weights "$WEIGHTS" --short 72 --crop 32 --images photos
expect "a crop too small for a layer is refused" 2 '--crop 8: .* would be empty; give another --crop, or other --layers' \
    "$FILTERATLAS" examples --out new -q --weights "$WEIGHTS" --short 72 --crop 8 --images photos
check "a crop that poolings divide with a remainder is not" examples 2 odd --weights "$WEIGHTS" --short 72 --crop 40 --layers 'block[35]_*' --images photos
expect "a folder that isn't there is refused" 2 'nowhere' "$FILTERATLAS" examples --out new -q "${SMALL[@]}" --images nowhere

# Damaged images -------------------------------------------------------------------------------------------------------
"$BUILD/tests/make_images" mixed 1000 100 >damaged
check "there are damaged images" test "$(wc -l <damaged)" -eq 100
check "examples with damaged images among them" examples 2 mixed_atlas "${SMALL[@]}" --images mixed
check "each damaged image is named" diff <(sort damaged) <(tail -n +2 mixed_atlas/examples/skipped.csv | cut -d, -f1 | sort)
check "all others were looked at" grep -q '^block1_conv1,0,900,' mixed_atlas/examples/answers.csv
(cd mixed && xargs rm -f <../damaged)
check "examples without the damaged ones" examples 2 sound "${SMALL[@]}" --images mixed
check "the lists are those of the sound ones" cmp sound/examples.csv mixed_atlas/examples.csv

# Kills ----------------------------------------------------------------------------------------------------------------
# Of a rank or of mpirun at any moment, of one job that is continued till it is complete and then begun anew.
kills=0 complete=0 different=0 wrong=0
while [ "$kills" -lt "$KILLS" ]; do
    mpirun -n $((1 + RANDOM % 3)) "$FILTERATLAS" examples --out killed -q "${SMALL[@]}" --images mixed >out 2>err </dev/null &
    launcher=$!
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    if [ $((RANDOM % 2)) -eq 0 ]; then victim=$(pgrep -P "$launcher" -f filteratlas | head -n 1); else victim=$launcher; fi
    if [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$launcher" 2>/dev/null
    status=$?
    while pgrep -f "examples --out killed -q --weights $WEIGHTS" >/dev/null; do sleep .1; done # ranks without mpirun
    [ "$status" -ne 0 ] || complete=$((complete + 1))
    if [ "$status" -eq 0 ]; then
        same killed sound >/dev/null || different=$((different + 1))
        rm -rf killed
    elif [ "$status" -lt 128 ] && [ "$victim" = "$launcher" ]; then wrong=$((wrong + 1)); fi
done
check "after $KILLS kills it is completed" examples 3 killed "${SMALL[@]}" --images mixed
check "the files are those of an undisturbed run" same killed sound
check "and so they were each of the $complete times before" test "$different" -eq 0 -a "$wrong" -eq 0

# Stopping -------------------------------------------------------------------------------------------------------------
mpirun -n 2 "$FILTERATLAS" examples --out stopped -q "${SMALL[@]}" --images mixed >out 2>err </dev/null &
launcher=$!
for ((i = 0; i < 200; i++)); do [ -e stopped/examples/state.txt ] && break; sleep .05; done
kill -USR1 "$launcher"
wait "$launcher"
check "SIGUSR1 ends it with 75" test $? -eq 75
check "it says that nothing is lost" grep -q 'SIGUSR1: stopped.*nothing finished is lost' err
expect "a time limit ends it with 75" 75 'time limit' "$FILTERATLAS" examples --out limited -q "${SMALL[@]}" --images mixed --time-limit 0:01
check "both go on" examples 2 stopped "${SMALL[@]}" --images mixed
check "to the same files" same stopped sound

# The atlas ------------------------------------------------------------------------------------------------------------
check "a render into the same folder" "$FILTERATLAS" render --weights "$WEIGHTS" --out reference -q --size 64 --upscaling-steps 2 --epochs 3 --layers block5_conv3
check "the page knows of the examples" grep -q '"block5_conv3", "examples": true' reference/page/atlas.js
"$BUILD/tests/make_weights" --divide 8 other.h5
expect "an atlas of another network is refused" 3 'other weights' "$FILTERATLAS" examples --out reference -q --weights other.h5 --short 72 --crop 64 --images photos

# An independent program -----------------------------------------------------------------------------------------------
python=
for candidate in python3 /usr/bin/python3; do
    "$candidate" -c 'import torch, h5py, PIL' 2>/dev/null && python=$candidate && break
done
if [ -z "$python" ]; then
    echo "ok - PyTorch finds the same lists # SKIP no PyTorch, h5py and Pillow"
else
    check "examples of the usual size" examples 2 usual --weights "$WEIGHTS" --images photos
    check "PyTorch finds the same lists" timeout 300 "$python" "$HERE/tests/mpi/examples_peer.py" "$WEIGHTS" photos usual/examples.csv
fi
