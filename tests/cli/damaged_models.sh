#!/usr/bin/env bash
# Damaged model files, at random: flipped bytes, cuts, swapped attributes, descriptions of all sorts. None may crash the
# program, hold it up or take 2 GB, neither when it is inspected nor, if it can be read, when its atlas is planned.
# TRIES=100000 bash tests/cli/damaged_models.sh is the long run; SEED=N makes others.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"

networks=$HERE/tests/data/networks
tries=${TRIES:-200} seed=${SEED:-1} kept=${KEPT:-$TEMPORARY}
mutate=$BUILD/sanitized/tests/mutate_models
[ -x "$mutate" ] || mutate=$BUILD/tests/mutate_models
unzip_config() { # ARCHIVE: its config.json, which is stored as it is
    python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read("config.json"))' "$1"
}
unzip_config "$networks/nested.keras" >"$TEMPORARY/config.json"
# What HDF5 asks of memory in vain is refused here as it is without sanitizers, where it is never touched.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=1500:quarantine_size_mb=16

cd "$networks" || exit 1
mapfile -t files < <(find . -name '*.h5' ! -name fixtures_dev.h5 -o -name '*.keras' | sort)
timeout $((120 + tries)) "$mutate" "$tries" "$seed" "$kept" "$TEMPORARY/config.json" ./nested.keras "${files[@]}" >"$TEMPORARY/mutate" 2>&1
status=$?
tail -n 12 "$TEMPORARY/mutate" | sed 's/^/# /'
check "$tries damaged files (seed $seed) are read and planned, or refused" test $status -eq 0
