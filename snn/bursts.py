"""The values that layers of a model exchange: burst counts together with the scale of one burst."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.checks import require
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec, Pooling
from qblif.network.window import PerAxis
from snn.ranges import check_choice, check_range


@dataclass(frozen=True, kw_only=True)
class Bursts:
    """Bursts of one population.

    Attributes:
        counts: burst counts n, (steps, batch, *shape); steps is 1 if all timesteps are the same (direct input).
        scale: the value g of one burst, a scalar tensor; the layer's output is ``scale * counts``.
        ceiling: the largest count K.
        timesteps: T.
        node: the name of the population in the model; set while a model is traced.

    Between layers, those of torch's own modules and functions are allowed that are the same in integers
    (:mod:`snn.torch_operations`); all others are refused.
    """

    counts: Tensor
    scale: Tensor
    ceiling: int
    timesteps: int
    node: str = ""

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> "Bursts":
        return operations().apply(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise operations().NotOnBurstsError(f"bursts have no {name!r}; {operations().WAY_OUT}")

    def __add__(self, other: object) -> "Bursts":
        raise operations().NotOnBurstsError(
            "bursts cannot be added; a skip is the second argument, layer(bursts, skip)"
        )

    __radd__ = __add__

    def __mul__(self, other: object) -> "Bursts":
        raise operations().NotOnBurstsError("bursts cannot be multiplied; the scale of a layer's bursts is learned")

    __rmul__ = __truediv__ = __mul__

    def dim(self) -> int:
        """Dimensions of one timestep's bursts: the batch and the dimensions of the population."""
        return self.counts.dim() - 1

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Bursts":
        """Like torch's ``flatten``, but only to (batch, C*H*W)."""
        return operations().flatten(self, start_dim, end_dim)


def operations() -> ModuleType:
    """The module that applies torch's functions to bursts; imported late, since it builds on the classes here."""
    from snn import torch_operations

    return torch_operations


class Encoder(nn.Module):
    """Turns raw samples into input bursts by the coding of ``spec`` (see :func:`qblif.network.coding.encode`).

    A burst depends only on its byte, so the coding is a table, which works on any device.

    Args:
        spec: the input.
        timesteps: T.
        mode: ``"window"``: every sample has T timesteps. ``"stream"``: timesteps come without end, so a sample may have
            any number of them; T is only the length of the reference recordings.
    """

    table: Tensor

    def __init__(self, spec: InputSpec, timesteps: int, *, mode: Literal["window", "stream"] = "window") -> None:
        super().__init__()
        check_range("timesteps", timesteps)
        check_choice("mode", mode, ("window", "stream"))
        require(
            mode == "window" or spec.coding != "direct", "the input of a stream differs at every timestep: not direct"
        )
        self.spec, self.timesteps, self.mode = spec, timesteps, mode
        every_byte = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)
        table = torch.from_numpy(encode(every_byte, replace(spec, shape=(1, 1, 1)))).flatten()
        self.register_buffer("table", table.to(torch.get_default_dtype()), persistent=False)

    def forward(self, samples: Tensor) -> Bursts:
        """``samples``: uint8, (batch, C, H, W) for direct coding, (batch, T, C, H, W) for events and frames.

        Raises:
            NetworkError: they have another type or shape.
        """
        spec = self.spec
        require(isinstance(samples, Tensor), f"the input takes unsigned bytes, not {type(samples).__name__}")
        timesteps = self.timesteps
        if self.mode == "stream" and samples.dim() == 5:
            timesteps = max(1, samples.shape[1])
        steps = () if spec.coding == "direct" else (timesteps,)
        expected = (len(samples), *steps, *spec.shape)
        require(samples.dtype == torch.uint8, f"the input takes unsigned bytes, not {samples.dtype}")
        require(samples.shape == expected, f"samples {tuple(samples.shape)}, input {expected}")
        counts = self.table[samples.long()].view(len(samples), -1, *spec.shape)
        scale = 1.0 if spec.coding == "events" else 1.0 / spec.burst_ceiling
        return Bursts(
            counts=counts.transpose(0, 1),
            scale=torch.tensor(scale, dtype=counts.dtype, device=samples.device),
            ceiling=spec.burst_ceiling,
            timesteps=timesteps,
            node=spec.name,
        )


class Flatten(nn.Module):
    """Turns (C, H, W) populations into (C*H*W,), in that order."""

    def forward(self, bursts: Bursts) -> Bursts:
        return replace(bursts, counts=bursts.counts.flatten(2))


class Pool2d(nn.Module):
    """Pooling over windows of neurons.

    Args:
        kernel, stride, padding: one number, or two for rows and columns; the stride defaults to the kernel.
            Padding is burst 0, and at most half a kernel.

    Raises:
        UserError: these are not valid windows of a pooling.
    """

    kind: Literal["sum", "max"]

    def __init__(self, kernel: PerAxis, *, stride: PerAxis | None = None, padding: PerAxis = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.node = Pooling(name=name, source=name, kind=self.kind, kernel=kernel, stride=stride, padding=padding)

    def windows(self, bursts: Bursts) -> Tensor:
        """Counts as images, (steps * batch, C, H, W); raises UserError if they are not images."""
        if not isinstance(bursts, Bursts) or bursts.counts.dim() != 5:
            found = tuple(bursts.counts.shape[2:]) if isinstance(bursts, Bursts) else type(bursts).__name__
            raise UserError(f"{type(self).__name__} takes bursts of (C, H, W) neurons, not {found}")
        height, width = bursts.counts.shape[3:]
        if min(self.node.window.windows(height, width)) < 1:
            raise UserError(
                f"{type(self).__name__}({self.node.kernel}) leaves nothing of {tuple(bursts.counts.shape[2:])} neurons"
            )
        return bursts.counts.flatten(0, 1)


class SumPool2d(Pool2d):
    """Average pooling in integers: counts are summed, and the scale, divided by a window's area, folds into the next
    weights. Padding counts, as with torch's ``count_include_pad``."""

    kind = "sum"

    def forward(self, bursts: Bursts) -> Bursts:
        images, window = self.windows(bursts), self.node.window
        area = window.area
        counts = nn.functional.avg_pool2d(images, window.kernel, window.stride, window.padding, divisor_override=1)
        counts = counts.unflatten(0, bursts.counts.shape[:2])
        return replace(bursts, counts=counts, scale=bursts.scale / area, ceiling=bursts.ceiling * area)


class MaxPool2d(Pool2d):
    """Max pooling of counts; it commutes with the scale."""

    kind = "max"

    def forward(self, bursts: Bursts) -> Bursts:
        window = self.node.window
        counts = nn.functional.max_pool2d(self.windows(bursts), window.kernel, window.stride, window.padding)
        return replace(bursts, counts=counts.unflatten(0, bursts.counts.shape[:2]))
