#!/usr/bin/env bash
# atlas.h5: the pictures of the PNG files as h5py reads them, kept up to date, and never half-written: not by a crash or
# an error at any one of its system calls, nor on a file system that fills up.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
ATLAS=$TEMPORARY/atlas
JOB=(--weights "$WEIGHTS" --size 64x48 --upscaling-steps 2 --epochs 3)
PYTHON=${PYTHON:-/usr/bin/python3}
RANDOM=4
export OMPI_MCA_ess_singleton_isolated=1
cleanup() { umount -l "$TEMPORARY/full" 2>/dev/null; }

render() { "$FILTERATLAS" render "${JOB[@]}" --out "$ATLAS" "$@"; }
whole() { cmp "$ATLAS/atlas.h5" "$TEMPORARY/whole.h5" && [ ! -e "$ATLAS/.atlas.h5.part" ]; }

render --hdf5 --layers block1_conv1,block1_conv2 --filters 0:16 >"$TEMPORARY/log"; status=$?
check "render --hdf5: exit status 0" test $status -eq 0
check "render --hdf5 says what it made" grep -q "$ATLAS/atlas.h5: 32 filters of 2 layers" "$TEMPORARY/log"
cp "$ATLAS/atlas.h5" "$TEMPORARY/before.h5"
check "a render without --hdf5 adds a layer" render -q --layers block5_conv3 --filters 0:16
check "atlas.h5 has it" test "$(wc -c <"$ATLAS/atlas.h5")" -gt "$(wc -c <"$TEMPORARY/before.h5")"
cp "$ATLAS/atlas.h5" "$TEMPORARY/whole.h5"
rm "$ATLAS/atlas.h5"
check "stitch without --hdf5 makes none" "$FILTERATLAS" stitch --out "$ATLAS" -q
check "there is none" test ! -e "$ATLAS/atlas.h5"
check "stitch --hdf5 --layers block1_conv1 makes it" "$FILTERATLAS" stitch --out "$ATLAS" -q --hdf5 --layers block1_conv1
check "it has all layers all the same, the same bytes as render's" whole

if "$PYTHON" -c 'import h5py, PIL' 2>/dev/null; then
    check "h5py: rows, pictures and attributes are those of losses.csv, the PNG files and job.txt" "$PYTHON" - "$ATLAS" <<'PYTHON'
import csv, sys
import h5py, numpy as np
from PIL import Image

atlas = sys.argv[1]
file = h5py.File(f"{atlas}/atlas.h5")
rows = list(csv.DictReader(open(f"{atlas}/losses.csv")))
assert sorted(file) == sorted({row["layer"] for row in rows})
for name, layer in file.items():
    wanted = [row for row in rows if row["layer"] == name]
    assert layer["index"][:].tolist() == [int(row["filter"]) for row in wanted]
    assert layer["loss"][:].tolist() == [float(row["loss"]) for row in wanted]
    assert layer["status"].asstr()[:].tolist() == [row["status"] for row in wanted]
    live = layer["images"][layer["status"][:] == b"live"]
    files = [f"{atlas}/filters/{name}/{int(row['filter']):04d}.png" for row in wanted if row["status"] == "live"]
    assert live.shape == (len(files), 48, 64, 3) and live.dtype == np.uint8 and live.any()
    assert (live == np.stack([np.asarray(Image.open(f)) for f in files])).all()
    assert not layer["images"][layer["status"][:] == b"dead"].any()
    assert layer["images"].attrs["CLASS"] == b"IMAGE"
assert any(row["status"] == "dead" for row in rows)
job = dict(line.rstrip("\n").split(" = ") for line in open(f"{atlas}/job.txt"))
attributes = dict(file.attrs)
assert attributes.pop("filteratlas-version") and len(attributes.pop("job")) == 64
assert list(attributes.pop("size")) == [64, 48] and job.pop("size") == "64x48"
for name, value in attributes.items():
    assert (str(value) if isinstance(value, str) else value) == type(value)(job.pop(name)), name
assert attributes["epochs"] + 1 == 4 and attributes["upscaling-factor"] * 2 == 2.4 and attributes["rescale"] == "seed"
assert not job, job
PYTHON
else
    pass "h5py reads what was drawn # SKIP needs python3-h5py and python3-pil"
fi

# Examples ------------------------------------------------------------------------------------------------------------
cp -r "$ATLAS" "$TEMPORARY/examples"
"$BUILD/tests/make_images" "$TEMPORARY/photos" 12
check "examples of two of three layers" "$FILTERATLAS" examples --weights "$WEIGHTS" --images "$TEMPORARY/photos" --short 72 --crop 64 --top 5 \
    --layers block1_conv1,block5_conv3 --out "$TEMPORARY/examples" -q
cp "$TEMPORARY/examples/atlas.h5" "$TEMPORARY/examples.h5"
check "stitch makes it again" "$FILTERATLAS" stitch --out "$TEMPORARY/examples" -q
check "the same bytes" cmp "$TEMPORARY/examples/atlas.h5" "$TEMPORARY/examples.h5"
if "$PYTHON" -c 'import h5py' 2>/dev/null; then
    check "h5py: examples are those of examples.csv, answers.csv and the JPEG files" "$PYTHON" - "$TEMPORARY/examples" <<'PYTHON'
import csv, hashlib, sys
import h5py

atlas = sys.argv[1]
file = h5py.File(f"{atlas}/atlas.h5")
lists, answers = {}, {}
for row in csv.DictReader(open(f"{atlas}/examples.csv")):
    lists.setdefault((row["layer"], int(row["filter"])), []).append(row)
for row in csv.DictReader(open(f"{atlas}/examples/answers.csv")):
    answers[row["layer"], int(row["filter"])] = int(row["answered"])
assert "examples" not in file["block1_conv2"]
found = 0
for name in "block1_conv1", "block5_conv3":
    layer, examples = file[name], file[name]["examples"]
    assert examples.attrs["images"] == 12 and examples["image"].shape == (len(layer["index"]), 5)
    for i, number in enumerate(layer["index"][:]):
        wanted = lists.get((name, number), [])
        assert examples["answered"][i] == answers[name, number]
        for place in range(5):
            image, jpeg = examples["image"].asstr()[i, place], bytes(examples["jpeg"][i, place])
            where = [examples[part][i, place] for part in ("row", "column")]
            if place < len(wanted):
                row = wanted[place]
                digits = hashlib.sha256(row["image"].encode()).hexdigest()[:16]
                assert image == row["image"] and where == [int(row["row"]), int(row["column"])]
                assert abs(examples["activation"][i, place] - float(row["activation"])) <= 1e-6 * float(row["activation"])
                assert jpeg == open(f"{atlas}/examples/{name}/{number:04d}_{digits}.jpg", "rb").read()
                found += 1
            else:
                assert image == "" and where == [-1, -1] and jpeg == b"" and examples["activation"][i, place] == 0
assert found > 100, found
PYTHON
fi

# All dead: there is no picture at all -------------------------------------------------------------------------------
dead=$(awk -F, '$3 == "dead" { print $2; exit }' "$ATLAS/losses.csv")
layer=$(awk -F, '$3 == "dead" { print $1; exit }' "$ATLAS/losses.csv")
check "an atlas of a dead filter alone" "$FILTERATLAS" render "${JOB[@]}" --out "$TEMPORARY/dead" --hdf5 -q \
    --layers "$layer" --filters "$dead:$((dead + 1))"
check "it has a small atlas.h5" test "$(wc -c <"$TEMPORARY/dead/atlas.h5")" -lt 20000

# Crashes and errors at every system call that is of atlas.h5 ---------------------------------------------------------
disturbed() {
    FAULTS_FOLDER=$ATLAS FAULTS_LOG=$TEMPORARY/calls FAULTS_AT=$1 FAULTS_DO=$2 LD_PRELOAD=$BUILD/tests/faults.so \
        timeout 60 "$FILTERATLAS" stitch --out "$ATLAS" -q --hdf5 2>"$TEMPORARY/err"
}
rm -f "$TEMPORARY/calls"
check "the shim alone disturbs nothing" disturbed 0 ''
mapfile -t chosen < <(grep -nE 'atlas\.h5' "$TEMPORARY/calls" | cut -d: -f1)
last=$(wc -l <"$TEMPORARY/calls")
check "there are calls to disturb" test "${#chosen[@]}" -gt 20
check "atlas.h5 gets its name after it was flushed, and the name is flushed" awk '
    /fsync .*atlas.h5.part/ { flushed = 1 }
    /pwrite .*atlas.h5.part/ { flushed = 0 }
    /rename .*atlas.h5$/ { named = flushed }
    /fsync .*\/atlas$/ { good = named }
    END { exit !good }' "$TEMPORARY/calls"

# unharmed: atlas.h5 is not there, or whole.
unharmed() { [ ! -e "$ATLAS/atlas.h5" ] || cmp -s "$ATLAS/atlas.h5" "$TEMPORARY/whole.h5"; }

bad=
for at in "${chosen[@]}" $((last - 1)) $last; do
    [ $((RANDOM % 2)) -eq 0 ] && rm -f "$ATLAS/atlas.h5"
    disturbed "$at" exit
    [ $? -eq 99 ] && unharmed || bad="$bad $at"
done
check "a crash at any call: atlas.h5 is whole or not there (${#chosen[@]} cases)" test -z "$bad"
check "after them stitch completes" "$FILTERATLAS" stitch --out "$ATLAS" -q --hdf5
check "with the whole atlas.h5" whole

bad=
for at in "${chosen[@]}"; do
    call=$(sed -n "${at}s/ .*//p" "$TEMPORARY/calls")
    disturbed "$at" ENOSPC; status=$?
    [ "$call" = unlink ] && continue
    [ $status -eq 1 ] && whole && [ "$(wc -l <"$TEMPORARY/err")" -eq 1 ] &&
        grep -q "^filteratlas: $ATLAS.*: No space left" "$TEMPORARY/err" || bad="$bad $at:$call:$status:$(cat "$TEMPORARY/err")"
done
check "an error at any call: one line, status 1, the old atlas.h5 stays (${#chosen[@]} cases)" test -z "$bad"
[ -z "$bad" ] || echo "# $bad" | head -c 2000

# A small file system -------------------------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && mkdir "$TEMPORARY/full" && mount -t tmpfs -o size=20m none "$TEMPORARY/full" 2>/dev/null; then
    cp -a "$ATLAS" "$TEMPORARY/full"
    rm "$TEMPORARY/full/atlas/atlas.h5"
    used=$(du -sk "$TEMPORARY/full" | cut -f1)
    need=$(($(wc -c <"$TEMPORARY/whole.h5") / 1024))
    for more in $((need / 4)) $((need / 2)) $((need - 8)); do
        mount -o "remount,size=$((used + more))k" "$TEMPORARY/full"
        expect "a file system with ${more}k left fills up: one line, status 1" 1 \
            "^filteratlas: $TEMPORARY/full/atlas/.*: No space left.*; make room" \
            "$FILTERATLAS" stitch --out "$TEMPORARY/full/atlas" --hdf5 -q
        check "a file system with ${more}k left fills up: no atlas.h5, whole or in part" \
            test -z "$(find "$TEMPORARY/full" -name '*atlas.h5*')"
    done
    mount -o remount,size=20m "$TEMPORARY/full"
    check "with room again it completes" "$FILTERATLAS" stitch --out "$TEMPORARY/full/atlas" --hdf5 -q
    check "with the same bytes" cmp "$TEMPORARY/full/atlas/atlas.h5" "$TEMPORARY/whole.h5"
else
    pass "a small file system that fills up # SKIP only root may mount one"
fi

# What it is made from is missing --------------------------------------------------------------------------------------
mkdir "$TEMPORARY/bare"
cp "$ATLAS/job.txt" "$TEMPORARY/bare"
expect "stitch --hdf5 of a job without pictures" 2 '^filteratlas: .*bare: holds no pictures yet; run render' \
    "$FILTERATLAS" stitch --out "$TEMPORARY/bare" --hdf5
check "it stays as it is" test "$(ls -A "$TEMPORARY/bare")" = job.txt
expect "plan has no --hdf5" 2 '^filteratlas: --hdf5: ' "$FILTERATLAS" plan --weights "$WEIGHTS" --hdf5
