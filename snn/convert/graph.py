"""A trained spiking network as its framework describes it: float operations between neurons.

Readers (:mod:`snn.convert.nir.graph`, :mod:`snn.convert.modules.reader`) make a graph of a file or a module;
:mod:`snn.convert.assembly` makes a model of snn layers of it. Every node has one output. What arrives at a node from
several sources is added. A source that does not stand before its reader is read as it was one timestep earlier.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from qblif.errors import UserError
from qblif.network.checks import Shape
from snn.convert.neurons import NeuronForm

INPUT = "input"
"""The name of the network's input among the sources of nodes."""
Pair = tuple[int, int]
"""A number for rows and one for columns."""
Sides = tuple[int, int, int, int]
"""Padding above, below, on the left and on the right."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """An operation.

    Attributes:
        name: what the framework calls it; unique in the graph, and named in error messages.
        sources: the nodes that it reads.
    """

    name: str
    sources: tuple[str, ...]

    def refuse(self, problem: str) -> UserError:
        """The error that says that this node cannot be converted."""
        return UserError(f"{self.name}: {problem}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Node):
    """``W x + b`` of features. ``weight``: (outputs, inputs); ``bias``: (outputs,) or None."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Node):
    """Convolution of images. A convolution over one axis has one row.

    Attributes:
        weight: (outputs, inputs / groups, rows, columns).
        bias: (outputs,) or None.
        padding: zeros on each side.
    """

    weight: Tensor
    bias: Tensor | None = None
    stride: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(Node):
    """``a x + b`` for each channel: a normalisation with fixed statistics, a scaling.

    Attributes:
        scale, shift: (channels,), or one value for all, (1,).
    """

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Node):
    """Pooling of windows; zeros in the padding count in a sum, and an average divides by the whole kernel.

    Attributes:
        kind: ``"sum"``, ``"average"`` or ``"max"``.
        kernel: rows and columns; None is the whole image.
    """

    kind: str
    kernel: Pair | None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class AdaptivePool(Node):
    """Pooling to a given number of rows and columns, by windows of equal size. ``kind`` as in :class:`Pool`."""

    kind: str
    size: Pair


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """Images as features, channel by channel and row by row."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons(Node):
    """A population; it sends spikes that are worth ``form.amplitude`` each.

    Attributes:
        form: the neurons, with ``scale`` 1 where ``thresholds`` says how much a spike takes away.
        thresholds: (channels,) for neurons whose thresholds differ between channels.
        bias: a constant current of every neuron, behind the gain, (channels,) or None.
    """

    form: NeuronForm
    thresholds: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Integrator(Node):
    """Neurons that leak and never fire; their membrane is what the network gives.

    Attributes:
        gain: factor of the arriving current.
        beta: the share of the membrane that a timestep leaves.
        bias: a constant current behind the gain, (channels,) or None.
    """

    gain: float = 1.0
    beta: float = 1.0
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A network.

    Attributes:
        shape: (C, H, W) of the input; features are (C, 1, 1).
        nodes: in an order in which they can be computed.
        output: the node whose spikes or membranes are the network's answer.
        notes: what the reader decided that the user should know, one line each.
    """

    shape: Shape
    nodes: tuple[Node, ...]
    output: str
    notes: tuple[str, ...] = field(default=())

    def check(self) -> None:
        """Raise UserError unless the graph is connected as its nodes say, with finite numbers throughout."""
        names = [node.name for node in self.nodes]
        known = {INPUT, *names}
        if len(known) != len(names) + 1:
            raise UserError(f"the network has two nodes of one name, or one that is called {INPUT!r}")
        if self.output not in names:
            raise UserError(f"the network's output {self.output!r} is not one of its nodes")
        for node in self.nodes:
            missing = sorted(set(node.sources) - known)
            if missing or not node.sources:
                raise node.refuse(f"reads {', '.join(missing) or 'nothing'}, which is not a node of the network")
            for name, value in vars(node).items():
                if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
                    raise node.refuse(f"{name} has values that are not finite; train again, or repair the file")
