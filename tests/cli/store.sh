#!/usr/bin/env bash
# What the commands make of a folder in which others have been: damage, strangers, another job, other kernels, another
# process, and limits.
# shellcheck source=tests/harness.sh disable=SC2016,SC1091
. "$(dirname "$0")/../harness.sh"

WEIGHTS=$HERE/jobs/demo/demo_weights.h5
JOB=(--weights "$WEIGHTS" --size 64 --upscaling-steps 2 --epochs 3 --layers 'block1_*' -q)
export OMPI_MCA_ess_singleton_isolated=1
cd "$TEMPORARY" || exit 1
render() { "$FILTERATLAS" render "${JOB[@]}" "$@"; }

check "a small atlas" render --out atlas --filters 0:8
live=$(awk -F, '$1 == "block1_conv1" && $3 == "live" { print $2; exit }' atlas/losses.csv)

# Strangers
: >atlas/units/Thumbs.db; mkfifo atlas/units/pipe; mkdir "atlas/units/a copy"; cp atlas/units/block1_conv1/*.txt "atlas/units/a copy"
expect "strangers in units/ are ignored by stitch" 0 '' timeout 30 "$FILTERATLAS" stitch --out atlas -q
check "and by render" render --out atlas --filters 0:16
check "and by the tables" test "$(tail -n +2 atlas/losses.csv | cut -d, -f1 | sort -u | tr '\n' ' ')" = 'block1_conv1 block1_conv2 '

# Damage
echo x >>"atlas/filters/block1_conv1/$(printf %04d "$live").png"
expect "stitch names a damaged picture, status 1" 1 "^filteratlas: atlas: damaged or missing: filters/block1_conv1/.*png; " "$FILTERATLAS" stitch --out atlas -q
check "all else is made" grep -q '^block1_conv2,0,' atlas/losses.csv
expect "render names it and draws it again" 0 'filters/block1_conv1/.*drawn again' "$FILTERATLAS" render --out atlas "${JOB[@]}" --filters 0:16
expect "then stitch has nothing to say" 0 '' "$FILTERATLAS" stitch --out atlas -q

rm -r atlas/units/block1_conv2
cp -r atlas/filters/block1_conv2 atlas/filters/copy
expect "a layer whose records are gone is named, a copy of it is not" 1 'damaged or missing: filters/block1_conv2/[0-9]*.png[^;]*; ' "$FILTERATLAS" stitch --out atlas -q
check "the copy is nobody's" test "$(grep -c copy "$TEMPORARY/err")" -eq 0
: >atlas/units/.block1_conv2.lock
expect "behind a run that was killed pictures without a record are no damage" 0 '' "$FILTERATLAS" stitch --out atlas -q
rm atlas/units/.block1_conv2.lock
check "render draws them again" render --out atlas --filters 0:16
cp -r atlas broken
head -c 100 atlas/losses.csv >broken/job.txt
expect "a job.txt that is none: one line, status 2" 2 '^filteratlas: broken/job.txt: is damaged' "$FILTERATLAS" stitch --out broken -q
sed 's/^epochs = .*/epochs = 4/' atlas/job.txt >broken/job.txt
expect "a job.txt that was changed: one line, status 2" 2 '^filteratlas: broken/job.txt: is damaged' "$FILTERATLAS" stitch --out broken -q
sed 's/$/\r/' atlas/job.txt >broken/job.txt
expect "by a job that is not that of the pictures neither" 2 '^filteratlas: broken/job.txt: is damaged' \
    "$FILTERATLAS" render --out broken "${JOB[@]}" --epochs 4
expect "render with the options of the pictures writes it anew" 0 '^filteratlas: broken/job.txt: was damaged or missing, and is written anew$' \
    "$FILTERATLAS" render --out broken "${JOB[@]}" --filters 0:8
for change in 's/$/\r/' '$a # mine' '1d'; do
    sed "$change" atlas/job.txt >broken/job.txt
    expect "job.txt after an editor's $change" 0 '^filteratlas: broken/job.txt: was damaged' "$FILTERATLAS" render --out broken "${JOB[@]}" --filters 0:8
done
rm broken/job.txt
expect "job.txt that is gone" 0 '^filteratlas: broken/job.txt: was damaged or missing' "$FILTERATLAS" render --out broken "${JOB[@]}" --filters 0:8
check "it is what it was" cmp broken/job.txt atlas/job.txt

# A picture whose damage is in what it says of its job, and what is no file
picture=filters/block1_conv1/$(printf %04d "$live").png
at=$(grep -abo tEXtjob "broken/$picture" | cut -d: -f1)
printf Z | dd of="broken/$picture" bs=1 seek=$((at + 20)) conv=notrunc status=none
expect "a picture that names another job is damaged, job.txt is not" 1 "^filteratlas: broken: damaged or missing: $picture; " "$FILTERATLAS" stitch --out broken -q
rm "broken/$picture"; mkfifo "broken/$picture"
expect "a pipe in its place is not waited for" 1 "^filteratlas: broken: damaged or missing: $picture; " timeout 30 "$FILTERATLAS" stitch --out broken -q
echo precious >precious
for name in .losses.csv .atlas.h5 .index.html ".vgg_block1_conv1_2x2.png" "${picture/"$(printf %04d "$live")"/.$(printf %04d "$live")}"; do
    ln -s "$PWD/precious" "broken/$name.part"
done
expect "what stands under temporary names is replaced" 0 "drawn again" "$FILTERATLAS" render --out broken "${JOB[@]}" --filters 0:8 --hdf5
check "what a link there points to is not touched" test "$(cat precious)" = precious
check "then all is whole" "$FILTERATLAS" stitch --out broken -q

# What can't be read, by one who is not root
cp "$FILTERATLAS" filteratlas
cp -r atlas locked
chmod 755 .
chmod -R a+rwX locked
mkdir locked/units/lost+found
chmod 000 locked/units/lost+found locked/units/block1_conv2
anybody=(./filteratlas)
[ "$(id -u)" -ne 0 ] || anybody=(setpriv --reuid=65534 --regid=65534 --clear-groups ./filteratlas)
expect "records that can't be read: stitch names their folder, status 1" 1 'damaged or missing: units/block1_conv2/; ' "${anybody[@]}" stitch --out locked -q
check "all else is made" grep -q '^block1_conv1,0,' locked/losses.csv
chmod 333 locked/units
expect "nor units/: status 1" 1 '^filteratlas: locked/units: cannot be read: Permission denied; ' "${anybody[@]}" stitch --out locked -q
chmod -R u+rwX locked

# Whose costs these are
expect "plan --costs of another size" 2 '^filteratlas: --costs .*size \(64x64 there, now 412x412\)' \
    "$FILTERATLAS" plan --weights "$WEIGHTS" --costs atlas/losses.csv
ln -s atlas/losses.csv link.csv
expect "and of a link to it" 2 '^filteratlas: --costs link.csv: .*size \(64x64 there, now 412x412\)' \
    "$FILTERATLAS" plan --weights "$WEIGHTS" --costs link.csv

# A job that never drew
mkdir idle; sed 's/^epochs = .*/epochs = 99/' atlas/job.txt >idle/job.txt
check "a job that never drew gives way" render --out idle --filters 0:1

# Kernels
if [ "$(OPENBLAS_CORETYPE=Haswell "$FILTERATLAS" --version)" != "$(OPENBLAS_CORETYPE=Prescott "$FILTERATLAS" --version)" ]; then
    export OPENBLAS_CORETYPE=Haswell
    check "drawn with one set of kernels" render --out kernels --filters 0:2
    export OPENBLAS_CORETYPE=Prescott
    expect "with others: status 3, both named" 3 'Haswell kernels.*Prescott.*--mixed-kernels' "$FILTERATLAS" render --out kernels "${JOB[@]}" --filters 0:4
    check "with nothing to draw there is nothing to mix" render --out kernels --filters 0:2
    expect "--mixed-kernels goes on and says so once" 0 'Haswell.*Prescott' "$FILTERATLAS" render --out kernels "${JOB[@]}" --filters 0:4 --mixed-kernels
    unset OPENBLAS_CORETYPE
else
    pass "other kernels # SKIP OpenBLAS has one set here"
fi

# Precision
if render --out bf16 --filters 0:2 --precision bf16 2>/dev/null; then
    check "job.txt names the precision where it is not the default" \
        test "$(grep -h ^precision bf16/job.txt atlas/job.txt)" = 'precision = bf16'
    check "and every unit's record names the kernels" grep -q '^kernels bf16 ' bf16/units/block1_conv1/00000.txt
    expect "another precision is another job" 3 'precision \(not there, now bf16\)' "$FILTERATLAS" render --out atlas "${JOB[@]}" --filters 0:16 --precision bf16
else
    expect "without AVX512-BF16: one line, status 2" 2 '^filteratlas: --precision bf16: .*AVX512-BF16.*--precision single' \
        "$FILTERATLAS" render --out none "${JOB[@]}" --precision bf16
fi

# Limits
export PMIX_MCA_gds=hash # else Open MPI's own file is too large
expect "ulimit -f: one line that names it, status 1" 1 'File too large; .*ulimit -f' bash -c 'ulimit -f 8; exec "$@"' - "$FILTERATLAS" stitch --out atlas -q
# Little memory: OpenBLAS finds none to work with. Since 0.3.22 or so it looks for it before any program begins, and for ever.
limited=(bash -c 'ulimit -v "$1"; exec "${@:2}"' limited)
if "${limited[@]}" 200000 timeout 10 "$FILTERATLAS" --version >/dev/null 2>&1; then
    expect "ulimit -v: one line that speaks of memory" 1 'out of memory' "${limited[@]}" 200000 "$FILTERATLAS" render --out vm "${JOB[@]}" --filters 0:1
else
    pass "ulimit -v: one line that speaks of memory # SKIP OpenBLAS itself doesn't start with so little"
fi
expect "ulimit -v: one line where pictures are too large for it" 1 'out of memory' \
    "${limited[@]}" 700000 "$FILTERATLAS" render --out vm "${JOB[@]}" --filters 0:1 --size 4000
