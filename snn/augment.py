"""Random changes of training images that preserve their class."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snn.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far each training image is changed, independently of all others; all random numbers are drawn on the CPU.

    Attributes:
        flip: mirror half of the images left to right.
        shift: move by up to this many pixels each way; zeros fill the gap.
        rotate: turn by up to this many degrees each way.
        stretch: enlarge or shrink by up to this share, height and width independently.
    """

    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    stretch: float = 0.0

    def __call__(self, samples: Tensor, random: torch.Generator) -> Tensor:
        """Changed copies of uint8 ``samples``, (batch, C, H, W)."""
        if self.flip:
            mirrored = torch.rand(len(samples), generator=random) < 0.5
            samples = torch.where(mirrored.view(-1, 1, 1, 1).to(samples.device), samples.flip(3), samples)
        if self.rotate or self.stretch:
            return self._transform(samples, random)
        return self._move(samples, random) if self.shift else samples

    def _move(self, samples: Tensor, random: torch.Generator) -> Tensor:
        """Shift by whole pixels, which preserves every value."""
        reach = self.shift
        height, width = samples.shape[2:]
        padded = nn.functional.pad(samples, (reach, reach, reach, reach))
        down, right = torch.randint(2 * reach + 1, (2, len(samples)), generator=random)
        rows = (down.view(-1, 1) + torch.arange(height)).view(-1, 1, height, 1)
        columns = (right.view(-1, 1) + torch.arange(width)).view(-1, 1, 1, width)
        images = torch.arange(len(samples)).view(-1, 1, 1, 1)
        channels = torch.arange(samples.shape[1]).view(1, -1, 1, 1)
        return padded[tuple(index.to(samples.device) for index in (images, channels, rows, columns))]

    def _transform(self, samples: Tensor, random: torch.Generator) -> Tensor:
        """Turn, stretch and shift in one bilinear interpolation."""
        count = len(samples)
        size = torch.tensor(samples.shape[2:][::-1], dtype=torch.float32)

        def spread(reach: float, *shape: int) -> Tensor:
            return (2 * torch.rand(*shape, generator=random) - 1) * reach

        angle = spread(math.radians(self.rotate), count)
        factor = 1 + spread(self.stretch, count, 2)
        moved = spread(2.0 * self.shift, count, 2) / size
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
        matrix = torch.cat([turn * factor.unsqueeze(2), moved.unsqueeze(2)], dim=2)
        grid = nn.functional.affine_grid(matrix.to(samples.device), list(samples.shape), align_corners=False)
        changed = nn.functional.grid_sample(samples.float(), grid, align_corners=False)
        return changed.round().to(torch.uint8)


def augmentation_of(recipe: Recipe) -> Augmentation:
    """The changes that a training asks for."""
    return Augmentation(flip=recipe.flip, shift=recipe.shift, rotate=recipe.rotate, stretch=recipe.stretch)
