"""A converted network: an ordinary model of snn layers, called one after the other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from qblif.errors import UserError
from snn.bursts import Bursts, Encoder


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """A layer, what the original calls it, and the names of the layers that it reads.

    Attributes:
        scale: what one burst unit of its membranes is in the original's units, (channels,) or (1,); None for layers
            without membranes.
    """

    name: str
    module: nn.Module
    sources: tuple[str, ...]
    scale: Tensor | None = None


class Converted(nn.Module):
    """A network of :mod:`snn.convert`. It can be trained, quantized and described as every other model.

    Args:
        encoder: makes bursts of raw samples; its name among the sources is ``input``.
        calls: the layers in the order in which they are called; the last is the readout.
        notes: what was decided in the conversion, one line each.
        counts: whether the results are counts of spikes.
    """

    def __init__(
        self, encoder: Encoder, calls: Sequence[Call], notes: Sequence[str] = (), *, counts: bool = False
    ) -> None:
        super().__init__()
        self.encoder, self.counts = encoder, counts
        self.notes = tuple(notes)
        self.attributes: dict[str, str] = {}
        self.scales = {call.name: call.scale for call in calls if call.scale is not None}
        for call in calls:
            attribute = re.sub(r"\W", "_", call.name) or "layer"
            while hasattr(self, attribute) or hasattr(type(self), attribute):
                attribute += "_"
            self.add_module(attribute, call.module)
            self.attributes[call.name] = attribute
        self._calls = [(call.name, call.sources) for call in calls]

    def layer(self, name: str) -> nn.Module:
        """The layer that the original calls ``name``; raises UserError if there is none."""
        if name not in self.attributes:
            raise UserError(f"the network has no layer {name!r}; there are {', '.join(self.attributes)}")
        return self.get_submodule(self.attributes[name])

    @property
    def last(self) -> str:
        """The original's name of the last layer."""
        return self._calls[-1][0]

    def forward(self, samples: Tensor) -> Tensor:
        """Logits of raw samples, as :class:`snn.layers.ReadoutLayer` gives them."""
        logits = self.run(samples)[self.last]
        assert isinstance(logits, Tensor)
        return logits

    def run(self, samples: Tensor) -> dict[str, Bursts | Tensor]:
        """What every layer gives, by the original's names."""
        values: dict[str, Bursts | Tensor] = {self.encoder.spec.name: self.encoder(samples)}
        for name, sources in self._calls:
            values[name] = self.get_submodule(self.attributes[name])(*[values[source] for source in sources])
        return values
