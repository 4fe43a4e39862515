"""Proofs about window engines and unrolled neurons, for whatever bursts, pauses and stalls the solver can think of."""

import dataclasses

import numpy as np
from amaranth.hdl import Array, Mux, Value

from hw.engines.window.engine import WindowEngine, WindowProjection
from hw.engines.window.sliding import SlidingWindow
from hw.neurons.config import NeuronConfig
from hw.neurons.unrolled import UnrolledBank
from hw.windows.config import WindowConfig
from qblif.network.bounds import layer_bounds
from qblif.network.window import make_window
from studies.formal.components import BEATS, IMAGE, NETWORK, UNROLLED, passing
from studies.formal.layers import WIDE, entry, total, windows
from studies.formal.proof import Proof, Statement
from studies.small_configs import constants

POINTS = dataclasses.replace(BEATS, beats=1, height=1, width=2)
PLANES = constants(
    POINTS, np.array([[-8, 7], [3, -1], [2, 5]]).reshape(3, 2, 1, 1), make_window(1, name="window"), folds=2
)
"""Two positions of two channels, one bit-plane at a time, three neurons in two folds."""


def sliding(kernel: int, stride: int, padding: int, dilation: int = 1) -> WindowEngine:
    """Windows over a narrow image."""
    source = dataclasses.replace(IMAGE, width=2)
    window = make_window(kernel, stride, padding, dilation, name="window")
    return constants(source, np.ones((1, 1, kernel, kernel), dtype=np.int64), window)


def window_config(config: WindowEngine) -> WindowConfig:
    """The same windows as a receptive field has them."""
    return WindowConfig(source=config.arriving, window=config.window, folds=1, rows_kept=0, memory="block")


def summed(s: Statement, config: WindowEngine) -> None:
    """Every sum is that of the bursts that came for it, in every lane."""
    engine = WindowProjection(config)
    s.add(engine)
    bursts, currents = engine.bursts, engine.currents
    s.free(bursts.valid, bursts.payload, currents.ready)
    source = config.arriving
    beats = source.beats
    came = s.count(bursts.valid & bursts.ready)
    left = s.count(currents.valid & currents.ready)
    s.assume(came <= 4)
    taken = [
        [s.kept(Value.cast(one), bursts.valid & bursts.ready & (came == beat)) for one in bursts.payload]
        for beat in range(4)
    ]
    weights = np.zeros((config.folds * config.lanes, beats * source.group), dtype=np.int64)
    weights[: len(config.weights)] = config.weights.reshape(len(config.weights), -1)
    for lane in range(config.lanes):
        wanted = []
        for first in range(0, 4, beats):
            seen = [one for beat in taken[first : first + beats] for one in beat]
            for fold in range(config.folds):
                row = weights[fold * config.lanes + lane].tolist()
                wanted.append(s.name(total([one * weight for one, weight in zip(seen, row, strict=True)]), WIDE))
        s.claim(~currents.valid | (currents.payload[lane] == Array(wanted)[left]))
        s.witness(currents.valid & (left == len(wanted) - 1))
    s.claim(~currents.valid | (left < (came // beats) * config.folds))


def slid(s: Statement, config: WindowEngine) -> None:
    """Whichever place of the first two images' windows the solver picks holds the position that belongs there."""
    sliding = SlidingWindow(config)
    s.add(sliding)
    arriving, slices = sliding.arriving, sliding.slices
    s.free(arriving.valid, arriving.payload, slices.ready)
    source, area = config.arriving, config.window.area
    positions = source.height * source.width
    places = windows(window_config(config))
    sequence = [place if place < 0 else image * positions + place for image in range(2) for place in places]
    count = len(sequence) // area
    picked, part = s.chosen(range(count), "picked"), s.chosen(range(area), "part")
    s.assume(picked < count)
    s.assume(part < area)
    place = entry(sequence, s.name(picked * area + part, 8))
    taken = arriving.valid & arriving.ready
    came, left = s.count(taken), s.count(slices.valid & slices.ready)
    value = s.kept(Value.cast(arriving.payload), taken & (came.as_signed() == place))
    now = slices.valid & (left == picked)
    s.claim(~now | (slices.payload.bits.bit_select(part, 1) == Mux(place < 0, 0, value)))
    s.claim(~now | (came.as_signed() > place))
    s.witness(now & (picked == 3))


def unrolled(s: Statement, config: NeuronConfig) -> None:
    """One neuron over its timesteps, inference after inference, in the beats that its timesteps share."""
    bank = UnrolledBank(config)
    s.add(bank)
    s.free(bank.currents.valid, bank.currents.payload, bank.bursts.ready)
    neuron = s.chosen(range(config.lanes), "neuron")
    taken = bank.currents.valid & bank.currents.ready
    came = s.count(taken)
    own = taken & (came[0] == neuron)
    sums = bank.currents.payload[0]
    partial = layer_bounds(NETWORK, NETWORK.populations[0]).partial
    s.assume((sums >= entry(partial.low, neuron)) & (sums <= entry(partial.high, neuron)))
    constant, exponent = entry(config.bias, neuron), entry(config.exponent, neuron).as_unsigned()
    state, fired = None, []
    for _ in range(config.timesteps):
        leaked = 0 if state is None else (config.leak.multiplier * state) >> config.leak.shift
        potential = s.name(leaked + (sums << exponent[:3]) + constant, WIDE)
        rounded = s.name((potential + config.rounding) >> config.fraction_bits, WIDE)
        count = s.name(Mux(rounded < 0, 0, Mux(rounded > config.burst_ceiling, config.burst_ceiling, rounded)), 3)
        state = s.name(potential - (count << config.fraction_bits), WIDE)
        fired.append(count)
    seen = s.count(own)
    s.assume(seen <= 3)
    expected = [[s.kept(count, own & (seen == number)) for count in fired] for number in range(3)]
    left = s.count(bank.bursts.valid & bank.bursts.ready)
    mine = bank.bursts.valid & (left[0] == neuron)
    for step in range(config.timesteps):
        wanted = Array([one[step] for one in expected])[left >> 1]
        s.claim(~mine | (Value.cast(bank.bursts.payload[step]) == wanted))
        s.witness(mine & (left >> 1 == 1) & (wanted == 1))
    s.claim(~bank.bursts.valid | (left < came))


PROOFS = [
    Proof(
        name="window engine: sums",
        claim="every sum is that of its own bursts, beat by beat or bit-plane by bit-plane, also under stalls",
        circuits={"beats": lambda s: summed(s, passing()), "bit-planes, two folds": lambda s: summed(s, PLANES)},
        unbounded=False,
        depth=18,
        reach=24,
    ),
    Proof(
        name="sliding window: windows",
        claim="every window of a convolution in order, zeros in the padding, no position before it has arrived",
        circuits={
            "2 x 2": lambda s: slid(s, sliding(2, 1, 0)),
            "2 x 2, padding 1": lambda s: slid(s, sliding(2, 1, 1)),
            "3 x 3, stride 2, padding 1": lambda s: slid(s, sliding(3, 2, 1)),
            "2 x 2, dilation 2, padding 1": lambda s: slid(s, sliding(2, 1, 1, dilation=2)),
        },
        unbounded=False,
        depth=22,
        reach=26,
    ),
    Proof(
        name="unrolled bank: timesteps",
        claim="every neuron's bursts are the integer form's over its own timesteps, whatever waits in between",
        circuits={"": lambda s: unrolled(s, UNROLLED)},
        unbounded=False,
        depth=16,
        reach=20,
    ),
]
