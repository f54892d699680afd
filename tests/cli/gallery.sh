#!/usr/bin/env bash
# gallery: a page of links to two atlases, the kernels compared, and what it refuses. The page itself: tests/page.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"
cd "$TEMPORARY" || exit 1

# The same network in two files that differ, one with another seed, one of other widths.
make=$BUILD/tests/make_weights
"$make" --divide 8 one.h5 && "$make" --divide 8 --layout keras3 same.h5 && "$make" --divide 8 --seed 1 other.h5 && "$make" --divide 4 wide.h5
for name in one same other wide; do
    "$FILTERATLAS" render --weights "$name.h5" --out "atlas $name" -q --size 40 --upscaling-steps 1 --epochs 1 --layers 'block1_*,block5_conv1' --filters 0:8
done
"$FILTERATLAS" render --weights one.h5 --out seed -q --size 40 --upscaling-steps 1 --epochs 1 --seed 1 --layers block1_conv1 --filters 0:2
before=$(find "atlas one" "atlas same" -type f -exec sha256sum {} + | sort)

gallery=("$FILTERATLAS" gallery --out site)
data=site/page/atlas.js
cosines() { sed -n "s/.*\"atlas\": $1, .*\"layer\": \"$2\", \"cosine\": \[\(.*\)\]}.*/\1/p" $data | tr , '\n'; }

check "a gallery of two atlases" "${gallery[@]}" "atlas one" seed
check "it holds no picture" test "$(find site -type f | sort | tr '\n' ' ')" = "site/index.html site/page/atlas.js site/page/page.css site/page/page.js "
check "its links are relative, and quoted" grep -q '"name": "atlas one", "folder": "../atlas%20one/"' $data
check "without weights it compares no kernels" test "$(cosines 1 block1_conv1)" = ""
mkdir -p deep/er
check "a gallery elsewhere" "$FILTERATLAS" gallery -q --out deep/er/site "atlas one" seed
check "leads to the same atlases" test -e "deep/er/site/$(sed -n 's/.*"name": "seed", "folder": "\(.*\)"}.*/\1/p' deep/er/site/page/atlas.js)page/atlas.js"
check "names of one's own" "${gallery[@]}" -q --titles 'before,after "it"' "atlas one" "atlas same"
check "stand on the page" grep -q '"name": "after .u0022it.u0022"' $data

check "kernels compared, files in any order" "${gallery[@]}" --weights same.h5 --weights one.h5 "atlas one" "atlas same"
check "the same kernels are alike, whatever the file's layout" test "$(cosines 1 block5_conv1 | sort -u)" = 1
check "all of a layer's, drawn or not" test "$(cosines 1 block5_conv1 | wc -l)" -eq 64
check "every layer of both" test "$(grep -c '"cosine"' $data)" -eq 13
check "kernels of other weights" "${gallery[@]}" -q --weights one.h5 --weights other.h5 "atlas one" seed "atlas other"
check "are not alike" awk '{ s += $1 * $1; n++ } END { exit !(n == 64 && s / n < .01) }' <(cosines 2 block5_conv1)
check "atlases of one network are not compared" test "$(cosines 1 block5_conv1)" = ""
check "kernels of other widths" "${gallery[@]}" -q --weights one.h5 --weights wide.h5 "atlas one" "atlas wide"
check "have no likeness" test "$(grep -c '"cosine"' $data)" -eq 0
check "the atlases are as they were" test "$(find "atlas one" "atlas same" -type f -exec sha256sum {} + | sort)" = "$before"

expect "one atlas is too few" 2 'two atlases' "${gallery[@]}" "atlas one"
expect "no folder for the page" 2 'SITE is missing' "$FILTERATLAS" gallery "atlas one" seed
expect "one atlas twice" 2 'given twice' "${gallery[@]}" seed ./seed
expect "a folder that is no atlas" 2 'holds no atlas' "${gallery[@]}" seed deep
expect "an atlas for a page" 2 'is an atlas' "$FILTERATLAS" gallery --out seed "atlas one" "atlas other"
mkdir own && echo "<p>mine" >own/index.html
expect "a page of somebody's own" 2 'another index.html' "$FILTERATLAS" gallery --out own "atlas one" seed
check "is left alone" grep -q mine own/index.html
expect "weights of none of the atlases" 2 'none of the atlases' "${gallery[@]}" --weights wide.h5 "atlas one" seed
expect "weights of one network alone" 2 'no other weights' "${gallery[@]}" --weights one.h5 "atlas one" "atlas other"
expect "too few names" 2 'each of 2' "${gallery[@]}" --titles one "atlas one" seed
rm -r "atlas other/page"
expect "an atlas without a page" 2 'run filteratlas stitch' "${gallery[@]}" "atlas one" "atlas other"
