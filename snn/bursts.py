"""What travels between the layers of a model: burst counts together with the scale of one burst."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from hw.network import InputSpec, encode, require


@dataclass(frozen=True, kw_only=True)
class Bursts:
    """Bursts of one population.

    Attributes:
        counts: burst counts n, (steps, batch, *shape); steps is 1 where all timesteps are the same (direct input).
        scale: the value s of one burst, a scalar tensor; the layer's output is ``scale * counts``.
        ceiling: the largest count K.
        timesteps: T.
        node: the name of the population in the model, given while a model is traced.
    """

    counts: Tensor
    scale: Tensor
    ceiling: int
    timesteps: int
    node: str = ""


class Encoder(nn.Module):
    """Turns raw samples into input bursts by the coding of ``spec`` (see :func:`hw.network.encode`).

    A burst is decided by its byte alone, so the coding is a table, which works on any device.
    """

    table: Tensor

    def __init__(self, spec: InputSpec, timesteps: int) -> None:
        super().__init__()
        self.spec, self.timesteps = spec, timesteps
        every_byte = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)
        table = torch.from_numpy(encode(every_byte, replace(spec, shape=(1, 1, 1)))).flatten()
        self.register_buffer("table", table.to(torch.get_default_dtype()), persistent=False)

    def forward(self, samples: Tensor) -> Bursts:
        """``samples``: uint8, (batch, C, H, W) for direct coding, counts (batch, T, C, H, W) for events.

        Raises:
            NetworkError: they have another type or shape.
        """
        spec = self.spec
        steps = () if spec.coding == "direct" else (self.timesteps,)
        expected = (len(samples), *steps, *spec.shape)
        require(samples.dtype == torch.uint8, f"the input takes unsigned bytes, not {samples.dtype}")
        require(samples.shape == expected, f"samples {tuple(samples.shape)}, input {expected}")
        counts = self.table[samples.long()].view(len(samples), -1, *spec.shape)
        scale = 1.0 / spec.burst_ceiling if spec.coding == "direct" else 1.0
        return Bursts(
            counts=counts.transpose(0, 1),
            scale=torch.tensor(scale, device=samples.device),
            ceiling=spec.burst_ceiling,
            timesteps=self.timesteps,
            node=spec.name,
        )


class Flatten(nn.Module):
    """(C, H, W) populations as (C*H*W), in that order."""

    def forward(self, bursts: Bursts) -> Bursts:
        return replace(bursts, counts=bursts.counts.flatten(2))


class SumPool2d(nn.Module):
    """Average pooling in integers: counts are summed; the scale, divided by kernel^2, folds into the next weights."""

    kind = "sum"

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, bursts: Bursts) -> Bursts:
        area = self.kernel**2
        counts = nn.functional.avg_pool2d(bursts.counts.flatten(0, 1), self.kernel, divisor_override=1)
        counts = counts.unflatten(0, bursts.counts.shape[:2])
        return replace(bursts, counts=counts, scale=bursts.scale / area, ceiling=bursts.ceiling * area)


class MaxPool2d(nn.Module):
    """Max pooling of counts; commutes with the scale."""

    kind = "max"

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, bursts: Bursts) -> Bursts:
        counts = nn.functional.max_pool2d(bursts.counts.flatten(0, 1), self.kernel)
        return replace(bursts, counts=counts.unflatten(0, bursts.counts.shape[:2]))
