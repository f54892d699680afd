"""from_torch.py write DIR SCRIPT | compare DIR: narrow networks with torchvision's names, and what PyTorch makes of
pictures.

write: a state_dict DIR/NAME.pth of each network, with random numbers, turned into DIR/NAME.h5 by SCRIPT.
compare: the losses in DIR/NAME/losses.csv with those of the finished pictures DIR/NAME/filters/LAYER/NNNN.txt, which
have 8 bits a value. Exit status 1 if one is another.
"""
import csv
import re
import runpy
import sys

import torch
from torch import nn
from torch.nn import functional


class Recording(nn.Module):
    """Keeps the stage of each layer, by its name: what follows a convolution up to its ReLU."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def see(self, name, x):
        self.seen[name] = x
        return x


class Plain(Recording):
    """VGG and AlexNet: features and classifier are Sequentials."""

    def __init__(self, features, map_extent, channels, hidden):
        super().__init__()
        self.features = nn.Sequential(*features)
        dense = [nn.Linear(channels * map_extent ** 2, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden),
                 nn.ReLU(), nn.Dropout(), nn.Linear(hidden, 7)]
        self.classifier = nn.Sequential(*dense)
        self.map_extent = map_extent

    def forward(self, x):
        name = None
        for i, module in enumerate(self.features):
            x = module(x)
            name = f"features.{i}" if isinstance(module, nn.Conv2d) else name
            if isinstance(module, nn.ReLU):
                self.see(name, x)
        x = torch.flatten(functional.adaptive_avg_pool2d(x, self.map_extent), 1)
        for i, module in enumerate(self.classifier):
            x = module(x)
            if isinstance(module, nn.ReLU):
                self.see(f"classifier.{i - 1}", x)
        self.see("classifier.6", functional.softmax(x, 1))


def vgg(normalised):
    features, channels = [], 3
    for width in (5, "M", 8, "M", 9, 12, "M", 16, 16, "M", 17, 20, "M"):
        if width == "M":
            features.append(nn.MaxPool2d(2, 2))
            continue
        features.append(nn.Conv2d(channels, width, 3, padding=1))
        features += [nn.BatchNorm2d(width)] * normalised + [nn.ReLU()]
        channels = width
    return Plain(features, 1, channels, 11)


def alexnet():
    features = [nn.Conv2d(3, 8, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 5, padding=2),
                nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(12, 18, 3, padding=1), nn.ReLU(),
                nn.Conv2d(18, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 6, 3, padding=1), nn.ReLU(),
                nn.MaxPool2d(3, 2)]
    network = Plain(features, 6, 6, 10)
    network.classifier = nn.Sequential(nn.Dropout(), *network.classifier[:2], nn.Dropout(), *network.classifier[3:5],
                                       network.classifier[6])
    return network


class Block(nn.Module):
    def __init__(self, channels, width, out, stride, groups, bottleneck):
        super().__init__()
        if bottleneck:
            self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
            self.conv3 = nn.Conv2d(width, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, out, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(self.conv2.out_channels)
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def run(self, name, x, see):
        y = see(f"{name}.conv1", torch.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(y))
        if hasattr(self, "conv3"):
            y = self.bn3(self.conv3(see(f"{name}.conv2", torch.relu(y))))
        see(f"{name}.conv{3 if hasattr(self, 'conv3') else 2}", y)
        x = see(f"{name}.downsample.0", self.downsample(x)) if hasattr(self, "downsample") else x
        return see(f"{name}.add", torch.relu(x + y))


class ResNet(Recording):
    def __init__(self, blocks, groups, bottleneck):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 10, 7, 2, 3, bias=False), nn.BatchNorm2d(10)
        channels = 10
        for layer, count in enumerate(blocks):
            width, made = 8 << layer, []
            for block in range(count):
                out = 2 * width if bottleneck else width
                made.append(Block(channels, width, out, 2 if layer and not block else 1, groups, bottleneck))
                channels = out
            setattr(self, f"layer{layer + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(channels, 7)

    def forward(self, x):
        x = self.see("conv1", torch.relu(self.bn1(self.conv1(x))))
        x = functional.max_pool2d(x, 3, 2, 1)
        for layer in range(1, 5):
            for i, block in enumerate(getattr(self, f"layer{layer}")):
                x = block.run(f"layer{layer}.{i}", x, self.see)
        self.see("fc", functional.softmax(self.fc(x.mean((2, 3))), 1))


NETWORKS = {"vgg": lambda: vgg(0), "vgg_bn": lambda: vgg(1), "alexnet": alexnet,
            "resnet18": lambda: ResNet((2, 2, 2, 2), 1, False), "resnext": lambda: ResNet((1, 2, 1, 1), 4, True)}


def make(name):
    """Small variances, beside which epsilon counts."""
    torch.manual_seed(1)
    network = NETWORKS[name]().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.0005, 0.01)
            module.running_mean.uniform_(-0.1, 0.1)
            nn.init.uniform_(module.weight, 0.05, 0.2)
            nn.init.uniform_(module.bias, -0.2, 0.3)
    return network


def write(folder, script):
    for name in NETWORKS:
        state = make(name).state_dict()
        if name == "vgg_bn":  # a checkpoint of a model trained on several devices
            state = {"epoch": 3, "state_dict": {"module." + key: value for key, value in state.items()}}
        torch.save(state, f"{folder}/{name}.pth")
        sys.argv = [script, f"{folder}/{name}.pth", f"{folder}/{name}.h5"]
        runpy.run_path(script, run_name="__main__")


def read_picture(path):
    """One line a pixel, "R G B", below "WIDTH HEIGHT"; as --preprocess torch has it."""
    with open(path, encoding="ascii") as file:
        width, height = map(int, file.readline().split())
        values = torch.tensor([int(word) for word in file.read().split()], dtype=torch.float64)
    x = values.reshape(height, width, 3).permute(2, 0, 1)[None] / 255
    middle, spread = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], dtype=torch.float64)
    return (x - middle.view(1, 3, 1, 1)) / spread.view(1, 3, 1, 1)


def losses_of(network, picture, layer, channel):
    """The loss of the picture as it is in the file, and of others that would be the same in 8 bits."""
    losses = []
    for attempt in range(4):
        torch.manual_seed(attempt)
        noise = (torch.rand_like(picture) - 0.5) / 255 / 0.225 if attempt else 0
        with torch.no_grad():
            network(picture + noise)
        losses.append(float(stages_of(network)[layer][0, channel].mean()))
    return losses[0], max(abs(loss - losses[0]) for loss in losses)


def stages_of(network):
    """By the names that layers have here: a VGG's convolutions are called by their blocks."""
    stages = {re.sub(r"\W", "_", layer): x for layer, x in network.seen.items()}
    convolutions = [layer for layer in network.seen if layer.startswith("features.")]
    blocks = [f"block{b + 1}_conv{c + 1}" for b, n in enumerate((1, 1, 2, 2, 2)) for c in range(n)]
    stages.update(zip(blocks, (network.seen[layer] for layer in convolutions)))
    return stages


def compare(folder):
    wrong = count = 0
    for name in NETWORKS:
        network = make(name).double()
        with open(f"{folder}/{name}/losses.csv", encoding="ascii") as file:
            rows = list(csv.DictReader(file))
        for row in (row for row in rows if row["status"] == "live"):
            picture = read_picture(f"{folder}/{name}/filters/{row['layer']}/{int(row['filter']):04}.txt")
            here, spread = losses_of(network, picture, row["layer"], int(row["filter"]))
            if abs(here - float(row["loss"])) > 0.01 * abs(here) + 3 * spread:
                print(f"{name} {row['layer']} {row['filter']}: {row['loss']}, PyTorch says {here}")
                wrong += 1
            count += 1
        missing = len(network.seen) - len({row["layer"] for row in rows})
        if missing:
            print(f"{name}: {missing} layers were not drawn")
        wrong += missing
    print(f"{count} losses, {wrong} wrong")
    return wrong > 0 or count < 100


sys.exit(write(*sys.argv[2:]) if sys.argv[1] == "write" else compare(sys.argv[2]))
