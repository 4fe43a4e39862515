"""Proofs about what components compute, each for whatever inputs, pauses and stalls the solver can think of."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Array, Const, Mux, Signal, Value, signed, unsigned

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.queued import QueuedScanner
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import SynapseArray
from hw.neurons.bank import NeuronBank
from hw.neurons.config import NeuronConfig
from hw.stages.pooling import PoolingStage, PoolingUnit
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveField
from qblif.network.bounds import layer_bounds
from studies.formal.components import IMAGE, NETWORK, NEURONS, pooling, scanned, window
from studies.formal.proof import Proof, Statement

WIDE = signed(24)


def entry(values: Iterable[int], index: Value) -> Value:
    """``values[index]``; indices beyond the last give the last."""
    return Array(Const(int(value), signed(8)) for value in values)[index]


def total(values: Sequence[Value]) -> Value:
    """Their sum."""
    return sum(values, start=Const(0))


def scanned_planes(s: Statement, config: ProjectionConfig) -> None:
    """Of every row and plane: the events of a sum hold it once where its burst has that bit, else never."""
    source = config.window.source
    scanner = QueuedScanner(config) if config.queued else EventScanner(config)
    s.add(scanner)
    bursts, events = scanner.bursts, scanner.events
    s.free(bursts.valid, bursts.payload, events.ready)
    channels = source.group * source.beats
    channel, plane = s.chosen(range(channels), "channel"), s.chosen(range(source.burst_bits), "plane")
    came, closed = bursts.valid & bursts.ready, events.valid & events.ready & events.payload.last
    beat, sums_came, sums_left = (Signal(2, name=name) for name in ("beat", "sums_came", "sums_left"))
    with s.module.If(came):
        s.module.d.sync += beat.eq(Mux(beat == source.beats - 1, 0, beat + 1))
    s.module.d.sync += [
        sums_came.eq(sums_came + (came & (beat == source.beats - 1))),
        sums_left.eq(sums_left + closed),
    ]
    # A sum may arrive while the one before it is still being scanned: two places for what is expected; with queues
    # while two others are.
    places = 4 if config.queued else 2
    own = came & (beat == channel // source.group)
    bit = Array(Value.cast(count) for count in bursts.payload)[channel % source.group].bit_select(plane, 1)
    expected = [s.kept(bit, own & (sums_came % places == place)) for place in range(places)]
    hits = total(
        [
            event.spike
            & (event.row == channel // config.banks)
            & (event.plane == plane)
            & (channel % config.banks == bank)
            for bank, event in enumerate(events.payload.banks)
        ]
    )
    given = events.valid & events.ready
    seen = Signal(3)
    s.module.d.sync += seen.eq(Mux(closed, 0, seen + Mux(given, hits, 0)))
    s.claim(~given | (seen + hits <= 1))
    s.claim(~closed | (seen + hits == Array(expected)[sums_left % places]))
    s.claim(~closed | (sums_came != sums_left))
    s.witness(closed & (seen + hits == 1) & (sums_left == 1))


def accumulated(s: Statement, config: ProjectionConfig, *, stalls: bool) -> None:
    """Events in any order, each row and plane at most once a sum: lanes hold their plain sum and never overflow."""
    array = SynapseArray(config)
    registers = s.add(array)
    events, sums = array.events, array.sums
    s.free(events.valid, events.payload, sums.ready)
    if not stalls:
        s.assume(sums.ready)
    moving = events.ready
    planes, rows = config.window.source.burst_bits, config.rows
    low = [int(np.minimum(row, 0).sum()) * (2**planes - 1) for row in config.ordered_weights]
    high = [int(np.maximum(row, 0).sum()) * (2**planes - 1) for row in config.ordered_weights]

    took = Signal(config.banks * rows * planes)
    place = []
    for bank, event in enumerate(events.payload.banks):
        s.assume(event.row < rows)
        s.assume(event.plane < planes)
        index = s.name((bank * rows + event.row) * planes + event.plane, unsigned(6))
        s.assume(~(events.valid & event.spike) | ~took.bit_select(index, 1))
        place.append(Mux(events.valid & event.spike, Const(1, len(took)) << index, 0))
    taken = s.name(total(place), len(took))
    # What the lanes should hold is delayed as the events are: memory, weight register and, with banks, their adders.
    delay = 2 if config.banks == 1 else 3
    s.claim(registers["open"] == ~registers[f"closing_{delay - 1}"])
    with s.module.If(moving):
        s.module.d.sync += took.eq(Mux(events.valid & events.payload.last, 0, took | taken))
    included, before = s.name(took | taken, len(took)), took
    for _ in range(delay):
        included, before = s.kept(included, moving), s.kept(before, moving)
    for lane in range(config.lanes):
        weights = [
            int(config.ordered_weights[lane, row * config.banks + bank]) << plane
            for bank in range(config.banks)
            for row in range(rows)
            for plane in range(planes)
        ]

        def of(bits: Signal, weights: list[int] = weights) -> Signal:
            return s.name(total([Mux(bits[i], Const(weight), 0) for i, weight in enumerate(weights)]), WIDE)

        wanted = of(included)
        s.claim(registers[f"accumulator_{lane}"] == of(before))
        s.claim((wanted >= low[lane]) & (wanted <= high[lane]))
        s.claim(~sums.valid | (sums.payload[lane] == wanted))
        s.witness(sums.valid & (wanted == low[lane]))
        s.witness(sums.valid & (wanted == high[lane]))


def image_bits(s: Statement, arriving: Any, images: int = 2) -> tuple[list[list[Signal]], Signal]:
    """Every position of the images that arrive, as it came, and how many positions have come."""
    positions = IMAGE.height * IMAGE.width
    taken = arriving.valid & arriving.ready
    came = s.count(taken)
    value = Value.cast(arriving.payload)
    return [
        [s.kept(value, taken & (came == image * positions + place)) for place in range(positions)]
        for image in range(images)
    ], came


def windows(config: WindowConfig) -> list[int]:
    """For every beat of one image the position that is read, -1 in the padding: the definition of a convolution."""
    height, width = config.source.height, config.source.width
    rows, columns = config.window.rows, config.window.columns
    places = []
    for y in range(config.height):
        for x in range(config.width):
            for _ in range(config.folds):
                for row, column in np.ndindex(rows.kernel, columns.kernel):
                    at = (
                        y * rows.stride - rows.padding + row * rows.dilation,
                        x * columns.stride - columns.padding + column * columns.dilation,
                    )
                    inside = 0 <= at[0] < height and 0 <= at[1] < width
                    places.append(at[0] * width + at[1] if inside else -1)
    return places


def read_windows(s: Statement, config: WindowConfig) -> None:
    """Whichever beat of the first two images' windows the solver picks: it is the position that belongs there."""
    field = ReceptiveField(config)
    s.add(field)
    s.free(field.arriving.valid, field.arriving.payload, field.leaving.ready)
    positions = config.source.height * config.source.width
    sequence = [place if place < 0 else image * positions + place for image in range(2) for place in windows(config)]
    picked = s.chosen(range(len(sequence)), "picked")
    s.assume(picked < len(sequence))
    place = entry(sequence, picked)
    taken = field.arriving.valid & field.arriving.ready
    came, left = s.count(taken), s.count(field.leaving.valid & field.leaving.ready)
    s.assume(left < 60)
    value = s.kept(Value.cast(field.arriving.payload), taken & (came.as_signed() == place))
    now = field.leaving.valid & (left == picked)
    s.claim(~now | (Value.cast(field.leaving.payload) == Mux(place < 0, 0, value)))
    s.claim(~now | (came.as_signed() > place))
    s.witness(now & (picked == 4))


def pooled(s: Statement, config: PoolingStage) -> None:
    """The result of each of two images' one whole window."""
    stage = PoolingUnit(config)
    s.add(stage)
    s.free(stage.arriving.valid, stage.arriving.payload, stage.leaving.ready)
    images, came = image_bits(s, stage.arriving)
    left = s.count(stage.leaving.valid & stage.leaving.ready, 2)
    inside = [0, 1, IMAGE.width, IMAGE.width + 1]
    results = [total([image[place] for place in inside]) for image in images]
    if config.kind == "max":
        results = [result > 0 for result in results]
    wanted = s.name(Mux(left == 0, results[0], results[1]), 3)
    s.claim(~stage.leaving.valid | (left < 2))
    s.claim(~stage.leaving.valid | (Value.cast(stage.leaving.payload) == wanted))
    s.claim(~stage.leaving.valid | (came > left * IMAGE.height * IMAGE.width + inside[-1]))
    s.assume(came <= 2 * IMAGE.height * IMAGE.width)
    s.witness(stage.leaving.valid & (wanted == 1))


def fired(s: Statement, config: NeuronConfig) -> None:
    """One neuron over its timesteps, inference after inference: the bank never mixes it up with another or forgets."""
    bank = NeuronBank(config)
    s.add(bank)
    s.free(bank.currents.valid, bank.currents.payload, bank.bursts.ready)
    neuron = s.chosen(range(config.lanes), "neuron")
    taken = bank.currents.valid & bank.currents.ready
    came = s.count(taken)
    step = s.name((came >> 1) % config.timesteps, 2)
    own = taken & (came[0] == neuron)
    sums = bank.currents.payload[0]
    partial = layer_bounds(NETWORK, NETWORK.populations[0]).partial
    s.assume((sums >= entry(partial.low, neuron)) & (sums <= entry(partial.high, neuron)))
    state = Signal(WIDE)
    constant, exponent = entry(config.bias, neuron), entry(config.exponent, neuron).as_unsigned()
    leaked = s.name((config.leak.multiplier * state) >> config.leak.shift, WIDE)
    potential = s.name(Mux(step == 0, 0, leaked) + (sums << exponent[:3]) + constant, WIDE)
    rounded = s.name((potential + config.rounding) >> config.fraction_bits, WIDE)
    count = s.name(Mux(rounded < 0, 0, Mux(rounded > config.burst_ceiling, config.burst_ceiling, rounded)), 3)
    with s.module.If(own):
        s.module.d.sync += state.eq(potential - (count << config.fraction_bits))
    steps = s.count(own)
    expected = [s.kept(count, own & (steps == number)) for number in range(6)]
    left = s.count(bank.bursts.valid & bank.bursts.ready)
    s.assume(steps <= 6)
    sent = Array(Value.cast(value) for value in bank.bursts.payload)[neuron]
    s.claim(~bank.bursts.valid | (sent == Array(expected)[left]))
    s.claim(~bank.bursts.valid | (left < came >> 1))
    s.witness(bank.bursts.valid & (left == 2) & (sent == 1))


PROOFS = [
    Proof(
        name="event scanner: every plane once",
        claim="the events of a sum are the set bit-planes of its bursts, each once, at the right row",
        circuits={
            "one bank": lambda s: scanned_planes(s, scanned(1)),
            "two banks": lambda s: scanned_planes(s, scanned(2)),
            "two banks with queues": lambda s: scanned_planes(s, scanned(2, queued=True)),
        },
        unbounded=False,
        depth=16,
        reach=20,
    ),
    Proof(
        name="synapse array: sums and bounds",
        claim="each lane gives the plain sum of w << k, events in any order, and no partial sum leaves the bounds",
        circuits={
            "one bank": lambda s: accumulated(s, scanned(1), stalls=False),
            "two banks": lambda s: accumulated(s, scanned(2), stalls=False),
        },
        unbounded=True,
        depth=5,
        reach=16,
    ),
    Proof(
        name="synapse array: under stalls",
        claim="the same while sums have to wait",
        circuits={
            "one bank": lambda s: accumulated(s, scanned(1), stalls=True),
            "two banks": lambda s: accumulated(s, scanned(2), stalls=True),
        },
        unbounded=False,
        depth=12,
        reach=16,
    ),
    Proof(
        name="receptive field: windows",
        claim="every window of a convolution in order, zeros in the padding, no position before it has arrived",
        circuits={
            "2 x 2": lambda s: read_windows(s, window(2, 1, 0)),
            "2 x 2, padding 1": lambda s: read_windows(s, window(2, 1, 1)),
            "3 x 3, stride 2, padding 1": lambda s: read_windows(s, window(3, 2, 1)),
            "2 x 2, dilation 2, padding 1": lambda s: read_windows(s, window(2, 1, 1, dilation=2)),
        },
        unbounded=False,
        depth=18,
        reach=18,
    ),
    Proof(
        name="pooling: results",
        claim="sum or maximum of each whole window, rows and columns that fill none dropped",
        circuits={"sum": lambda s: pooled(s, pooling("sum")), "max": lambda s: pooled(s, pooling("max"))},
        unbounded=False,
        depth=36,
        reach=36,
    ),
    Proof(
        name="neuron bank: membranes",
        claim="every neuron's bursts are the integer form's over its own timesteps, whatever waits in between",
        circuits={"": lambda s: fired(s, NEURONS)},
        unbounded=False,
        depth=17,
        reach=22,
    ),
]
