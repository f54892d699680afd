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
