#!/usr/bin/env bash
# scripts/plot_trace: the numbers it draws, and the picture.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"

PLOT=$HERE/scripts/plot_trace
ATLAS=$TEMPORARY/atlas
PYTHON=${PYTHON:-/usr/bin/python3}
export OMPI_MCA_ess_singleton_isolated=1

check "a render with --trace" "$FILTERATLAS" render --weights "$HERE/jobs/demo/demo_weights.h5" --out "$ATLAS" -q --trace \
    --size 64x48 --upscaling-steps 3 --epochs 4 --layers block1_conv1,block2_conv1 --filters 0:12

if "$PYTHON" -c 'import numpy' 2>/dev/null; then
    "$PLOT" --csv "$ATLAS" >"$TEMPORARY/numbers"
    check "its medians and percentiles are numpy's, of all iterations of the live filters" \
        "$PYTHON" - "$ATLAS" "$TEMPORARY/numbers" <<'END'
import csv, sys
from collections import defaultdict
import numpy as np
live = {(r["layer"], r["filter"]) for r in csv.DictReader(open(sys.argv[1] + "/losses.csv")) if r["status"] == "live"}
losses = defaultdict(list)
for r in csv.DictReader(open(sys.argv[1] + "/trace.csv")):
    if (r["layer"], r["filter"]) in live:
        losses[r["layer"], int(r["octave"]) * 4 + int(r["epoch"])].append(float(r["loss"]))
rows = list(csv.DictReader(open(sys.argv[2])))
assert [(r["layer"], int(r["iteration"])) for r in rows] == sorted(losses) and len(rows) == 2 * 12
for r in rows:
    wanted = np.percentile(losses[r["layer"], int(r["iteration"])], [10, 50, 90])
    assert np.allclose([float(r[c]) for c in ("p10", "median", "p90")], wanted, rtol=1e-4), r
END
else
    pass "its medians and percentiles are numpy's # SKIP needs python3-numpy"
fi

if command -v gnuplot >/dev/null; then
    check "it draws all layers" "$PLOT" "$ATLAS"
    check "the picture is a PNG file" grep -q PNG <(head -c 8 "$ATLAS/trace.png")
    "$PLOT" -o "$TEMPORARY/one.png" "$ATLAS" block1_conv1 >"$TEMPORARY/out" 2>&1
    check "it draws one layer, and says nothing else" test "$(cat "$TEMPORARY/out")" = "$TEMPORARY/one.png: 1 layer"
    check "another picture" bash -c '! cmp -s "$0" "$1"' "$ATLAS/trace.png" "$TEMPORARY/one.png"
else
    pass "it draws # SKIP needs gnuplot"
fi
expect "without a folder" 2 '^plot_trace: .*folder' "$PLOT"
expect "a folder without a trace" 2 '^plot_trace: .*trace.csv: .*render --trace' "$PLOT" "$HERE/jobs"
expect "a layer that is not there" 2 '^plot_trace: .*block9_conv1; there are: block1_conv1 block2_conv1' \
    "$PLOT" "$ATLAS" block9_conv1
expect "an unknown option" 2 '^plot_trace: --frob: ' "$PLOT" --frob "$ATLAS"
mkdir "$TEMPORARY/bin"
for tool in bash sed tail cut sort uniq grep xargs; do ln -s "$(command -v $tool)" "$TEMPORARY/bin/$tool"; done
expect "without gnuplot it says what to install" 1 '^plot_trace: gnuplot .*apt-get install gnuplot-nox' \
    env PATH="$TEMPORARY/bin" "$(command -v bash)" "$PLOT" "$ATLAS"
check "--help says how to use it" grep -q '^Usage: ' <("$PLOT" --help)
