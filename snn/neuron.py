"""The kinds of neurons: scale and amplitude. Their dynamics are those of :class:`snn.dynamics.Neuron`."""

import math
from typing import Unpack

import torch
from torch import Tensor, nn

from qblif.network.nodes import Leak
from snn.dynamics import Neuron, NeuronOptions
from snn.quantizers import scale_gradient
from snn.ranges import check_range


class QBLIF(Neuron):
    """Neuron whose spikes are bursts: a saturated uniform quantization of the membrane, with one learnable scale
    ``s = softplus(rho)`` per layer, which is also what a burst is worth.

    The burst, its learnable scale and the fold are from arXiv 2604.25688; rounding, leak and reset are our reading.
    K = 1 is the binary neuron, ``learn_scale=False`` the fixed-burst neuron.

    Args:
        burst_bits: b; the ceiling is K = 2^b - 1 unless ``burst_ceiling`` gives K itself.
        learn_scale: whether s is trained.
        options: those of :class:`snn.dynamics.Neuron`; the threshold is 1/2.
    """

    neurons: Tensor

    def __init__(
        self,
        burst_bits: int = 2,
        *,
        burst_ceiling: int | None = None,
        learn_scale: bool = True,
        **options: Unpack[NeuronOptions],
    ) -> None:
        check_range("burst_bits", burst_bits)
        super().__init__(2**burst_bits - 1 if burst_ceiling is None else burst_ceiling, **options)
        self.rho = nn.Parameter(torch.zeros(()), requires_grad=learn_scale)
        self.register_buffer("neurons", torch.tensor(0))

    @property
    def scale(self) -> Tensor:
        """s > 0, a scalar; the gradient of rho is scaled by ``1/sqrt(K * neurons)`` (LSQ)."""
        factor = 1.0 / math.sqrt(self.burst_ceiling * max(1, int(self.neurons)))
        return nn.functional.softplus(scale_gradient(self.rho, factor))

    def amplitude(self, scale: Tensor) -> Tensor:
        """s."""
        return scale

    @property
    def initialised(self) -> bool:
        """Whether a batch has set s."""
        return int(self.neurons) > 0

    @torch.no_grad()
    def initialise(self, current: Tensor) -> None:
        """Set s to ``2 * mean|H| / sqrt(K)`` from the first batch's currents, where H = I since V[0] = 0."""
        scale = (2.0 * current.abs().mean() / math.sqrt(self.burst_ceiling)).clamp_min(1e-6)
        self.rho.copy_(torch.log(torch.expm1(scale)))
        self.neurons.fill_(current[0, 0].numel())


class LIF(Neuron):
    """Neuron of the LIF family: its scale is a fixed threshold potential, and a spike is worth 1.

    The defaults are those of SpikingJelly's LIF with ``v_reset=None``; ``fires_at="above"`` with ``reset="hard"`` is
    snnTorch's Leaky with "zero".

    Args:
        theta: the potential s at which a neuron fires, and which a soft reset takes off.
        levels: K, the most spikes in one timestep.
        options: those of :class:`snn.dynamics.Neuron`; the threshold is 1, a whole theta.
    """

    theta: Tensor

    def __init__(self, theta: float = 1.0, *, levels: int = 1, **options: Unpack[NeuronOptions]) -> None:
        check_range("theta", theta)
        options.setdefault("threshold", 1.0)
        super().__init__(levels, **options)
        self.register_buffer("theta", torch.tensor(float(theta)), persistent=False)

    @property
    def scale(self) -> Tensor:
        """theta."""
        return self.theta

    def amplitude(self, scale: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(scale)


class SynapticLIF(LIF):
    """LIF neuron with a synaptic current, whose leak ``current_leak`` is 1/2 by default."""

    def __init__(self, theta: float = 1.0, *, levels: int = 1, **options: Unpack[NeuronOptions]) -> None:
        options.setdefault("current_leak", Leak())
        super().__init__(theta, levels=levels, **options)
