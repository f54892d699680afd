"""Milliseconds of processor time per filter and iteration (loss and gradient) of a ResNet50's layer with PyTorch, the peer of resnet.c.

To PyTorch's favour: normalisation is folded into the convolutions, layers above the wanted one are left out, of the wanted one only
the channels that are drawn are computed, everything is channels_last, gradients are taken with respect to the picture alone.
"""
import argparse
import statistics
import time

import torch
from torch import nn

BLOCKS = (3, 4, 6, 3)


def convolution(channels, width, kernel, stride=1):
    layer = nn.Conv2d(channels, width, kernel, stride, kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class Block(nn.Module):
    def __init__(self, channels, width, stride, pictures):
        super().__init__()
        self.shortcut = convolution(channels, 4 * width, 1, stride) if channels != 4 * width and not pictures else None
        self.first, self.second = convolution(channels, width, 1, stride), convolution(width, width, 3)
        self.third = convolution(width, pictures or 4 * width, 1)
        self.is_last = bool(pictures)

    def forward(self, x):
        y = self.third(torch.relu_(self.second(torch.relu_(self.first(x)))))
        if self.is_last:
            return y
        return torch.relu_(y + (x if self.shortcut is None else self.shortcut(x)))


def make_network(pictures):
    """Up to conv5_block3_3_conv, of which one channel for each picture."""
    modules = [convolution(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(BLOCKS):
        width = 64 << stage
        for number in range(count):
            last = stage == 3 and number == 2
            modules.append(Block(channels, width, 2 if stage and not number else 1, pictures if last else 0))
            channels = 4 * width
    return nn.Sequential(*modules).requires_grad_(False).to(memory_format=torch.channels_last)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = make_network(options.pictures)
    x = torch.randn(options.pictures, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(options.rounds + 1):
        x = x.detach().requires_grad_(True)
        start = time.process_time()
        loss = network(x).mean((2, 3)).diagonal().sum()
        torch.autograd.grad(loss, x)
        seconds.append(time.process_time() - start)
    print(f"{1000 * statistics.median(seconds[1:]) / options.pictures:.1f}")


if __name__ == "__main__":
    main()
