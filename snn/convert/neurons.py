"""Neurons of snnTorch and SpikingJelly, and our own nodes for them, as the integer form of docs/design.md.

A neuron is read from its module's attributes, and its spike function from its values at a few points; neither framework
is imported. What the integer form does not contain is refused, and so is every attribute that is not known here, for
it might change what the neuron computes. Read and measured with snnTorch 1.0.0 and SpikingJelly 2.0.0
(docs/frameworks.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.neuron import QBLIF

MOST_SHIFT = 8
TOLERANCE = 2.0**-9
"""Largest error of a decay that is not a multiple of 2^-8, unless the caller says otherwise."""
GUARD_BITS = 12
"""Fraction bits below those that weights and biases need: the integer leak rounds down where floats do not."""

Firing = Literal["nearest", "reached", "exceeded", "exceeded after leak"]
"""What makes a neuron fire. ``nearest``: H / s rounds to the number of spikes, halves upward; ``reached``: H >= s;
``exceeded``: H > s; ``exceeded after leak``: H > beta * s, where the threshold is taken off after the next leak."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """A decay ``beta`` and the fraction that stands for it."""

    beta: float
    leak: Leak

    @property
    def error(self) -> float:
        """By how much the fraction is larger than beta."""
        return self.leak.multiplier / 2**self.leak.shift - self.beta


def nearest_decay(beta: float, tolerance: float) -> Decay | None:
    """The smallest fraction that equals beta, or else the smallest within the tolerance; None if there is none."""
    for error in (0.0, tolerance):
        for shift in range(MOST_SHIFT + 1):
            unit = 2**shift
            multiplier = math.floor(beta * unit + 0.5)
            inside = 0 < multiplier < unit or beta in (0, 1)
            if inside and abs(multiplier / unit - beta) <= error:
                return Decay(beta=beta, leak=Leak(multiplier=multiplier, shift=shift))
    return None


@dataclass(frozen=True, kw_only=True)
class NeuronForm:
    """A neuron in the integer form.

    Attributes:
        scale: s, the membrane that one spike takes away; dividing by it makes one spike the unit.
        gain: factor of the arriving current.
        firing: the rule from which the rounding constant r follows.
        burst_ceiling: K.
        decay, current_decay: of the membrane, and of the synaptic current; None for neurons without one.
        amplitude: g, what a spike is worth; what reads spikes is multiplied by it.
    """

    scale: float
    gain: float = 1.0
    firing: Firing
    burst_ceiling: int = 1
    reset: Literal["soft", "hard"]
    decay: Decay
    current_decay: Decay | None = None
    amplitude: float = 1.0

    @property
    def factor(self) -> float:
        """What weights and biases in front of the neuron are multiplied by."""
        return self.gain / self.scale

    def rounding(self, fraction_bits: int) -> int:
        """r of ``n = (M + r) >> F``; raises UserError if F is too small for the leak."""
        unit, leak = 2**fraction_bits, self.decay.leak
        if self.firing == "exceeded after leak":
            if fraction_bits < leak.shift:
                raise UserError(f"{fraction_bits} fraction bits are too few for a leak by 2^{leak.shift}; take more")
            return unit - (leak.multiplier * unit >> leak.shift) - 1
        return {"nearest": unit // 2, "reached": 0, "exceeded": -1}[self.firing]

    def neurons(self, fraction_bits: int) -> dict[str, Any]:
        """The fields of a :class:`qblif.network.nodes.Population` that the neuron decides."""
        return {
            "fraction_bits": fraction_bits,
            "burst_ceiling": self.burst_ceiling,
            "leak": self.decay.leak,
            "reset": self.reset,
            "rounding": self.rounding(fraction_bits),
            "current_leak": None if self.current_decay is None else self.current_decay.leak,
        }


SIGNS = torch.tensor([-1.0, -(2.0**-20), 0.0, 2.0**-20, 1.0])
"""Points around a threshold at which spike functions are tried."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads and checks the attributes of one neuron.

    Attributes:
        unit_threshold: take 1 for its threshold, because those of its channels differ.
    """

    module: nn.Module
    label: str
    tolerance: float
    unit_threshold: bool = False

    def require(self, condition: bool, problem: str) -> None:
        """Raise UserError with the neuron's name unless ``condition`` holds."""
        if not condition:
            raise UserError(f"{self.label}: {problem}")

    def check_attributes(self, known: set[str]) -> None:
        """Raise UserError unless the neuron has exactly the attributes that are known, and no hooks; snnTorch adds
        ``reset``, its last reset signal, when a neuron first runs."""
        found = set(vars(self.module)) - set(vars(nn.Module()))
        for holder in ("_parameters", "_buffers", "_modules", "_memories"):
            found |= set(getattr(self.module, holder, ()))
        unknown, missing = sorted(found - known - {"reset"}), sorted(known - found)
        self.require(not unknown, f"attribute {', '.join(unknown)} is not known and might change what it computes")
        self.require(not missing, f"attribute {', '.join(missing)} is missing; update the framework")
        hooked = self.module._forward_hooks or self.module._forward_pre_hooks
        self.require(not hooked, "a forward hook might change what it computes; remove its hooks")

    def number(self, name: str) -> float:
        """An attribute that is one number, or many equal ones."""
        values = torch.as_tensor(getattr(self.module, name), dtype=torch.float64).detach().flatten()
        self.require(values.numel() > 0, f"{name} is empty")
        equal = bool((values == values[0]).all()) or bool(values.isnan().all())
        self.require(equal, f"{name} differs from neuron to neuron, which is not supported; set them all to one value")
        return values[0].item()

    def threshold(self, name: str, rest: float = 0.0) -> float:
        """A threshold, above the membrane's resting value."""
        if self.unit_threshold:
            return 1.0
        value = self.number(name) - rest
        self.require(0 < value < math.inf, f"{name} is {value + rest:g}; set it to a finite one above {rest:g}")
        return value

    def decay(self, beta: float, name: str) -> Decay:
        """The smallest fraction that equals beta, or else the smallest within the tolerance."""
        self.require(0 <= beta <= 1, f"{name} makes the decay {beta:g}, which is not 0 to 1; set it to one that is")
        decay = nearest_decay(beta, self.tolerance)
        if decay is None:
            raise UserError(
                f"{self.label}: no fraction a/2^p with p <= {MOST_SHIFT} is within {self.tolerance:g} of the decay "
                f"{beta:g} that {name} makes; allow a larger tolerance, or train with such a fraction"
            )
        return decay

    def check_spikes(self, name: str, expected: Callable[[Tensor], Tensor], points: Tensor = SIGNS) -> None:
        """Raise UserError unless the spike function gives what the integer form expects at some points."""
        try:
            with torch.no_grad():
                fine = torch.equal(getattr(self.module, name)(points).double(), expected(points).double())
        except (RuntimeError, TypeError, ValueError):
            fine = False
        self.require(fine, f"{name} does not make whole spikes at the threshold; take a surrogate of the framework")


def read_snntorch(neuron: Reader) -> NeuronForm:
    """Leaky; Synaptic, which has a decay ``alpha`` of the synaptic current; RLeaky and RSynaptic without what their
    own spikes bring them. The last three set the whole next membrane to 0 where a reset comes late."""
    module: Any = neuron.module
    value = int(neuron.number("reset_mechanism_val"))
    reset = {0: "subtract", 1: "zero"}.get(value, "none")
    function = {"subtract": "_base_sub", "zero": "_base_zero"}.get(reset)
    neuron.require(function is not None, "reset_mechanism 'none' never resets; take 'zero' or 'subtract'")
    agree = getattr(module.state_function, "__name__", "") == function and module.reset_mechanism == reset
    neuron.require(agree, f"built with another reset_mechanism than {reset!r}; build it again with this one")
    neuron.require(not module.inhibition, "inhibition lets only one neuron of a layer fire; switch it off")
    neuron.require(not module.state_quant, "state_quant quantizes the membrane; train without it")
    plain = neuron.number("graded_spikes_factor") == 1
    neuron.require(plain, "graded_spikes_factor is not 1; move the factor into the next weights")
    neuron.check_spikes("spike_grad", lambda points: points > 0)
    threshold = neuron.threshold("threshold")
    decay = neuron.decay(neuron.number("beta"), "beta")
    current_decay = neuron.decay(neuron.number("alpha"), "alpha") if hasattr(module, "alpha") else None
    if reset == "zero":
        late = type(module).__name__ != "Leaky" and module.reset_delay
        neuron.require(
            not late, "with reset_mechanism 'zero' the membrane stays 0 for one more step; set reset_delay=False"
        )
        return NeuronForm(scale=threshold, firing="exceeded", reset="hard", decay=decay, current_decay=current_decay)
    neuron.require(
        bool(module.reset_delay),
        "reset_mechanism 'subtract' with reset_delay=False subtracts twice in a row; train with reset_delay=True",
    )
    leak = decay.leak
    neuron.require(leak.multiplier > 0, "reset_mechanism 'subtract' needs a beta above 0; take 'zero'")
    return NeuronForm(
        scale=threshold * 2**leak.shift / leak.multiplier,
        firing="exceeded after leak",
        reset="soft",
        decay=decay,
        current_decay=current_decay,
    )


def read_spikingjelly(neuron: Reader) -> NeuronForm:
    """IFNode, LIFNode and ParametricLIFNode; a hard reset goes to the value that the membrane also leaks to."""
    module: Any = neuron.module
    neuron.check_spikes("surrogate_function", lambda points: points >= 0)
    rest = 0.0 if module.v_reset is None else neuron.number("v_reset")
    check_state(neuron, rest)
    beta, gain, source = 1.0, 1.0, ""
    if hasattr(module, "decay_input"):
        share, source = reciprocal_tau(neuron)
        beta, gain = 1 - share, share if module.decay_input else 1.0
    return NeuronForm(
        scale=neuron.threshold("v_threshold", rest),
        gain=gain,
        firing="reached",
        reset="soft" if module.v_reset is None else "hard",
        decay=neuron.decay(beta, source),
    )


def read_ilif(neuron: Reader) -> NeuronForm:
    """ILIFNode: the membrane in thresholds, rounded to 0 to D; where that rounds a half down, the form rounds it up."""
    module: Any = neuron.module
    most: Any = getattr(module.surrogate_function, "max_spike_count", None)
    neuron.require(
        isinstance(most, int) and 1 <= most <= 255, f"max_spike_count {most} is not 1 to 255; take one that is"
    )
    quarters = torch.arange(-4, 4 * most + 5) / 4
    points = quarters[quarters % 1 != 0.5]
    neuron.check_spikes("surrogate_function", lambda values: values.round().clamp(0, most), points)
    fine = module.v_reset is None and not module.decay_input
    neuron.require(fine, "v_reset or decay_input was changed; build it again")
    check_state(neuron, 0.0)
    share, source = reciprocal_tau(neuron)
    return NeuronForm(
        scale=neuron.threshold("v_threshold"),
        firing="nearest",
        burst_ceiling=most,
        reset="soft",
        decay=neuron.decay(1 - share, source),
    )


def check_state(neuron: Reader, rest: float) -> None:
    """Raise UserError unless a neuron of SpikingJelly starts at its resting value, in ordinary precision."""
    module: Any = neuron.module
    start = module._memories_rv["v"]
    neuron.require(start == rest, f"the membrane starts at {start}, not at its rest {rest}; train from rest")
    ordinary = module._neuron_precision is None
    neuron.require(ordinary, "a precision of its own is set; convert the model before you set one")


def reciprocal_tau(neuron: Reader) -> tuple[float, str]:
    """1/tau, and the attribute from which it comes."""
    if "tau" in vars(neuron.module):
        tau = neuron.number("tau")
        neuron.require(tau >= 1, f"tau {tau:g} is not 1 or more; set it to one that is")
        return 1 / tau, "tau"
    neuron.number("w")
    module: Any = neuron.module
    return torch.sigmoid(module.w.detach()).double().flatten()[0].item(), "w"


def read_qblif(neuron: Reader) -> NeuronForm:
    """QBLIFNode and QBLIFCell of :mod:`snn.nodes`: a burst takes s away and is worth s."""
    inner: Any = neuron.module.neuron
    neuron.require(type(inner) is QBLIF, "its neurons were exchanged; build it again")
    usual = (inner.threshold, inner.fires_at) == (0.5, "threshold") and inner.current_decay is None
    free = inner.membrane_limits is None and inner.current_limits is None
    neuron.require(usual and free, "its neurons have options that snn.nodes does not name; build it without them")
    neuron.require(inner.initialised, "no batch has chosen its scale; train it first")
    scale = inner.scale.item()
    neuron.require(0 < scale < math.inf, f"its scale is {scale:g}, which is not finite and above 0; train it again")
    learned, leak = inner.decay.raw, inner.decay.fixed
    beta = leak.multiplier / 2**leak.shift if learned is None else torch.sigmoid(learned.detach()).item()
    return NeuronForm(
        scale=scale,
        firing="nearest",
        burst_ceiling=inner.burst_ceiling,
        reset=inner.reset,
        decay=neuron.decay(beta, "its leak"),
        amplitude=scale,
    )


SNNTORCH = {
    *("threshold", "beta", "graded_spikes_factor", "reset_mechanism_val", "_reset_mechanism", "reset_delay"),
    *("state_function", "state_quant", "spike_grad", "inhibition"),
    *("init_hidden", "output", "surrogate_disable", "mem"),
}
SPIKINGJELLY = {
    *("v_threshold", "v_reset", "surrogate_function", "_memories", "_memories_rv", "_neuron_precision"),
    *("_step_mode", "_store_v_seq", "detach_reset", "lava_s_cale", "v", "v_seq"),
}
READERS = {
    ("snntorch", "Leaky"): (read_snntorch, SNNTORCH),
    ("snntorch", "Synaptic"): (read_snntorch, SNNTORCH | {"alpha", "syn"}),
    ("spikingjelly", "IFNode"): (read_spikingjelly, SPIKINGJELLY),
    ("spikingjelly", "LIFNode"): (read_spikingjelly, SPIKINGJELLY | {"tau", "decay_input"}),
    ("spikingjelly", "ParametricLIFNode"): (read_spikingjelly, SPIKINGJELLY | {"w", "decay_input"}),
    ("spikingjelly", "ILIFNode"): (read_ilif, SPIKINGJELLY | {"tau", "decay_input"}),
    ("snn", "QBLIFNode"): (read_qblif, {"neuron", "v", "_memories", "_memories_rv", "_step_mode"}),
    ("snn", "QBLIFCell"): (read_qblif, {"neuron", "mem", "init_hidden", "output"}),
}
"""For every framework and class of neuron: its reader, and all its attributes. Those that no reader asks for do not
change the spikes."""


def neuron_form(module: nn.Module, tolerance: float = TOLERANCE) -> NeuronForm:
    """The integer form of a neuron.

    Args:
        module: a neuron of snnTorch, SpikingJelly or :mod:`snn.nodes`, as it is used in the forward pass; learned
            values are taken as they are. It starts at rest; its present state does not matter.
        tolerance: the largest error of a decay that is not a multiple of 2^-8.

    Raises:
        UserError: the integer form has no such neuron, or something about it is not known here.
    """
    kind = (type(module).__module__.partition(".")[0], type(module).__name__)
    if kind not in READERS:
        known = ", ".join(name for framework, name in READERS if framework == kind[0]) or "snntorch or spikingjelly"
        raise UserError(f"{' '.join(kind)} is not a neuron that can be converted; take one of {known}")
    read, attributes = READERS[kind]
    reader = Reader(module=module, label=" ".join(kind), tolerance=tolerance)
    reader.check_attributes(attributes)
    return read(reader)
