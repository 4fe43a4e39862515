"""Residual networks. The input of a block is added to the membranes of its second convolution."""

from collections.abc import Sequence

from torch import nn

from snn.architecture import ModelOptions, Staged
from snn.bursts import Bursts, SumPool2d


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them: an identity skip, with its own integer weight, if the shape
    stays the same, otherwise a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, options: ModelOptions, *, stride: int = 1) -> None:
        super().__init__()
        same = inputs == outputs and stride == 1
        self.first = options.convolution(inputs, outputs, stride=stride)
        self.second = options.population(
            options.kernel(outputs, outputs, 3),
            shortcut=None if same else options.kernel(inputs, outputs, 1, stride=stride),
        )

    def forward(self, bursts: Bursts) -> Bursts:
        """Bursts of ``outputs`` channels; height and width are divided by ``stride``."""
        return self.second(self.first(bursts), bursts)


def resnet(options: ModelOptions) -> Staged:
    """For each entry of ``channels`` a 3x3 convolution (stride 2 from the second on) and a residual block with an
    identity skip, then fully connected layers."""
    options = options.sized(channels=(16, 32), hidden=(128,))
    inputs, height, width = options.input_shape
    stages = []
    for index, outputs in enumerate(options.channels or ()):
        stride = 1 if index == 0 else 2
        entry = options.convolution(inputs, outputs, stride=stride)
        stages.append(nn.Sequential(entry, ResidualBlock(outputs, outputs, options)))
        inputs, height, width = outputs, -(-height // stride), -(-width // stride)
    return Staged(options, stages, (inputs, height, width))


def deep_resnet(options: ModelOptions, blocks: Sequence[int]) -> Staged:
    """A 3x3 convolution, stages of residual blocks (every stage but the first begins with stride 2), the average over
    all positions, and fully connected layers.

    Args:
        options: with ``channels`` and ``hidden``.
        blocks: number of blocks in each stage, one entry for each of ``channels``.
    """
    channels = options.channels or ()
    inputs, height, width = options.input_shape
    stages: list[nn.Module] = [options.convolution(inputs, channels[0])]
    inputs = channels[0]
    for index, (outputs, depth) in enumerate(zip(channels, blocks, strict=False)):
        for block in range(depth):
            stride = 2 if index and not block else 1
            stages.append(ResidualBlock(inputs, outputs, options, stride=stride))
            inputs, height, width = outputs, -(-height // stride), -(-width // stride)
    size = min(height, width)
    if size > 1:
        stages.append(SumPool2d(size))
    return Staged(options, stages, (inputs, height // size, width // size))


def resnet18(options: ModelOptions) -> Staged:
    """ResNet-18 for small images (He et al., CVPR 2016, without its first pooling)."""
    return deep_resnet(options.sized(channels=(64, 128, 256, 512), hidden=()), (2, 2, 2, 2))


def resnet19(options: ModelOptions) -> Staged:
    """ResNet-19 as spiking networks use it (Zheng et al., AAAI 2021)."""
    return deep_resnet(options.sized(channels=(128, 256, 512), hidden=(256,)), (3, 3, 2))


def resnet20(options: ModelOptions) -> Staged:
    """ResNet-20 (He et al., CVPR 2016)."""
    return deep_resnet(options.sized(channels=(16, 32, 64), hidden=()), (3, 3, 3))
