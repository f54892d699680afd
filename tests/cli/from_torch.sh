#!/usr/bin/env bash
# scripts/from_torch: networks with torchvision's names become files whose pictures excite them in PyTorch as they do here.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"

peer=$HERE/tests/cli/from_torch.py script=$HERE/scripts/from_torch
export OMPI_MCA_ess_singleton_isolated=1
python=''
for candidate in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! "$candidate" -c 'import h5py, torch' 2>/dev/null || python=$candidate
done
if [ -z "$python" ]; then
    echo "# skipped: Python has no torch or no h5py"
    exit 0
fi

# draw NAME SIZE [LAYERS]: the network's atlas, and its pictures as text beside them.
draw() {
    "$FILTERATLAS" render --weights "$TEMPORARY/$1.h5" --out "$TEMPORARY/$1" --recipe fourier --preprocess torch \
        --size "$2" --upscaling-steps 1 --epochs 2 --filters 0:3 --layers "$3" -q || return 1
    for picture in "$TEMPORARY/$1"/filters/*/*.png; do
        "$BUILD/tests/png_pixels" --values "$picture" >"${picture%.png}.txt" || return 1
    done
}

check "state_dicts are turned into model files" "$python" "$peer" write "$TEMPORARY" "$script"
check "a VGG is drawn" draw vgg 32 '*,classifier.*'
check "one with batch normalisation, from a checkpoint" draw vgg_bn 32 '*,classifier.*'
check "AlexNet" draw alexnet 224 '*,classifier.*'
check "a ResNet of basic blocks" draw resnet18 64 '*,*.add,fc'
check "one of bottlenecks in groups" draw resnext 64 '*,*.add,fc'
check "PyTorch sees in the pictures what the losses say" "$python" "$peer" compare "$TEMPORARY"

expect "another network than is said" 2 'resnet18.pth: is a resnet18 by its names and shapes, not a resnet50; ' \
    "$python" "$script" --arch resnet50 "$TEMPORARY/resnet18.pth" "$TEMPORARY/x.h5"
expect "no state_dict" 2 'vgg.h5: is no state_dict that torch.load reads' "$python" "$script" "$TEMPORARY/vgg.h5" "$TEMPORARY/x.h5"
"$python" - "$TEMPORARY" <<'EOF'
import sys, torch
state = torch.load(sys.argv[1] + "/resnet18.pth")
torch.save(dict(state, **{"layer1.0.attention.weight": torch.ones(1)}), sys.argv[1] + "/strange.pth")
del state["layer2.0.bn1.running_mean"]
torch.save(state, sys.argv[1] + "/cut.pth")
EOF
expect "weights that belong to nothing" 2 'layer1.0.attention.weight belongs to no resnet18' "$python" "$script" "$TEMPORARY/strange.pth" "$TEMPORARY/x.h5"
expect "weights that are missing" 2 'layer2.0.bn1.running_mean is missing' "$python" "$script" "$TEMPORARY/cut.pth" "$TEMPORARY/x.h5"
check "nothing is left where it was refused" test ! -e "$TEMPORARY/x.h5" -a ! -e "$TEMPORARY/x.h5.part"
