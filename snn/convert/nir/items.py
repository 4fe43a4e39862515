"""The nodes of a NIR graph, what they may say, and the errors that name them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.reading import shown

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
ATTRIBUTES: dict[str, set[str]] = {
    "NIRGraph": {"nodes", "edges"},
    "Input": set(),
    "Output": set(),
    "Affine": {"weight", "bias"},
    "Linear": {"weight"},
    "Conv1d": {"input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"},
    "Conv2d": {"input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"},
    "SumPool2d": {"kernel_size", "stride", "padding"},
    "AvgPool2d": {"kernel_size", "stride", "padding"},
    "Flatten": {"start_dim", "end_dim"},
    "Scale": {"scale"},
    "Threshold": {"threshold"},
    "Delay": {"delay"},
    "I": {"r"},
    "IF": {"r", "v_threshold", "v_reset"},
    "LI": {"tau", "r", "v_leak"},
    "LIF": {"tau", "r", "v_leak", "v_threshold", "v_reset"},
    "CubaLI": {"tau_syn", "tau_mem", "r", "v_leak", "w_in"},
    "CubaLIF": {"tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"},
}
"""All classes, and what their nodes say, beside the shapes that nir derives and metadata."""


@dataclass(eq=False)
class Item:
    """A node of a NIR graph, with the errors that name it.

    Attributes:
        name: its name, behind those of the subgraphs that it lies in.
        node: the NIR node.
        sources: the nodes that it reads.
        readers: those that read it.
        late: the sources whose spikes arrive one timestep later.
        ends: the ends of subgraphs that it was read through, which say what shape they expect.
    """

    name: str
    node: Any
    sources: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    ends: list["Item"] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The class of the node, as NIR calls it."""
        return type(self.node).__name__

    @property
    def spiking(self) -> bool:
        """Whether the node sends spikes."""
        return self.kind in SPIKING

    @property
    def label(self) -> str:
        """How messages call the node."""
        return f"node {shown(self.name)} ({self.kind})"

    def refuse(self, problem: str) -> UserError:
        """The error that says that this node cannot be converted."""
        return UserError(f"{self.label}: {problem}")

    def require(self, condition: bool, problem: str) -> None:
        """Raise UserError with the node's name unless ``condition`` holds."""
        if not condition:
            raise self.refuse(problem)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """An attribute as finite numbers; raises UserError."""
        found: Any = getattr(self.node, name, None)
        found = found.detach().cpu().numpy() if hasattr(found, "detach") else found
        try:
            values = np.asarray(found)
        except (TypeError, ValueError):
            values = np.asarray(None)
        self.require(values.dtype.kind in "biuf", f"{name} is {shown(found)} instead of numbers; export it again")
        with np.errstate(invalid="ignore"):
            values = values.astype(np.float64)
        self.require(
            bool(np.isfinite(values).all()), f"{name} has values that are not finite; train again, or repair the file"
        )
        return values


def check_attributes(node: Any, label: str, notes: list[str]) -> None:
    """Raise UserError unless the class of the node and all its attributes are known; note its metadata."""
    kind = type(node).__name__
    if kind not in ATTRIBUTES or type(node).__module__.partition(".")[0] != "nir":
        known = ", ".join(kind for kind in ATTRIBUTES if kind != "NIRGraph")
        raise UserError(f"{label}: not a node that can be converted; take {known}")
    unknown = sorted(set(vars(node)) - ATTRIBUTES[kind] - {"input_type", "output_type", "metadata"})
    if unknown:
        raise UserError(
            f"{label}: attribute {shown(unknown[0])} is not known and might change what it computes; remove it"
        )
    for key, value in (getattr(node, "metadata", None) or {}).items():
        notes.append(f"{label}: metadata {shown(key)} = {shown(value)}, without effect here")
