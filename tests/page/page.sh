#!/usr/bin/env bash
# The page in a real browser, from the disk, over an atlas that the program drew; browser.mjs holds the checks.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"

skip() { echo "ok - the page in a browser # SKIP $1"; exit 0; }

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium"
command -v node >/dev/null || skip "no node"
command -v npm >/dev/null || skip "no npm"
modules=$BUILD/tests/page-modules
if [ ! -d "$modules/node_modules/playwright-core" ]; then
    mkdir -p "$modules"
    cp "$HERE"/tests/page/package*.json "$modules"
    (cd "$modules" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1) >"$TEMPORARY/npm.log" 2>&1 ||
        skip "npm could not install playwright-core: $(tail -n 1 "$TEMPORARY/npm.log")"
fi

# Blocks 1 to 4 with a few filters each, the last layer whole, and one layer that is dead as far as it was drawn.
atlas=$TEMPORARY/atlas
job=(--weights "$HERE/jobs/demo/demo_weights.h5" --size 128 --upscaling-steps 2 --epochs 2 --out "$atlas" -q)
check "render: a layer all dead" "$FILTERATLAS" render "${job[@]}" --layers block1_conv1 --filters 0:1
check "render: a layer of 128 filters" "$FILTERATLAS" render "${job[@]}" --layers block5_conv3
check "render: the others" "$FILTERATLAS" render "${job[@]}" --layers 'block1_conv2,block[234]_*,block5_conv1' --filters 0:16

# The same with natural images beside the pictures.
cp -r "$atlas" "$atlas-examples"
"$BUILD/tests/make_images" "$TEMPORARY/photos" 40
check "examples" "$FILTERATLAS" examples --weights "$HERE/jobs/demo/demo_weights.h5" --images "$TEMPORARY/photos" --short 72 --crop 64 --out "$atlas-examples" -q

FILTERATLAS_MODULES=$modules timeout 300 node "$HERE/tests/page/browser.mjs" "$browser" "$atlas" || failed=1

# Two atlases side by side: the one above, and that of another network of the same shape, in a folder whose name has to
# be quoted in an address; it lacks some filters, and alone has images.
"$BUILD/tests/make_weights" --widths 16,16,32,32,64,64,64,128,128,128,128,128,128 "$TEMPORARY/tuned.h5"
tuned="$TEMPORARY/a #2 tuned%"
job=(--weights "$TEMPORARY/tuned.h5" --size 128 --upscaling-steps 2 --epochs 3 --out "$tuned" -q)
check "render: another network's last layer, and one that the other lacks" "$FILTERATLAS" render "${job[@]}" --layers 'block5_conv[23]' --filters 0:40
check "its examples" "$FILTERATLAS" examples --weights "$TEMPORARY/tuned.h5" --images "$TEMPORARY/photos" --short 72 --crop 64 --layers block5_conv3 --out "$tuned" -q
check "gallery" "$FILTERATLAS" gallery --out "$TEMPORARY/gallery" --titles "before,after" --weights "$HERE/jobs/demo/demo_weights.h5" --weights "$TEMPORARY/tuned.h5" -q "$atlas" "$tuned"
FILTERATLAS_MODULES=$modules timeout 300 node "$HERE/tests/page/gallery.mjs" "$browser" "$TEMPORARY/gallery" "before=$atlas" "after=$tuned" || failed=1
