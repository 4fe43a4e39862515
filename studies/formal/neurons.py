"""Proofs about one neuron: it is the integer form, its counter saturates, its widths suffice."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from amaranth.hdl import Array, Const, Mux, Shape, Signal, Value, ValueLike, signed, unsigned

from hw.configure import configure
from hw.neurons.config import NeuronConfig, SkipConfig
from hw.neurons.core import NeuronCore
from qblif.network.bounds import layer_bounds
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Limits
from qblif.streams import BurstStream
from studies.formal.proof import Proof, Statement
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain

WIDE = 40
"""Bits in which nothing of these small networks can overflow."""


def network(**options: Any) -> Network:
    """One population behind twelve inputs."""
    return dense_chain(7, sizes=(12, 4, 3), **options)


SLOW = Leak(multiplier=7, shift=3)
NETWORKS = {
    "F 5, K 3, leak 1/2, soft": network(),
    "F 3, K 7, no leak, soft": network(fraction_bits=3, burst_ceiling=7, leak=(1, 0)),
    "F 8, K 5, leak 3/4, soft": network(fraction_bits=8, burst_ceiling=5, leak=(3, 2), weight_bits=6),
    "F 1, K 1, leak 1/2, hard": network(fraction_bits=1, burst_ceiling=1, reset="hard"),
    "F 4, K 2, forgetting, hard": network(fraction_bits=4, burst_ceiling=2, leak=(0, 1), reset="hard"),
    "F 6, K 3, leak 5/8, hard, 2-bit weights": network(fraction_bits=6, leak=(5, 3), reset="hard", weight_bits=2),
    "F 5, K 1, leak 1/2, soft, r 0": network(burst_ceiling=1, rounding=0),
    "F 4, K 3, leak 3/4, hard, r -1": network(fraction_bits=4, leak=(3, 2), reset="hard", rounding=-1),
    "F 4, K 3, leak 1/2, soft, r 15": network(fraction_bits=4, rounding=15),
    "F 4, K 3, leak 1/2, soft, V -20 to 9": network(fraction_bits=4, membrane_limits=(-20, 9)),
    "F 4, K 2, leak 3/4, hard, V -25 to 10": network(
        fraction_bits=4, burst_ceiling=2, leak=(3, 2), reset="hard", membrane_limits=(-25, 10)
    ),
    "F 4, K 1, leak 3/4, soft, J 7/8, r 0": network(burst_ceiling=1, leak=(3, 2), rounding=0, current_leak=SLOW),
    "F 3, K 3, leak 1/2, hard, J 7/8 -90 to 60": network(
        fraction_bits=3, reset="hard", current_leak=SLOW, current_limits=(-90, 60)
    ),
    "F 3, K 2, no leak, soft, J 7/8 -50 to 70, V 0 to 30, r -1": network(
        fraction_bits=3,
        burst_ceiling=2,
        leak=(1, 0),
        rounding=-1,
        current_leak=SLOW,
        current_limits=(-50, 70),
        membrane_limits=(0, 30),
    ),
}


def neurons(source: Network) -> NeuronConfig:
    """What the population's neuron bank is built from."""
    return configure(source, plan_for(source)).populations[0][1]


def with_skips(config: NeuronConfig) -> NeuronConfig:
    """The same with two identity skips, and two bits more for them."""
    stream = BurstStream(steps=1, beats=1, group=1, burst_bits=2)
    skips = tuple(
        SkipConfig(source="input", stream=stream, weight=weight, depth=2, memory="distributed") for weight in (-11, 37)
    )
    wider = {name: getattr(config, name) + 2 for name in ("current_bits", "potential_bits", "membrane_bits")}
    return dataclasses.replace(config, skips=skips, **wider)


SETTINGS = {name: neurons(source) for name, source in NETWORKS.items()}
SETTINGS["F 5, K 3, leak 1/2, soft, two skips"] = with_skips(SETTINGS["F 5, K 3, leak 1/2, soft"])
SOFT = {name: config for name, config in SETTINGS.items() if config.reset == "soft" and config.membrane_limits is None}
SYNAPTIC = {name: config for name, config in SETTINGS.items() if config.current_leak is not None}


def fits(value: Value, bits: int) -> Value:
    """Whether a signed register of ``bits`` holds ``value``."""
    return (value >= -(1 << bits - 1)) & (value < (1 << bits - 1))


def clamp(value: Value, ceiling: int) -> Value:
    """``min(max(value, 0), ceiling)``."""
    return Mux(value < 0, 0, Mux(value > ceiling, ceiling, value))


def limited(value: Value, limits: Limits | None) -> Value:
    """``value`` inside its limits."""
    return value if limits is None else Mux(value < limits[0], limits[0], Mux(value > limits[1], limits[1], value))


class IntegerForm:
    """A neuron core and, beside it, docs/design.md's integer form in wide numbers, a register behind each step.

    ``holds``: a neuron has come through, and its current and potential fit the registers of ``config`` (of which
    "widths suffice" is the proof). The claims here tie every register of the core to its step of the formula.
    """

    def __init__(self, s: Statement, config: NeuronConfig) -> None:
        self.core = core = NeuronCore(config)
        registers = s.add(core)
        s.free(core.advance, core.sum, core.first, core.membrane, core.constants, core.skips)
        if config.current_leak is not None:
            s.free(core.synaptic)
        wide = signed(WIDE)

        def step(value: ValueLike) -> Signal:
            return s.kept(value, core.advance)

        taken, first = step(core.sum), step(core.first)
        s.claim((registers["taken_sum"] == taken) & (registers["first_1"] == first))
        skipped: Value = Const(0)
        if config.skips:
            bursts = [core.skips[f"skip_{index}"] * skip.weight for index, skip in enumerate(config.skips)]
            skipped = step(s.name(sum(bursts), wide))
            s.claim(registers["skipped"] == skipped)
        exponent = core.constants.exponent if config.exponent_bits else Const(0)
        current, first = step(s.name((taken << exponent) + core.constants.bias + skipped, wide)), step(first)
        defined = fits(current, config.current_bits)
        s.claim((registers["first_2"] == first) & (~defined | (registers["current"] == current)))

        entering, before = current, core.membrane
        steps = 4
        if config.current_leak is not None:
            decayed = s.name((config.current_leak.multiplier * core.synaptic) >> config.current_leak.shift, wide)
            entering = step(s.name(Mux(first, 0, decayed) + current, wide))
            defined = step(defined) & fits(entering, config.summed_bits)
            s.claim(~defined | (registers["summed"] == entering))
            before, first = step(before), step(first)
            s.claim((registers["membrane_held_0"] == before) & (registers["first_held_0"] == first))
            steps += 1
            if config.current_limits is not None:
                entering = step(s.name(limited(entering, config.current_limits), wide))
                defined = step(defined) & fits(entering, config.synaptic_bits)
                s.claim(~defined | (registers["limited"] == entering))
                before, first = step(before), step(first)
                s.claim((registers["membrane_held_1"] == before) & (registers["first_held_1"] == first))
                steps += 1
            self.synaptic, sound = entering, defined
            for cycle in range(config.write_latency - steps + 2):
                self.synaptic, sound = step(self.synaptic), step(sound)
                s.claim(~sound | (registers[f"synaptic_held_{cycle}"] == self.synaptic))
            self.synaptic_holds = sound
        leaked = s.name((config.leak.multiplier * before) >> config.leak.shift, wide)
        potential = step(s.name(Mux(first, 0, leaked) + entering, wide))
        defined = step(defined) & fits(potential, config.potential_bits)
        s.claim(~defined | (registers["potential"] == potential))
        self.potential, defined = step(potential), step(defined)
        s.claim(~defined | (registers["settled"] == self.potential))

        rounded = s.name((self.potential + config.rounding) >> config.fraction_bits, wide)
        self.burst = clamp(rounded, config.burst_ceiling)
        after = self.potential - (self.burst << config.fraction_bits)
        self.membrane = s.name(after if config.reset == "soft" else Mux(self.burst > 0, 0, self.potential), wide)
        through: Value = Const(1, 1)
        for _ in range(steps):
            through = step(through)
        self.holds = through & defined
        s.claim(~self.holds | (core.burst == self.burst))
        self.stored = self.holds
        if config.membrane_limits is not None:
            inside = fits(self.membrane, WIDE - 1)
            self.membrane = step(s.name(limited(self.membrane, config.membrane_limits), wide))
            self.stored = step(self.holds & inside)


def burst(s: Statement, config: NeuronConfig) -> None:
    """The core's burst is that of the integer form."""
    form = IntegerForm(s, config)
    for count in {0, 1, config.burst_ceiling}:
        s.witness(form.holds & (form.core.burst == count))


def membrane(s: Statement, config: NeuronConfig) -> None:
    """The core's next membrane is that of the integer form, if it fits."""
    form = IntegerForm(s, config)
    stored = form.stored & fits(form.membrane, config.membrane_bits)
    s.claim(~stored | (form.core.next_membrane == form.membrane))
    s.witness(stored & (form.core.burst > 0))
    if config.membrane_limits is None or config.membrane_limits[0] < 0:
        s.witness(stored & (form.core.next_membrane < 0))


def synaptic(s: Statement, config: NeuronConfig) -> None:
    """The core's next synaptic current is that of the integer form."""
    form = IntegerForm(s, config)
    s.claim(~form.synaptic_holds | (form.core.next_synaptic == form.synaptic))
    s.witness(form.synaptic_holds & (form.core.next_synaptic < 0))


def soft_reset(s: Statement, config: NeuronConfig) -> None:
    """Burst and next membrane together are the potential."""
    form = IntegerForm(s, config)
    stored = form.holds & fits(form.membrane, config.membrane_bits)
    s.claim(~stored | (form.potential == form.core.next_membrane + (form.core.burst << config.fraction_bits)))
    s.witness(stored & (form.core.burst == config.burst_ceiling))


def ceiling(s: Statement, config: NeuronConfig) -> None:
    """Without any assumption: neither widths nor constants nor inputs need be those of a network."""
    form = IntegerForm(s, config)
    s.claim(form.core.burst <= config.burst_ceiling)
    s.witness(form.core.burst == config.burst_ceiling)


def saturation(s: Statement, config: NeuronConfig) -> None:
    """The burst is clamped at K and at 0 exactly where the potential says so."""
    form = IntegerForm(s, config)
    rounding, unit = config.rounding, 1 << config.fraction_bits
    full = form.potential >= config.burst_ceiling * unit - rounding
    s.claim(~form.holds | (full == (form.core.burst == config.burst_ceiling)))
    s.claim(~form.holds | ((form.potential < unit - rounding) == (form.core.burst == 0)))
    s.witness(form.holds & (form.core.burst == config.burst_ceiling))
    s.witness(form.holds & (form.potential < 0))


def standing_still(s: Statement, config: NeuronConfig) -> None:
    """The outputs of a stalled core do not change."""
    core = IntegerForm(s, config).core
    stopped = s.kept(~core.advance, 1)
    outputs = (core.burst, core.next_membrane)
    for output in outputs:
        s.claim(~stopped | (output == s.kept(output, 1)))
    s.witness(stopped & (core.burst > 0))


def widths(s: Statement, source: Network) -> None:
    """One neuron in a loop with its membrane over T timesteps; then it begins again, so T steps are all there is."""
    population = source.populations[0]
    config, bounds, wide = neurons(source), layer_bounds(source, population), signed(WIDE)
    channel = s.chosen(range(population.shape[0]), "channel")
    s.assume(channel < population.shape[0])
    total, state, charge = (Signal(wide, name=name) for name in ("sum", "membrane", "synaptic"))
    s.free(total)

    def own(values: Iterable[int], shape: Shape = wide) -> Value:
        return Array(Const(int(value), shape) for value in values)[channel]

    s.assume((total >= own(bounds.partial.low)) & (total <= own(bounds.partial.high)))
    current = s.name((total << own(population.exponent, unsigned(3))) + own(population.bias), wide)
    summed = entering = current
    if config.current_leak is not None:
        decayed = (config.current_leak.multiplier * charge) >> config.current_leak.shift
        summed = s.name(decayed + current, wide)
        entering = s.name(limited(summed, config.current_limits), wide)
    potential = s.name(((config.leak.multiplier * state) >> config.leak.shift) + entering, wide)
    fired = clamp((potential + config.rounding) >> config.fraction_bits, config.burst_ceiling)
    after = potential - (fired << config.fraction_bits) if config.reset == "soft" else Mux(fired > 0, 0, potential)
    after = limited(after, config.membrane_limits)
    step = Signal(range(source.timesteps))
    last = step == source.timesteps - 1
    s.module.d.sync += [state.eq(Mux(last, 0, after)), step.eq(Mux(last, 0, step + 1))]
    s.module.d.sync += charge.eq(Mux(last, 0, entering))
    s.claim(fits(summed, config.summed_bits) & fits(entering, config.synaptic_bits))
    s.claim(fits(total, config.accumulator_bits))
    s.claim(fits(current, config.current_bits))
    s.claim(fits(potential, config.potential_bits))
    s.claim(fits(s.name(after, wide), config.membrane_bits))
    s.witness(last & (potential > 0))
    s.witness(last & ~fits(potential, config.potential_bits - 1))


def at(settings: dict[str, Any], build: Callable[..., None]) -> dict[str, Callable[[Statement], None]]:
    """``build`` at every setting."""

    def built(setting: object) -> Callable[[Statement], None]:
        return lambda s: build(s, setting)

    return {name: built(setting) for name, setting in settings.items()}


PROOFS = [
    Proof(
        name="neuron core: burst",
        claim="n = clamp((M + r) >> F, 0, K) of M = ((a V) >> p) + (sum << e) + bias + skips, for all inputs",
        circuits=at(SETTINGS, burst),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: membrane",
        claim="V = M - n 2^F (soft reset), or 0 where n > 0 and M elsewhere (hard reset), inside its limits",
        circuits=at(SETTINGS, membrane),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: synaptic current",
        claim="J = ((a_s J) >> p_s) + (sum << e) + bias + skips, inside its limits, and it replaces the sum in M",
        circuits=at(SYNAPTIC, synaptic),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: soft reset",
        claim="M = V + n 2^F: nothing of the potential is lost",
        circuits=at(SOFT, soft_reset),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: ceiling",
        claim="no burst is larger than K, whatever the inputs",
        circuits=at(SETTINGS, ceiling),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: saturation",
        claim="the counter is at K just where M >= K 2^F - r, at 0 just where M < 2^F - r, and never wraps",
        circuits=at(SETTINGS, saturation),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="neuron core: standing still",
        claim="without advance burst and membrane stay as they are",
        circuits=at(SETTINGS, standing_still),
        unbounded=True,
        depth=2,
    ),
    Proof(
        name="widths suffice",
        claim="within the bounds of the interval analysis no sum, current, potential or membrane exceeds its register; "
        "all T timesteps of any inference",
        circuits=at(NETWORKS, widths),
        unbounded=False,
        depth=4,
    ),
]
