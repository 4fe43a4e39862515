"""QB-LIF neurons as nodes of other frameworks: :class:`QBLIFNode` for SpikingJelly, :class:`QBLIFCell` for snnTorch.

They are the neurons of :class:`snn.neuron.QBLIF` in float form, behind the conventions of these frameworks, and need
neither of them. A node takes currents and sends ``s * n``: n bursts, each worth the learned scale s of its layer. The
first batch in training mode chooses s.

A model with these nodes is converted like every other (:func:`snn.convert.sources.from_modules`), and the converted
model sends the same n; only a learned leak becomes a fraction near it. The weights of the converted model contain s, so
fine-tuning keeps every s as it is.
"""

from typing import Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.neuron import QBLIF
from snn.ranges import check_choice
from snn.state import Memory
from snn.surrogate import Surrogate

try:
    from spikingjelly.activation_based.base import MemoryModule  # its helpers warn about the state of other classes
except ImportError:
    MemoryModule = nn.Module


class NodeOptions(TypedDict, total=False):
    """The options of both nodes, as in :class:`snn.neuron.QBLIF`; other neurons of it cannot be converted."""

    burst_ceiling: int | None
    learn_scale: bool
    leak: Leak | None
    learn_leak: bool
    reset: Literal["soft", "hard"]
    surrogate: Surrogate | None


class QBLIFNode(MemoryModule):
    """QB-LIF neurons as a node of SpikingJelly.

    In step mode ``"s"`` a call takes the currents of one timestep, (batch, *shape), and in ``"m"`` those of several,
    (T, batch, *shape). It returns ``s * n`` in that shape, and continues where the previous call ended, until
    :meth:`reset`. ``functional.reset_net``, ``set_step_mode`` and ``detach_net`` work.

    In step mode ``"s"`` only the first timestep with a current chooses s, so train at least one batch in ``"m"`` if the
    first timestep is unlike the others.

    Args:
        burst_bits: b; the ceiling is K = 2^b - 1 unless ``burst_ceiling`` gives K itself.
        step_mode: ``"s"`` or ``"m"``.
        options: those of :class:`NodeOptions`.

    Raises:
        UserError: a number is outside its range or a choice is unknown; in a call: the membranes are those of another
            batch size, or no batch has chosen s and the node is in eval mode.
    """

    def __init__(
        self, burst_bits: int = 2, *, step_mode: Literal["s", "m"] = "s", **options: Unpack[NodeOptions]
    ) -> None:
        super().__init__()
        self.neuron = QBLIF(burst_bits, **options)
        # SpikingJelly's names for states and the values that a reset gives them.
        self._memories: dict[str, Tensor | float] = {"v": 0.0}
        self._memories_rv = {"v": 0.0}
        self.step_mode = step_mode

    @property
    def step_mode(self) -> Literal["s", "m"]:
        """``"s"`` for single timesteps, ``"m"`` for several at once."""
        return self._step_mode

    @step_mode.setter
    def step_mode(self, value: Literal["s", "m"]) -> None:
        check_choice("step_mode", value, ("s", "m"))
        self._step_mode: Literal["s", "m"] = value

    @property
    def v(self) -> Tensor | float:
        """The membranes after the reset, (batch, *shape); 0.0 at rest."""
        return self._memories["v"]

    @v.setter
    def v(self, value: Tensor | float) -> None:
        self._memories["v"] = value

    def reset(self) -> None:
        """Return to rest."""
        self.v = 0.0

    def detach(self) -> None:
        """Cut the gradient's way into the past."""
        if isinstance(self.v, Tensor):
            self.v = self.v.detach()

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"step_mode={self.step_mode}"

    def forward(self, x: Tensor) -> Tensor:
        several = self.step_mode == "m"
        before = self.v if isinstance(self.v, Tensor) else None
        sent, self.v = fired(self.neuron, x if several else x.unsqueeze(0), before)
        return sent if several else sent.squeeze(0)


class QBLIFCell(nn.Module):
    """QB-LIF neurons as a neuron of snnTorch: ``spk, mem = cell(cur, mem)``, with ``mem = cell.reset_mem()`` at first.

    ``cur``, ``spk`` and ``mem`` are (batch, *shape). ``spk`` is ``s * n``, and ``mem`` the membrane after the reset,
    which snnTorch's own neurons return before it. The first timestep with a current chooses s.

    snnTorch's ``utils.reset`` knows only snnTorch's classes: :func:`reset_cells` does the same for these.

    Args:
        burst_bits: b; the ceiling is K = 2^b - 1 unless ``burst_ceiling`` gives K itself.
        init_hidden: the cell keeps ``mem`` itself and returns ``spk`` alone.
        output: with ``init_hidden``: it returns ``mem`` all the same, as the last layer.
        options: those of :class:`NodeOptions`.

    Raises:
        UserError: a number is outside its range or a choice is unknown; in a call: ``mem`` is given in spite of
            ``init_hidden``, the membranes are those of another batch size, or no batch has chosen s and the cell is in
            eval mode.
    """

    mem: Tensor

    def __init__(
        self,
        burst_bits: int = 2,
        *,
        init_hidden: bool = False,
        output: bool = False,
        **options: Unpack[NodeOptions],
    ) -> None:
        super().__init__()
        self.neuron = QBLIF(burst_bits, **options)
        self.init_hidden, self.output = init_hidden, output
        self.register_buffer("mem", torch.zeros(0), persistent=False)

    def reset_mem(self) -> Tensor:
        """Return to rest; gives the membranes of rest, which are empty, for any batch size."""
        self.mem = self.mem.new_zeros(0)
        return self.mem

    def init_leaky(self) -> Tensor:
        """The same as :meth:`reset_mem`, by its older name."""
        return self.reset_mem()

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        if mem is not None and self.init_hidden:
            raise UserError("with init_hidden=True the cell keeps mem itself; leave it out of the call")
        before = self.mem if mem is None else mem
        sent, self.mem = fired(self.neuron, input_.unsqueeze(0), before if before.numel() else None)
        spikes = sent.squeeze(0)
        return (spikes, self.mem) if self.output or not self.init_hidden else spikes


def reset_cells(model: nn.Module) -> None:
    """Return every QBLIFCell of a model to rest."""
    for module in model.modules():
        if isinstance(module, QBLIFCell):
            module.reset_mem()


def fired(neuron: QBLIF, currents: Tensor, membrane: Tensor | None) -> tuple[Tensor, Tensor]:
    """What neurons send, ``s * n`` in the shape of the currents, and the membranes that they are left with.

    Args:
        neuron: the neurons.
        currents: (T, batch, *shape).
        membrane: (batch, *shape), or None for rest.

    Raises:
        UserError: the membranes have another shape, or s is not known and the neurons are in eval mode.
    """
    if membrane is not None and membrane.shape != currents.shape[1:]:
        raise UserError(
            f"currents of the shape {list(currents.shape[1:])} cannot continue membranes of {list(membrane.shape)}; "
            "reset the node first"
        )
    if not neuron.initialised:
        if not neuron.training:
            raise UserError("no batch has chosen the scale of these neurons; run one in training mode first")
        if not bool(currents.any()) and (membrane is None or not bool(membrane.any())):
            return 0 * currents, 0 * currents[0]  # true of every scale, and no batch to choose one by
    memory = Memory()
    if membrane is not None:
        memory.states = [{"V": membrane}]
    counts = neuron(currents, len(currents), memory=memory)
    (state,) = memory.states
    return neuron.amplitude(neuron.scale) * counts, state["V"]
