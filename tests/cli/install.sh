#!/usr/bin/env bash
# What make install puts beside the program: the manual's pages, bash's completion and the job scripts; make uninstall and
# make dist.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016,SC2034
. "$(dirname "$0")/../harness.sh"

DEMO=$HERE/jobs/demo/demo_weights.h5
PLACE="$TEMPORARY/a place"
PAGE=$PLACE/share/man/man1/filteratlas.1
SCRIPT=$PLACE/share/bash-completion/completions/filteratlas

# install_below OPTION...: what is built already, under the names that it was built by.
install_below() { make -C "$HERE" BUILD="${BUILD#"$HERE"/}" "$@" install; }
check "make install" install_below PREFIX="$PLACE"
check "the program runs from there" "$PLACE/bin/filteratlas" --version
check "make install below DESTDIR" install_below PREFIX=/usr DESTDIR="$TEMPORARY/package"
PAGES=(man1/filteratlas.1 man5/filteratlas-formats.5 man7/filteratlas-benchmark.7 man7/filteratlas-jobs.7 man7/filteratlas-recipes.7)
check "nothing of it lies elsewhere" test "$(cd "$TEMPORARY/package" && find . -type f ! -path '*/share/filteratlas/*' | sort | tr '\n' ' ')" = \
    "./usr/bin/filteratlas ./usr/share/bash-completion/completions/filteratlas $(printf './usr/share/man/%s ' "${PAGES[@]}")"
for file in launcher.sh local.sh mpirun.sh atlas.sbatch layers.sbatch demo.sbatch demo/demo_weights.h5; do
    check "jobs/$file is there" cmp "$HERE/jobs/$file" "$TEMPORARY/package/usr/share/filteratlas/jobs/$file"
done
check "an installed job script finds the program that was installed with it" env -u FILTERATLAS RANKS=2 WEIGHTS="$DEMO" \
    OUT="$TEMPORARY/drawn" "$PLACE/share/filteratlas/jobs/local.sh" --size 64 --upscaling-steps 2 --epochs 2 --layers block1_conv1 --filters 0:4
check "and draws" test "$(find "$TEMPORARY/drawn/filters" -name '*.png' | wc -l)" -ge 1
check "make uninstall" make -C "$HERE" PREFIX=/usr DESTDIR="$TEMPORARY/package" uninstall
check "make uninstall leaves no file" test -z "$(find "$TEMPORARY/package" ! -type d)"

# A tarball of the sources --------------------------------------------------------------------------------------------
if git -C "$HERE" rev-parse 2>/dev/null && [ -e "$BUILD/viewer/openseadragon.min.js" ]; then
    check "make dist" make -C "$HERE" BUILD="$TEMPORARY/dist" VIEWER="$BUILD/viewer" dist
    tar -xzf "$TEMPORARY"/dist/*.tar.gz -C "$TEMPORARY"
    tree=$(echo "$TEMPORARY"/filteratlas-*/)
    check "the tarball holds what git knows" diff <(cd "$HERE" && git ls-files | sort) <(cd "$tree" && find . -type f ! -path './viewer/*' | sed 's|^./||' | sort)
    mkdir "$TEMPORARY/without" # git and npm
    ln -s "$(command -v false)" "$TEMPORARY/without/git"
    ln -s "$(command -v false)" "$TEMPORARY/without/npm"
    check "the page is built from it without git and npm" env PATH="$TEMPORARY/without:$PATH" make -C "$tree" BUILD=b b/page_assets.c
    check "with the viewer" grep -q '"openseadragon.min.js"' "$tree/b/page_assets.c"
else
    pass "make dist # SKIP needs git and the viewer"
fi

# The manual's pages --------------------------------------------------------------------------------------------------
# clean COMMAND...: it succeeds without a word.
clean() {
    local status
    "$@" >/dev/null 2>"$TEMPORARY/err"; status=$?
    cat "$TEMPORARY/err"
    [ "$status" -eq 0 ] && [ ! -s "$TEMPORARY/err" ]
}
# linted PAGE: mandoc warns of nothing.
linted() { ! mandoc -T lint -W warning "$1" | grep .; }
# known PAGE: `whatis` finds its one line.
known() { lexgrog "$1" | grep -q "\"$(basename "${1%.*}") - [a-z]"; }
# leads PAGE: the pages of ours that it names are installed.
leads() {
    local name section
    while IFS='()' read -r name section _; do
        [ -e "$PLACE/share/man/man$section/$name.$section" ] || { echo "$name($section)"; return 1; }
    done < <(grep -oE 'filteratlas[a-z-]*\([0-9]\)' "$1" | grep .)
}
for name in "${PAGES[@]}"; do
    page=$PLACE/share/man/$name
    if command -v groff >/dev/null; then
        check "$name is formatted without a warning" clean groff -t -man -Tutf8 -ww "$page"
        groff -t -man -Tascii -P-cbou -rLL=78n "$page" >"$TEMPORARY/page"
        check "$name fits 80 columns" awk 'length > 80 { exit 1 }' "$TEMPORARY/page"
        check "$name names pages that are there" leads "$TEMPORARY/page"
        check "$name names other pages" grep -q '^SEE ALSO' "$TEMPORARY/page"
    else
        pass "$name is formatted without a warning # SKIP needs groff"
    fi
    if command -v mandoc >/dev/null; then check "$name is what mandoc likes" linted "$page"
    else pass "$name is what mandoc likes # SKIP needs mandoc"; fi
    if command -v lexgrog >/dev/null; then check "whatis will know $name" known "$page"
    else pass "whatis will know $name # SKIP needs man-db"; fi
done

helps() { for command in render plan inspect stitch; do "$FILTERATLAS" "$command" --help; done; }
if command -v groff >/dev/null; then
    groff -man -Tascii -P-cbou "$PAGE" >"$TEMPORARY/page"
    helps | grep -oE '^  (-[a-z], )?--[a-z0-9-]+' | sed 's/.*--/--/' | sort -u >"$TEMPORARY/options"
    check "there are options in the help" test "$(wc -l <"$TEMPORARY/options")" -ge 20
    missing=
    while read -r option; do
        grep -Eq -- "^ +(-[a-z], )?$option( |\$)" "$TEMPORARY/page" || missing="$missing $option"
    done <"$TEMPORARY/options"
    check "every option has its paragraph" test -z "$missing"
    for status in 0 1 2 3 75; do
        check "exit status $status has its paragraph" grep -Eq "^ +$status +[A-Z]" "$TEMPORARY/page"
    done
else
    pass "every option has its paragraph # SKIP needs groff"
fi

# Help on a terminal of 80 columns ------------------------------------------------------------------------------------
for command in '' render plan inspect stitch; do
    # shellcheck disable=SC2086 # no command is no word
    check "filteratlas $command --help fits 80 columns and 50 lines" \
        awk 'length > 80 { wide = 1 } END { exit wide || NR < 4 || NR > 50 }' <("$FILTERATLAS" $command --help)
done

# Completion, as bash calls it ----------------------------------------------------------------------------------------
# completes WANTED WORD...: what bash offers for the last of the words is WANTED, space-separated, in any order.
completes() {
    local wanted=$1; shift
    bash -c '. "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _filteratlas "$1" "${!#}" "${@: -2:1}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$SCRIPT" "$FILTERATLAS" "$@" >"$TEMPORARY/offered" 2>"$TEMPORARY/err"
    [ ! -s "$TEMPORARY/err" ] || { cat "$TEMPORARY/err"; return 1; }
    diff <(sort "$TEMPORARY/offered") <(tr ' ' '\n' <<<"$wanted" | sort)
}
check "bash reads the script" bash -n "$SCRIPT"
check "shellcheck has nothing against it" bash -c '! command -v shellcheck >/dev/null || shellcheck -s bash "$1"' bash "$SCRIPT"
check "commands" completes "render plan inspect stitch examples gallery help --help --version" ""
check "a command's beginning" completes "render" r
check "an option's beginning" completes "--size --seed --step --spectrum" render --s
check "options of plan, not of render" completes "--ranks --rescale --rate --recipe --rotate" plan --r
check "options of stitch, with the others left out" completes "--sort" stitch --s
check "choices" completes "seed stats" render --rescale ""
check "choices after =" completes "stats" render --rescale = st
check "choices right after =" completes "auto bar lines none" render --progress =
check "nothing for a number" completes "" render --epochs ""
check "files are bash's own matter" completes "" render --weights ""
check "layers of the weights on the line" completes "block5_conv1 block5_conv2 block5_conv3" \
    render --weights "$DEMO" --layers block5
check "layers of the weights given with =" completes "block1_conv1 block1_conv2" \
    render --weights = "$DEMO" --layers = block1
check "a second layer" completes "block1_conv1,block2_conv1 block1_conv1,block2_conv2" \
    render --weights "$DEMO" --layers block1_conv1,block2
mkdir -p "$TEMPORARY/atlas/units/block3_conv1"
check "layers of the atlas on the line" completes "block3_conv1" stitch --out "$TEMPORARY/atlas" --layers ""
check "commands to get help on" completes "plan" help p
for command in render plan inspect stitch; do
    wanted=$("$FILTERATLAS" "$command" --help | grep -oE '^  (-[a-z], )?--[a-z0-9-]+' | sed 's/.*--/--/')
    check "all options of $command" completes "$wanted" "$command" --
done

# A real Tab in a real bash on a terminal.
# typed KEYS: what stands on the screen after KEYS.
typed() {
    printf 'PS1=; cd %q; . %q; PATH=%q:$PATH\n%b\nexit\n' "$TEMPORARY" "$SCRIPT" "$PLACE/bin" "$1" |
        timeout 20 script -qec 'bash --norc --noprofile -i' /dev/null 2>&1
}
if command -v script >/dev/null; then
    cp "$DEMO" "$TEMPORARY/my_weights.h5"
    check "Tab completes an option" grep -q 'plan --upscaling-factor ' <(typed 'filteratlas plan --upscaling-f\t 2')
    check "Tab completes a file" grep -q 'weights my_weights.h5' <(typed 'filteratlas plan --weights my_w\t')
    check "Tab completes a folder, not a file" grep -q 'out place/' <(mkdir "$TEMPORARY/place"; touch "$TEMPORARY/placard"; typed 'filteratlas render --out plac\t')
else
    pass "Tab in a real bash # SKIP needs script"
fi
