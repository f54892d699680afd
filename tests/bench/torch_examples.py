"""Looks at images with PyTorch as `filteratlas examples` does, as a fair user would, and prints images per second of processor time.

torch_examples.py FOLDER [BATCH]: decodes and prepares with Pillow, runs VGG16's convolutions (random weights, which take as long
as any), and keeps the highest activation of every channel and its place. To PyTorch's favour: what it loads, compiles and allocates
before the first batch is done is not counted, and nothing is sorted, cut or written.

torch_examples.py --make FOLDER COUNT: writes COUNT JPEG files of 500 x 375 pixels, as photographs of ImageNet have, from smooth noise.
"""
import os
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch import nn

SHORT, CROP = 256, 224
MEAN = np.array([103.939, 116.779, 123.68], np.float32)
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def make_images(folder, count):
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        image = np.zeros((375, 500, 3), np.float32)
        for extent in (4, 12, 40, 120):
            noise = random.random((extent * 3 // 4, extent, 3), np.float32) * 255
            image += np.asarray(Image.fromarray(noise.astype(np.uint8)).resize((500, 375), Image.BICUBIC), np.float32) / 4
        Image.fromarray(np.clip(image * 2 - 128, 0, 255).astype(np.uint8)).save(f"{folder}/{number:04d}.jpg", quality=90)


def prepare(path):
    image = Image.open(path).convert("RGB")
    scale = lambda extent: SHORT * extent // min(image.size)
    image = image.resize((scale(image.width), scale(image.height)), Image.BICUBIC)
    left, top = (image.width - CROP) // 2, (image.height - CROP) // 2
    return np.asarray(image.crop((left, top, left + CROP, top + CROP)), np.float32)[:, :, ::-1] - MEAN


def make_network():
    stages, channels = [], 3
    for width, count in BLOCKS:
        for number in range(count):
            convolution = nn.Conv2d(channels, width, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            stages.append((convolution.requires_grad_(False).to(memory_format=torch.channels_last), number == count - 1))
            channels = width
    return stages


def look(stages, paths):
    x = torch.from_numpy(np.stack([prepare(path) for path in paths])).permute(0, 3, 1, 2)  # channels_last as it is
    found = []
    for convolution, pooled in stages:
        x = nn.functional.relu(convolution(x), inplace=True)
        found.append(x.flatten(2).max(2))
        if pooled:
            x = nn.functional.max_pool2d(x, 2)
    return found


def main(folder, batch=8):
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    torch.set_num_threads(1)
    stages = make_network()
    with torch.no_grad():
        look(stages, paths[:batch])
        start = time.process_time()
        for first in range(0, len(paths), batch):
            look(stages, paths[first : first + batch])
    print(f"{len(paths) / (time.process_time() - start):.3f}")


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make_images(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1], *map(int, sys.argv[2:]))
