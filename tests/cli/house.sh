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
home png.h src/image/png_failure.h
home cblas.h src/net/gemm.c
home zlib.h src/base/checksum.c
home jpeglib.h src/image/jpeg_file.c
home jansson.h src/model/document.c
home zip.h src/model/archive.c

# What each room may know: the rooms below it, by their public headers (include/filteratlas/ROOM), and its own headers.
declare -A below=(
    [base]=""
    [model]="base"
    [image]="base"
    [net]="model base"
    [ascent]="net image model base"
    [atlas]="image model base"
    [page]="atlas image model base"
    [cluster]="page atlas ascent net image model base"
    [app]="cluster page atlas ascent net image model base"
)
check "every room has its place in the order" test "$(basename -a src/*/ | sort)" = "$(printf '%s\n' "${!below[@]}" | sort)"
for room in "${!below[@]}"; do
    may="$room ${below[$room]}" arrows=
    while IFS=: read -r file header; do
        case $header in
        filteratlas/*) other=${header#filteratlas/} other=${other%/*} known=include/$header ;;
        *) other=$room known=src/$room/$header ;;
        esac
        [[ " $may " == *" $other "* && -e $known ]] || arrows+=" $file->$header"
    done < <(grep -oE '^ *# *include "[^"]+"' -r "src/$room" "include/filteratlas/$room" --include=*.[ch] 2>/dev/null | sed -E 's/:[^"]*"/:/; s/"$//')
    check "src/$room knows what is below it alone${arrows:+:$arrows}" test -z "$arrows"
done

# No circle between the source files: nobody calls a file that, through whatever, calls it back.
objects=$(find src -mindepth 2 -name '*.c' | sed 's|^|build/|; s|\.c$|.o|' | xargs ls 2>/dev/null) # kernels have several of their own
symbols() { xargs nm -A "$1" <<<"$objects" | sed -E 's|^build/src/([^:]*)\.o:.* ([A-Za-z]) ([^ ]+)$|\3 \1 \2|'; }
calls() {
    join <(symbols --undefined-only | sort) <(symbols --defined-only | awk '$3 ~ /[A-Z]/' | sort) | awk '$2 != $4 { print $2, $4 }' | sort -u
}
check "the files' calls are known" test "$(calls | wc -l)" -gt 100
circles=$(calls | tsort 2>&1 >/dev/null | sed -n 's/^tsort: \([a-z]*\/\)/\1/p' | tr '\n' ' ')
check "no circle between files${circles:+: $circles}" test -z "$circles"
