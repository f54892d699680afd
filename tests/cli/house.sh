#!/usr/bin/env bash
# The house: which files may include what. Arrows between rooms go down only, and each library's header has its home.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"
cd "$HERE" || exit 1

# home HEADER FILE...: nothing but these files includes it.
home() {
    local header=$1 strangers; shift
    strangers=$(grep -rlE "^ *# *include *<$header>" src include | grep -vxF "$(printf '%s\n' "$@")")
    check "<$header> is included in its home alone${strangers:+, not in $strangers}" test -z "$strangers"
    check "<$header> is looked for where it is" grep -qE "^ *# *include *<$header>" "$@"
}
home mpi.h src/cluster/*.[ch]
home hdf5.h src/model/hdf5_file.c src/atlas/hdf5_atlas.c
home png.h src/atlas/png_file.c
home cblas.h src/ascent/gemm.c
home zlib.h src/model/checksum.c
home jpeglib.h src/atlas/jpeg_file.c

# By height; rooms of the same height don't know one another.
declare -A height=([model]=0 [ascent]=1 [atlas]=1 [cluster]=2 [app]=3) room
for file in src/*/*.[ch]; do
    name=${file##*/} place=${file#src/}
    room[${name%.[ch]}]=${place%%/*}
done
for above in "${!height[@]}"; do
    arrows=
    for file in src/"$above"/*.[ch]; do
        while read -r header; do
            below=${room[$header]:-$above} # a header without a file of its own holds types and formats alone
            [ "$below" = "$above" ] || [ "${height[$above]}" -gt "${height[$below]}" ] || arrows+=" $file->$below/$header"
        done < <(sed -nE 's|^#include "(filteratlas/)?([a-z0-9_]+)\.h"|\2|p' "$file")
    done
    check "no arrow up from src/$above${arrows:+:$arrows}" test -z "$arrows"
done
