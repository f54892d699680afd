#!/usr/bin/env bash
# Other networks than VGGs: drawn the same by any number of ranks, killed and continued, planned, stitched, shown.
# shellcheck source=tests/harness.sh disable=SC1091
. "$(dirname "$0")/../harness.sh"
NETWORKS=$HERE/tests/data/networks
runs=()
cd "$TEMPORARY" || exit 1

# render RANKS DIR OPTION...: quietly.
render() { timeout 120 mpirun -n "$1" "$FILTERATLAS" render --out "$2" -q "${@:3}"; }

# contents DIR: what must not depend on who drew it, when or with whom.
contents() { (cd "$1" && find . -name '*.png' -exec sha256sum {} + | sort -k2 && cat job.txt layers.csv && cut -d, -f1-4 losses.csv); }
same() { contents "$1" >one && contents "$2" >other && grep -q '/filters/.*png$' one && diff one other; }

live() { grep -c ',live,' "$1/losses.csv"; }
mosaics() { find "$1" -maxdepth 1 -name "$2_*.png" | wc -l; }

# The number of ranks, in both recipes -----------------------------------------------------------------------------------
FOURIER=(--recipe fourier --epochs 3 --preprocess unit --filters 0:4 --upscaling-steps 2)
KERAS=(--recipe keras --size 56 --epochs 3 --filters 0:4 --upscaling-steps 2)
for name in resnet_like.h5 mobilenet_like.keras small_cnn.h5; do
    network=${name%%_like*} options=("${FOURIER[@]}")
    [ "$name" != small_cnn.h5 ] || network=sequential options=("${KERAS[@]}")
    for ranks in 1 2 3 5; do
        check "$name: $ranks ranks render" render $ranks "$network$ranks" --weights "$NETWORKS/$name" "${options[@]}"
        [ $ranks -eq 1 ] || check "$name: $ranks ranks: the same" same "$network$ranks" "${network}1"
    done
    check "$name: there are pictures" test "$(live "${network}1")" -gt 12
    check "$name: every layer with pictures has a mosaic of the network's name" \
        test "$(mosaics "${network}1" "$network")" -eq "$(find "${network}1/filters" -name '*.png' -printf '%h\n' | sort -u | wc -l)"
    check "$name: layers come in the network's order" diff <(tail -n +2 "${network}1/losses.csv" | cut -d, -f1 | uniq) \
        <(cut -d, -f1 "${network}1/layers.csv" | grep -Fxf <(tail -n +2 "${network}1/losses.csv" | cut -d, -f1))
done
check "small_cnn.h5: pictures of a grey network are grey" \
    diff <("$BUILD/tests/png_pixels" sequential1/filters/*/*.png) <("$BUILD/tests/png_pixels" --swap sequential1/filters/*/*.png)
check "resnet_like.h5: the page has its layers" test "$(find resnet1/page -name 'conv2_block1_1_conv*' | wc -l)" -gt 0

# Killed -----------------------------------------------------------------------------------------------------------------
LONG=(--weights "$NETWORKS/resnet_like.h5" --recipe fourier --epochs 40 --preprocess unit --batch 4)
check "resnet_like.h5: one rank draws the longer job" render 1 whole "${LONG[@]}"
for delay in 1.3 1.7 2.2; do
    setsid mpirun -n 2 "$FILTERATLAS" render --out killed -q "${LONG[@]}" >/dev/null 2>&1 &
    sleep $delay
    kill -KILL -- -$! 2>/dev/null
    wait $! 2>/dev/null
done
check "resnet_like.h5: killed three times, it goes on" render 2 killed "${LONG[@]}"
check "resnet_like.h5: to the same pictures" same killed whole

# What is asked for ------------------------------------------------------------------------------------------------------
ask() { render 2 asked --weights "$NETWORKS/resnet_like.h5" "${FOURIER[@]}" --layers "$@"; }
check "joins and what stands behind them" ask 'conv2_block*_out,conv2_block1_add'
check "have folders of their own" test "$(echo asked/filters/*)" = "asked/filters/conv2_block1_add asked/filters/conv2_block1_out asked/filters/conv2_block2_out"
check "a glob means the convolutions it matches" ask 'conv3_*'
check "and not once more the activations behind them" test ! -e asked/filters/conv3_block1_1_relu
check "class units behind a dense layer" ask predictions
check "have pictures" test -e asked/filters/predictions/0000.png
expect "an unknown layer" 2 "--layers conv9: no such layer; " "$FILTERATLAS" render --weights "$NETWORKS/resnet_like.h5" \
    --out asked "${FOURIER[@]}" --layers conv9
expect "a part of a name with a slash" 2 "--layers vgg_sub/block3: no such layer; did you mean 'vgg_sub_block3_\\*'" \
    "$FILTERATLAS" plan --weights "$NETWORKS/nested.h5" "${FOURIER[@]}" --layers vgg_sub/block3
expect "what is right for VGGs alone" 2 "--precision bf16: is there for VGG networks, resnet is another; " \
    "$FILTERATLAS" render --weights "$NETWORKS/resnet_like.h5" --out other --precision bf16 "${FOURIER[@]}"
expect "another network in the same folder" 3 "network .resnet there, now mobilenet." \
    "$FILTERATLAS" render --weights "$NETWORKS/mobilenet_like.h5" --out resnet1 "${FOURIER[@]}" -q
expect "a size at which a layer is not there" 2 "can't be drawn at [0-9]+x[0-9]+ pixels.*; give --size 46x39 --upscaling-factor 1" \
    "$FILTERATLAS" render --weights "$NETWORKS/odd.h5" --out odd "${FOURIER[@]}"
check "at its own size it is" render 2 odd --weights "$NETWORKS/odd.h5" "${FOURIER[@]}" --upscaling-factor 1
expect "too small a size" 2 "--size 8x8: too small for .*; give at least --size [0-9]+, or fewer --upscaling-steps" \
    "$FILTERATLAS" plan --weights "$NETWORKS/small_cnn.h5" --size 8 --speed 1
expect "the preprocessing is asked about" 0 "resnet is given pictures as .*--preprocess" \
    "$FILTERATLAS" render --weights "$NETWORKS/resnet_like.h5" --out guessed --recipe fourier --epochs 1 --filters 0:1 --layers conv1_conv
check "plan lists what would be drawn" \
    diff <("$FILTERATLAS" plan --weights "$NETWORKS/resnet_like.h5" "${FOURIER[@]}" --speed 1 | awk '/^Total/ { exit } on { print $1 } /^Layer/ { on = 1 }') \
    <("$FILTERATLAS" inspect --names "$NETWORKS/resnet_like.h5")
check "plan --costs takes what filters took" "$FILTERATLAS" plan --weights "$NETWORKS/resnet_like.h5" "${FOURIER[@]}" --costs resnet1/losses.csv
cp -r resnet1 stitched
check "stitch makes the same mosaics again" "$FILTERATLAS" stitch --out stitched -q
check "and nothing else" same stitched resnet1
check "atlas.h5 has a group for each layer" "$FILTERATLAS" stitch --out stitched --hdf5 -q

# Several runs at once, as in an array job: each writes layers.csv, of which there is one.
for layer in conv1_conv conv2_block1_1_conv conv3_block1_1_conv conv4_block1_1_conv; do
    "$FILTERATLAS" render --weights "$NETWORKS/resnet_like.h5" --out together -q "${FOURIER[@]}" --layers $layer &
    runs+=($!)
done
ended() { local status=0; for run in "$@"; do wait "$run" || status=1; done; return $status; }
check "four runs at once, of a layer each" ended "${runs[@]}"
check "they leave one list of layers" diff together/layers.csv resnet1/layers.csv
check "dense layers in an atlas" render 1 dense --weights "$NETWORKS/vgg_bn.h5" "${FOURIER[@]}" --size 32 --upscaling-factor 1 --layers 'block1_conv1,fc1,predictions'
cp dense/layers.csv before.csv
check "and then only convolutions" render 1 dense --weights "$NETWORKS/vgg_bn.h5" "${FOURIER[@]}" --size 32 --upscaling-factor 1 --layers 'block*'
check "leave the list of layers as it was" diff dense/layers.csv before.csv
check "plan --costs takes an atlas with dense layers" \
    "$FILTERATLAS" plan --weights "$NETWORKS/vgg_bn.h5" "${FOURIER[@]}" --size 32 --upscaling-factor 1 --costs dense/losses.csv

# Natural images ---------------------------------------------------------------------------------------------------------
"$BUILD/tests/make_images" photos 12
EXAMPLES=(--images photos --short 48 --crop 40 --preprocess unit --weights "$NETWORKS/resnet_like.h5" -q)
files() { (cd "$1" && find examples.csv examples -type f ! -name '.*' -exec sha256sum {} + | sort -k2); }
check "examples of another network" "$FILTERATLAS" examples --out resnet1 "${EXAMPLES[@]}"
check "every layer has some" test "$(tail -n +2 resnet1/examples.csv | cut -d, -f1 | sort -u | wc -l)" -eq "$(cut -d, -f1 resnet1/losses.csv | tail -n +2 | sort -u | wc -l)"
check "the same by 3 ranks" mpirun -n 3 "$FILTERATLAS" examples --out examples3 "${EXAMPLES[@]}"
check "to the byte" diff <(files resnet1) <(files examples3)
check "of joins, too, that are asked for" "$FILTERATLAS" examples --out joins "${EXAMPLES[@]}" --layers 'conv2_block*_out'
check "examples of a grey network" "$FILTERATLAS" examples --out grey --images photos --short 60 --crop 50 --preprocess unit \
    --weights "$NETWORKS/small_cnn.h5" -q
