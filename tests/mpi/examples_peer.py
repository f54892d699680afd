"""examples_peer.py WEIGHTS IMAGES TABLE [BATCH]: checks examples.csv against PyTorch and Pillow.

Looks at every image below IMAGES anew, in single precision, and finds the lists by itself. A list must name the same
images and positions in the same order, but where activations differ by less than 1e-4 relative, or by a millionth of
the layer's highest, which is what single precision leaves of sums that all but cancel. Prints how many
entries agree exactly, and the seconds of processor time; exit status 1 at the first that does not agree.
"""
import csv
import os
import sys
import time

import h5py
import numpy as np
import torch
from PIL import Image, ImageOps

SHORT, CROP, TOP, CLOSE = 256, 224, 9, 1e-4
MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def read_layers(path):
    """[(name, kernel OIHW, bias)] of a file with layer_names, blocks by name."""
    layers = []
    with h5py.File(path, "r") as file:
        root = file["model_weights"] if "model_weights" in file else file
        for name in [n.decode() if isinstance(n, bytes) else n for n in root.attrs["layer_names"]]:
            arrays = [np.asarray(root[name][w.decode() if isinstance(w, bytes) else w]) for w in root[name].attrs["weight_names"]]
            if arrays and arrays[0].ndim == 4:
                layers.append((name, torch.tensor(arrays[0].astype(np.float32)).permute(3, 2, 0, 1).contiguous(), torch.tensor(arrays[1].astype(np.float32))))
    return layers


def prepare(path):
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    scale = lambda extent: SHORT * extent // min(image.size)
    image = image.resize((scale(image.width), scale(image.height)), Image.BICUBIC)
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    image = image.crop((left, top, left + CROP, top + CROP))
    return np.asarray(image, np.float32)[:, :, ::-1] - MEAN


def highest(layers, batch):
    """Per layer: the highest activation of every channel and its flat position, [images][channels]."""
    x, found = torch.tensor(np.stack(batch)).permute(0, 3, 1, 2).contiguous(), []
    for i, (name, kernel, bias) in enumerate(layers):
        x = torch.relu(torch.nn.functional.conv2d(x, kernel, bias, padding=1))
        values, places = x.flatten(2).max(2)
        found.append((values.numpy(), places.numpy(), x))
        if i + 1 < len(layers) and name.split("_")[0] != layers[i + 1][0].split("_")[0]:
            x = torch.nn.functional.max_pool2d(x, 2)
    return found


def main(weights, images, table, batch_size=8):
    names = sorted((os.path.relpath(os.path.join(d, f), images) for d, _, files in os.walk(images) for f in files), key=os.fsencode)
    number = {name: i for i, name in enumerate(names)}
    wanted = {}
    with open(table, newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            wanted.setdefault((row["layer"], int(row["filter"])), []).append(
                (number[row["image"]], int(row["row"]), int(row["column"]), float(row["activation"])))
    layers, values, places, claimed = read_layers(weights), [], [], {}
    by_image = {}
    for key, entries in wanted.items():
        for image, row, column, _ in entries:
            by_image.setdefault(image, []).append((key, row, column))
    position = {name: i for i, (name, _, _) in enumerate(layers)}
    start, clock = time.process_time(), time.time()
    checking = 0
    with torch.no_grad():
        for first in range(0, len(names), batch_size):
            some = range(first, min(first + batch_size, len(names)))
            found = highest(layers, [prepare(os.path.join(images, names[i])) for i in some])
            values.append([v for v, _, _ in found])
            places.append([p for _, p, _ in found])
            before = time.process_time()
            for i in some:
                for key, row, column in by_image.get(i, []):
                    claimed[key, i] = float(found[position[key[0]]][2][i - first, key[1], row, column])
            checking += time.process_time() - before
    seconds, wall = time.process_time() - start - checking, time.time() - clock
    exact = close = wrong = 0
    apart = []
    for l, (name, _, _) in enumerate(layers):
        v, p = np.concatenate([b[l] for b in values]), np.concatenate([b[l] for b in places])
        floor = 1e-6 * v.max()
        near = lambda a, b: abs(a - b) <= CLOSE * b + floor
        side = CROP >> (int(name[5]) - 1)
        for f in range(v.shape[1]):
            order = sorted(np.nonzero(v[:, f] > 0)[0], key=lambda i: (-v[i, f], i))[:TOP]
            ours = wanted.get((name, f), [])
            if len(order) != len(ours):
                # one on the verge of silence may be heard by one program alone
                least = min([abs(v[i, f]) for i in order[len(ours):]] + [abs(e[3]) for e in ours[len(order):]])
                if least > floor:
                    sys.exit(f"{name} {f}: {len(ours)} entries, not {len(order)}")
            for place, (image, entry) in enumerate(zip(order, ours)):
                same = entry[0] == image and (entry[1], entry[2]) == divmod(int(p[image, f]), side)
                theirs = v[image, f]
                # what they say of our image at our position must be as high as their own choice
                apart.append(abs(entry[3] - claimed[(name, f), entry[0]]) / (claimed[(name, f), entry[0]] + floor))
                if same:
                    exact += 1
                elif near(claimed[(name, f), entry[0]], theirs):
                    close += 1
                else:
                    wrong += 1
                    print(f"{name} {f} place {place + 1}: {names[entry[0]]} {entry[1:]} is {claimed[(name, f), entry[0]]}, not {names[image]} {divmod(int(p[image, f]), side)} {theirs}")
    apart = np.array(apart)
    print(f"{len(names)} images, {exact} entries the same, {close} others equal within {CLOSE}, {wrong} wrong; activations apart: median {np.median(apart):.1e}, 99.9 % {np.quantile(apart, .999):.1e}, most {apart.max():.1e}; {seconds:.1f} s of processor time, {len(names) / seconds:.2f} images a second and core; {wall:.1f} s")
    sys.exit(1 if wrong or apart.max() > 1e-2 else 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
