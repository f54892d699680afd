"""Draws filters of a layer of VGG16 by gradient ascent with PyTorch, as a fair user would, and prints seconds per filter.

The arithmetic is the program's (include/filteratlas/ascent/ascent.h); the weights are random (He) and the values of the pictures
don't matter, only how long they take. To PyTorch's favour: layers above the wanted one are left out, of the wanted one
only the channels that are drawn are computed, gradients are taken with respect to the picture alone, everything is
channels_last, and the first iteration at a size, in which oneDNN builds its kernels, is not counted.
"""
import argparse
import time

import torch
from torch import nn

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def make_network(layer, pictures):
    """The convolutions up to a layer, with ReLU and pooling; of the layer itself one channel for each picture."""
    modules, channels = [], 3
    for block, (width, count) in enumerate(BLOCKS, 1):
        for number in range(1, count + 1):
            last = layer == f"block{block}_conv{number}"
            convolution = nn.Conv2d(channels, pictures if last else width, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            modules += [convolution, nn.ReLU(inplace=True)]
            if last:
                nn.init.constant_(convolution.bias, 100)  # alive, as in the program's part of the comparison
                return nn.Sequential(*modules).requires_grad_(False).to(memory_format=torch.channels_last)
            channels = width
        modules.append(nn.MaxPool2d(2))
    raise SystemExit(f"torch_filter.py: {layer}: no such layer; there are block1_conv1 to block5_conv3")


def sizes(size=412, factor=1.2, steps=9):
    return [int(size / factor**u) for u in range(steps, -1, -1)]


def activations(network, x):
    """The maps of the wanted channels, computed in the network's own precision."""
    return network(x.to(network[0].weight.dtype)).float()


def climb(network, x):
    """One iteration: x moves along the gradient of the mean activation of each picture's own channel."""
    x = x.detach().requires_grad_(True)
    loss = activations(network, x).mean((2, 3)).diagonal().sum()
    (gradient,) = torch.autograd.grad(loss, x)
    with torch.no_grad():
        rms = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
        return x + gradient / (rms + 1e-7)


def enlarge(x, size):
    """By way of 8 bits, as the program does."""
    mean, deviation = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
    x = ((x - mean) / (deviation + 1e-7) * 0.25 + 0.5).clamp(0, 1).mul(255).round().div(255)
    x = nn.functional.interpolate(x, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    return x.contiguous(memory_format=torch.channels_last)


COLOURS = torch.tensor([[.26, .09, .02], [.27, 0, -.05], [.27, -.09, .03]])
COLOURS = COLOURS / COLOURS.norm(dim=0).max()
CAFFE_MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def band(extent):
    return (extent - 1) // 2


def amplitudes(size):
    """1/f of the whole picture, for ky = -K ... K and kx = 0 ... K."""
    ky = torch.arange(-band(size), band(size) + 1).view(-1, 1)
    kx = torch.arange(band(size) + 1).view(1, -1)
    return 1 / (4 * torch.sqrt((ky**2 + kx**2).float()).clamp(min=1))


def synthesize(c, amplitude, full, size):
    """The sum of the waves that an octave has, by torch's real inverse transform, seen through the sigmoid."""
    k, middle = band(size), band(full)
    inner = (c * amplitude)[:, :, middle - k:middle + k + 1, :k + 1]
    spectrum = torch.zeros(*c.shape[:2], size, size // 2 + 1, dtype=torch.complex64)
    spectrum[:, :, :k + 1, :k + 1] = inner[:, :, k:]
    spectrum[:, :, size - k:, :k + 1] = inner[:, :, :k]
    t = torch.fft.irfft2(spectrum, s=(size, size)) * size * size
    return torch.sigmoid(torch.einsum("rc,bchw->brhw", COLOURS, t))


def climb_waves(network, optimiser, c, amplitude, full, size):
    """One iteration of the Fourier recipe: the picture shifted at random and preprocessed."""
    optimiser.zero_grad(set_to_none=True)
    s = synthesize(torch.view_as_complex(c), amplitude, full, size)
    dy, dx = (int(v) for v in torch.randint(0, size, (2,)))
    x = 255 * torch.roll(s, (dy, dx), (2, 3)).flip(1) - CAFFE_MEAN
    loss = activations(network, x.contiguous(memory_format=torch.channels_last)).mean((2, 3)).diagonal().sum()
    (-loss).backward()
    optimiser.step()


def draw_waves(network, pictures, epochs, scaled_epochs):
    """Seconds for `pictures` pictures by the Fourier recipe at its defaults, from `epochs` timed iterations per size."""
    full = 224
    amplitude = amplitudes(full)
    c = (0.01 * torch.randn(pictures, 3, *amplitude.shape, 2)).requires_grad_(True)
    optimiser = torch.optim.Adam([c], lr=0.05)
    seconds = 0.0
    for size in sizes(full, 1.25, 2):
        climb_waves(network, optimiser, c, amplitude, full, size)
        start = time.perf_counter()
        for _ in range(epochs):
            climb_waves(network, optimiser, c, amplitude, full, size)
        seconds += (time.perf_counter() - start) * scaled_epochs / epochs
    return seconds


def draw(network, pictures, epochs, scaled_epochs):
    """Seconds for `pictures` pictures at scaled_epochs iterations per size, from `epochs` timed ones."""
    extents = sizes()
    x = 0.5 + 0.02 * torch.randn(pictures, 3, extents[0], extents[0])
    x = x.contiguous(memory_format=torch.channels_last)
    seconds = 0.0
    for now, following in zip(extents, extents[1:]):
        x = climb(network, x)
        start = time.perf_counter()
        for _ in range(epochs):
            x = climb(network, x)
        seconds += (time.perf_counter() - start) * scaled_epochs / epochs
        start = time.perf_counter()
        x = enlarge(x, following)
        seconds += time.perf_counter() - start
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="block5_conv1")
    parser.add_argument("--pictures", type=int, default=1, help="drawn together (default 1)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=2, help="timed iterations per size (default 2)")
    parser.add_argument("--scaled-epochs", type=int, default=15, help="iterations that the time is for (default 15)")
    parser.add_argument("--recipe", choices=("keras", "fourier"), default="keras")
    parser.add_argument("--precision", choices=("single", "bf16"), default="single")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    network = make_network(options.layer, options.pictures)
    if options.precision == "bf16":
        network = network.to(torch.bfloat16)
    draw_pictures = draw_waves if options.recipe == "fourier" else draw
    seconds = draw_pictures(network, options.pictures, options.epochs, options.scaled_epochs)
    print(f"{seconds / options.pictures:.2f}")


if __name__ == "__main__":
    main()
