"""Neurons of NIR graphs: their equations in steps of dt.

NIR gives differential equations, and leaves open how they are stepped. With beta the decay of the membrane v, alpha
that of the synaptic current J, and I what arrives::

    LIF      v = beta * v + (1 - beta) * (v_leak + r * I)
    CubaLIF  J = alpha * J + (1 - alpha) * w_in * I,  then the LIF's with J for I
    IF, I    v = v + r * I, or v + r * dt * I

Euler's rule makes ``1 - beta = dt / tau``, the exponential rule ``beta = exp(-dt / tau)``.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn.convert.graph import Affine, Integrator, Neurons, Node
from snn.convert.neurons import TOLERANCE, NeuronForm, Reader
from snn.convert.nir.wiring import Item

Rule = Literal["euler", "exponential"]
FINEST = 256
"""Decays are taken as multiples of 1/256 where float32 could not tell them from one."""
SAME_DECAY, SAME_GAIN = 1e-7, 2.0**-22
ROUND = 1e-6
"""How near a decay is to three decimals, or to a multiple of 1/256, to be called round."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How equations become steps; every choice is one that a file does not make.

    Attributes:
        dt: seconds of a timestep; None if no node needs it.
        reset: ``"soft"``: a spike takes the threshold away. ``"hard"``: it sets the membrane to v_reset.
        rule: how dt and a time constant make a decay.
        tolerance: the largest error of a decay that is not a multiple of 2^-8.
        firing: ``"reached"``: at the threshold. ``"exceeded"``: only above it.
        integration: what IF and I add: ``"per step"``: r * I. ``"per second"``: r * dt * I.
        notes: what the user should know; nodes add theirs.
    """

    dt: float | None
    reset: Literal["soft", "hard"]
    rule: Rule = "euler"
    tolerance: float = TOLERANCE
    firing: Literal["reached", "exceeded"] = "reached"
    integration: Literal["per step", "per second"] = "per step"
    notes: list[str] = field(default_factory=list)

    def share(self, tau: float, rule: Rule) -> float:
        """1 - beta."""
        assert self.dt is not None
        return self.dt / tau if rule == "euler" else -math.expm1(-self.dt / tau)


@dataclass(frozen=True, kw_only=True)
class Leaking:
    """A decay ``beta``, and ``share``, 1 - beta before beta was taken as a near multiple of 1/256."""

    beta: float
    share: float


def per_channel(item: Item, name: str, shape: tuple[int, ...]) -> Floats:
    """An attribute as (channels,) values, or (1,) where all are equal.

    Raises:
        UserError: its shape is neither that of the neurons nor one value, or it differs within a channel.
    """
    values = item.numbers(name)
    if values.size == 1:
        return values.reshape(1)
    item.require(
        values.shape == shape,
        f"{name} has shape {values.shape}, and what arrives has {shape}; make them the same",
    )
    values = values.reshape(shape[0], -1)
    alike = bool((values == values[:, :1]).all())
    item.require(alike, f"{name} differs between the neurons of a channel; set it to one value for each channel")
    return values[:1, 0] if bool((values == values[0, 0]).all()) else values[:, 0]


def leaking(item: Item, name: str, shape: tuple[int, ...], steps: Steps) -> Leaking:
    """The decay that a time constant makes; raises UserError."""
    taus = per_channel(item, name, shape)
    item.require(len(taus) == 1, f"{name} differs between channels, which is not supported; set it to one value")
    tau = float(taus[0])
    item.require(tau > 0, f"{name} is {tau:g}, not above 0; repair the file")
    item.require(steps.dt is not None, f"{name} needs the length of a timestep; give --dt SECONDS")
    share = steps.share(tau, steps.rule)
    short = f"{name} {tau:g} is shorter than dt {steps.dt:g}, so Euler's rule makes the decay {1 - share:g}"
    item.require(share <= 1 + SAME_DECAY, f"{short}; take a smaller --dt or --rule exponential")
    other: Rule = "exponential" if steps.rule == "euler" else "euler"
    elsewhere = 1 - steps.share(tau, other)
    if is_round(elsewhere) and not is_round(1 - share):
        hint = f"the {other} rule would make it {elsewhere:.6g}, which is rounder and perhaps what the exporter meant"
        steps.notes.append(f"{item.label}: {name} makes the decay {1 - share:.6g}; {hint}")
    multiple = round((1 - share) * FINEST)
    snapped = multiple < FINEST and abs(multiple / FINEST - (1 - share)) < SAME_DECAY
    return Leaking(beta=multiple / FINEST if snapped else 1 - share, share=share)


def is_round(decay: float) -> bool:
    """Whether somebody may have chosen this number as a decay."""
    return 0 <= decay < 1 and any(abs(decay * unit - round(decay * unit)) < ROUND * unit for unit in (1000, FINEST))


def nearly_one(gain: Floats) -> Floats:
    """The gain, or 1 where float32 could not tell it from 1."""
    return np.where(np.abs(gain - 1) < SAME_GAIN, 1.0, gain)


def values_of(values: Floats, channels: int) -> Tensor:
    """Values of all channels, (channels,)."""
    return torch.from_numpy(np.broadcast_to(values, (channels,)).copy())


def amplified(item: Item, gain: Floats, sources: tuple[str, ...]) -> tuple[list[Node], float, tuple[str, ...]]:
    """A gain that differs between channels as a node in front of the neurons; the gain of the neurons themselves, and
    what they then read."""
    if len(gain) == 1:
        return [], float(gain[0]), sources
    name = f"{item.name}.gain"
    scale = Affine(name=name, sources=sources, scale=torch.from_numpy(gain.copy()), shift=torch.zeros(1).double())
    return [scale], 1.0, (name,)


def step_gain(item: Item, shape: tuple[int, ...], steps: Steps) -> Floats:
    """What IF and I multiply their current by; raises UserError."""
    gain = per_channel(item, "r", shape)
    if steps.integration == "per second":
        item.require(steps.dt is not None, "adding r * dt * I needs the length of a timestep; give --dt SECONDS")
        return nearly_one(gain * (steps.dt or 1.0))
    if steps.dt is not None and (gain > 1).all() and (nearly_one(gain * steps.dt) == 1).all():
        meant = "some exporters mean that a timestep adds r * dt times its current; --integration 'per second' does"
        steps.notes.append(f"{item.label}: r is {gain[0]:g}, which is 1 / dt; {meant}")
    return nearly_one(gain)


def population(item: Item, sources: tuple[str, ...], shape: tuple[int, ...], steps: Steps) -> list[Node]:
    """The nodes that a population of NIR becomes; its own name is that of the last. Raises UserError."""
    current: Leaking | None = None
    membrane = Leaking(beta=1.0, share=0.0)
    rest = np.zeros(1)
    if item.kind == "Threshold":
        gain, name, membrane = np.ones(1), "threshold", Leaking(beta=0.0, share=1.0)
    elif item.kind == "IF":
        gain, name = step_gain(item, shape, steps), "v_threshold"
    else:
        name, rest = "v_threshold", per_channel(item, "v_leak", shape)
        membrane = leaking(item, "tau" if item.kind == "LIF" else "tau_mem", shape, steps)
        gain = per_channel(item, "r", shape) * membrane.share
        if item.kind == "CubaLIF":
            current = leaking(item, "tau_syn", shape, steps)
            gain = gain * per_channel(item, "w_in", shape) * current.share
        gain = nearly_one(gain)
    thresholds = per_channel(item, name, shape)
    lowest = np.zeros(1) if item.kind == "Threshold" else lowest_membrane(item, shape, rest, steps)
    bias = np.where(rest == lowest, 0.0, (rest - lowest) * membrane.share)
    if current is not None:
        constant = "v_leak would reach the membrane without the synaptic current, which the integer form does not"
        item.require(not bias.any(), f"{constant} contain; set v_leak to 0, or with --reset hard to v_reset")
    thresholds = thresholds - lowest
    above = "the value that it resets to" if lowest.any() else "0"
    item.require(bool((thresholds > 0).all()), f"{name} is not above {above}; raise it")
    front, own_gain, sources = amplified(item, gain, sources)
    reader = Reader(module=nn.Module(), label=item.label, tolerance=steps.tolerance)
    form = NeuronForm(
        scale=float(thresholds[0]) if len(thresholds) == 1 else 1.0,
        gain=own_gain,
        firing=steps.firing,
        reset=steps.reset,
        decay=reader.decay(membrane.beta, "tau" if item.kind == "LIF" else "tau_mem"),
        current_decay=None if current is None else reader.decay(current.beta, "tau_syn"),
    )
    neurons = Neurons(
        name=item.name,
        sources=sources,
        form=form,
        thresholds=None if len(thresholds) == 1 else torch.from_numpy(thresholds.copy()),
        bias=values_of(bias, shape[0]) if bias.any() else None,
    )
    return [*front, neurons]


def lowest_membrane(item: Item, shape: tuple[int, ...], rest: Floats, steps: Steps) -> Floats:
    """The membrane that counts as 0: where a hard reset sends it. Raises UserError."""
    reset = per_channel(item, "v_reset", shape)
    if steps.reset == "soft":
        lost = "v_reset is not 0, but a soft reset only takes the threshold away; take --reset hard"
        item.require(not reset.any(), lost)
        return np.zeros(1)
    same = item.kind == "IF" or bool((reset == rest).all())
    item.require(
        same or not reset.any(), "v_reset is neither 0 nor v_leak, which the integer form does not contain; change it"
    )
    if reset.any():
        steps.notes.append(f"{item.label}: its membranes start at v_reset, not at 0")
    return reset


def integrator(item: Item, sources: tuple[str, ...], shape: tuple[int, ...], steps: Steps) -> list[Node]:
    """The nodes that LI, CubaLI or I becomes; its own name is that of the last. Raises UserError."""
    beta, bias = 1.0, np.zeros(1)
    if item.kind == "I":
        gain = step_gain(item, shape, steps)
    else:
        membrane = leaking(item, "tau" if item.kind == "LI" else "tau_mem", shape, steps)
        beta = membrane.beta
        gain = per_channel(item, "r", shape) * membrane.share
        bias = per_channel(item, "v_leak", shape) * membrane.share
        if item.kind == "CubaLI":
            current = leaking(item, "tau_syn", shape, steps)
            item.require(
                current.beta == 0,
                f"the synaptic current of a readout keeps {current.beta:g} of itself, and the integer form has none "
                "there; make tau_syn equal to dt with --rule euler, or take LI",
            )
            gain = gain * per_channel(item, "w_in", shape) * current.share
        gain = nearly_one(gain)
    front, own_gain, sources = amplified(item, gain, sources)
    constant = values_of(bias, shape[0]) if bias.any() else None
    return [*front, Integrator(name=item.name, sources=sources, gain=own_gain, beta=beta, bias=constant)]
