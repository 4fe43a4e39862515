"""Random integer networks and plans for tests."""

import dataclasses
import math
from typing import Any

import numpy as np

from boards.catalogue import find_board
from gen.planning.plans import make_plan
from hw.configure import input_stream
from hw.divisors import divisors
from hw.engines.event.engine import EventEngine
from hw.plan import Plan
from hw.schedule import Schedule
from hw.stages.population import PopulationStage
from hw.stages.readout import ReadoutStage
from hw.stages.readout_unit import ReadoutConfig, logits_of, result_layout
from hw.stages.stage import Stage
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip
from studies.network_builder import NetworkBuilder
from studies.plan_edits import altered


def population_at(network: Network, place: int) -> Population:
    """The population at that place among the nodes of a network."""
    node = network.nodes[place]
    assert isinstance(node, Population)
    return node


def weighted_at(network: Network, place: int) -> Dense | Conv2d:
    """The projection with weights at that place among the projections of a network."""
    projection = network.projections[place]
    assert not isinstance(projection, Skip)
    return projection


def engine_of(stage: Stage) -> EventEngine:
    """The engine of a layer; of several the one that the others wait for."""
    assert isinstance(stage, PopulationStage | ReadoutStage)
    assert isinstance(stage.engine, EventEngine)
    return stage.engine


def population_stage(stage: Stage) -> PopulationStage:
    """A stage that is one of a population."""
    assert isinstance(stage, PopulationStage)
    return stage


def random_plan(network: Network, seed: int, schedule: Schedule | None = None) -> Plan:
    """A plan that the planner would hardly make: lanes, cores, groups, banks and memories drawn at random."""
    random = np.random.default_rng(seed)

    def divisor(number: int, multiple_of: int = 1) -> int:
        found = [d for d in range(1, number + 1) if number % d == 0 and d % multiple_of == 0]
        return int(found[random.integers(len(found))])

    planned = make_plan(network, find_board("arty_a7"), 100.0, "0" * 64, {}, schedule=schedule)
    skips = {p.target: network.origin(p.source) for p in network.projections if isinstance(p, Skip)}
    widths = input_stream(network, 1).channels
    groups: dict[str, int] = {"input": divisor(widths)}
    lanes: dict[str, int] = {}
    layers = []
    for layer in planned.stages:
        target = next((target for target in network.targets if target.name == layer.name), None)
        if target is None:
            layers.append(layer)
            continue
        weighted = network.weighted_projections(target.name)
        sources = [network.origin(one.source) for one in weighted if not one.recurrent]
        count = int(random.integers(1, target.shape[0] + 1))
        cores, group = 1, 1
        if target.name in skips:
            count = lanes[skips[target.name]]
            cores = divisor(groups[skips[target.name]])
        if target.name != "readout":
            cores = cores if target.name in skips else divisor(count)
            group = divisor(count, cores)
        lanes[target.name], groups[target.name] = count, group
        folds = math.ceil(target.shape[0] / count)
        styles = {field: ("block", "distributed")[random.integers(2)] for field in ("field_memory", "membrane_memory")}
        weights, constants = (("block", "logic")[random.integers(2)] for _ in range(2))
        together = math.gcd(count, target.shape[0]) if planned.schedule == "position_major" else 1
        layers.append(
            altered(
                layer,
                lanes=count,
                folds=folds,
                cores=cores,
                group=group,
                banks=1 if len(sources) < len(weighted) else divisor(math.gcd(*(groups[one] for one in sources))),
                weight_memory=weights,
                constants_memory=constants,
                skip_memory=styles["field_memory"],
                state_memory=styles["membrane_memory"],
                # Drawn apart from the rest, which stays what it was before results had several classes per beat.
                classes_per_beat=int(np.random.default_rng(seed).choice(divisors(together))),
                **styles,
            )
        )
    return dataclasses.replace(planned, input_group=groups["input"], stages=tuple(layers))


def logits_in(words: list[int], readout: ReadoutConfig) -> list[int]:
    """The logits in beats of results."""
    shape = result_layout(readout)
    return [int(logit) for word in words for logit in logits_of(shape.from_bits(word))]


def random_bursts(network: Network, count: int, seed: int = 0, density: float = 0.5) -> np.ndarray:
    """Input bursts (count, steps, C, H, W), the given share of them not 0."""
    random = np.random.default_rng(seed)
    shape = (count, network.steps("input"), *network.input.shape)
    bursts = random.integers(0, network.input.burst_ceiling + 1, shape)
    return np.where(random.random(shape) < density, bursts, 0)


class Draw:
    """Random choices, and the builder of a network that is made of them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def pick(self, *options):
        """One of some values."""
        return options[self.random.integers(len(options))]

    def whole(self, least: int, below: int) -> int:
        """A whole number."""
        return int(self.random.integers(least, below))

    def chance(self, share: float) -> bool:
        """True in that share of all cases."""
        return bool(self.random.random() < share)

    def constants(self, count: int) -> dict:
        """Bias and exponent of every channel."""
        bias = self.random.integers(-30, 50, count)
        return {"bias": bias, "exponent": self.random.integers(0, self.pick(1, 3), count)}

    def neurons(self, channels: int) -> dict:
        """Neurons with every option drawn."""
        multiplier, shift = self.pick((1, 1), (1, 0), (3, 2), (0, 1))
        return {
            "fraction_bits": self.pick(3, 4, 5),
            "burst_ceiling": self.pick(1, 2, 3, 5),
            "leak": Leak(multiplier=multiplier, shift=shift),
            "reset": self.pick("soft", "hard"),
            **self.constants(channels),
        }

    def family(self, channels: int) -> dict:
        """The same, with any rounding constant: the half of QB-LIF, at a unit, above it, or anywhere between."""
        drawn = self.neurons(channels)
        anywhere = self.whole(-1, 2 ** drawn["fraction_bits"])
        return {**drawn, "rounding": self.pick(None, 0, -1, anywhere)}


def random_convolutions(seed: int) -> Network:
    """A small random network of convolutions, poolings, identity skips and dense layers, every option drawn."""
    draw = Draw(seed)
    timesteps, channels = draw.pick(1, 2, 3), draw.pick(1, 2, 3)
    shape = (channels, draw.whole(3, 8), draw.whole(3, 8))
    coding, bits = draw.pick("direct", "events"), draw.pick(1, 2, 3)
    builder = NetworkBuilder(random=draw.random, shape=shape, neurons=draw.neurons)

    def convolve(name, outputs, kernel, stride, padding):
        bits = draw.pick(1, 2, 4)
        builder.convolve(name, outputs, kernel, stride=stride, padding=padding, weight_bits=bits)

    if draw.chance(0.2):
        builder.pool("first", draw.pick("sum", "max"))
    for index in range(draw.whole(1, 3)):
        kernel = (draw.whole(1, min(4, builder.at[1]) + 1), draw.whole(1, min(4, builder.at[2]) + 1))
        convolve(f"conv_{index}", draw.whole(1, 6), kernel, draw.pick(1, 1, 2), draw.pick(0, 1, 2))
        if draw.chance(0.4):
            source, outputs = builder.source, builder.at[0]
            convolve(f"inner_{index}", draw.whole(1, 5), (3, 3), 1, 1)
            convolve(f"sum_{index}", outputs, (3, 3), 1, 1)
            builder.skip(source, draw.whole(-20, 40))
        if min(builder.at[1:]) >= 2 and draw.chance(0.5):
            builder.pool(f"pool_{index}", draw.pick("sum", "max"))
    if draw.chance(0.5):
        builder.dense("dense", draw.whole(2, 7))
    classes = draw.whole(2, 5)
    builder.classify(classes)
    readout = Readout(fraction_bits=4, **draw.constants(classes))
    return builder.network(timesteps=timesteps, coding=coding, input_bits=bits, readout=readout)


def random_shortcuts(seed: int) -> Network:
    """A small network in which two or three convolutions lead into one population, and sometimes a skip as well."""
    draw = Draw(seed)

    def neurons(channels):
        return {
            "fraction_bits": 4,
            "burst_ceiling": draw.pick(1, 3),
            "leak": draw.pick(Leak(), Leak(multiplier=3, shift=2)),
            "reset": draw.pick("soft", "hard"),
            "bias": draw.random.integers(-20, 30, channels),
            "exponent": draw.random.integers(0, 2, channels),
        }

    wide, narrow, stride = draw.whole(1, 5), draw.whole(1, 4), draw.pick(1, 2)
    shape = (1, draw.whole(4, 8), draw.whole(4, 8))
    builder = NetworkBuilder(random=draw.random, shape=shape, neurons=neurons)
    builder.convolve("entry", narrow, 3, padding=1)
    builder.convolve("inner", wide, 3, stride=stride, padding=1)
    if draw.chance(0.4):
        builder.convolve("middle", wide, 3, padding=1)
    last, small = builder.source, builder.at
    into = [(last, 3, 1, 1), ("entry", *draw.pick((1, stride, 0), (3, stride, 1)))]
    if last == "middle" and draw.chance(0.5):
        into.append(("inner", 1, 1, 0))
    draw.random.shuffle(into)
    for source, kernel, step, padding in into:
        builder.convolve("outer", wide, int(kernel), source=str(source), stride=int(step), padding=int(padding))
    assert builder.at == small
    if draw.chance(0.4):
        builder.skip("inner", draw.whole(-20, 30))
    builder.classify(3)
    readout = Readout(fraction_bits=4, bias=draw.random.integers(-8, 8, 3), exponent=np.zeros(3, dtype=np.int64))
    return builder.network(
        timesteps=draw.pick(1, 2, 3), coding=draw.pick("direct", "events"), input_bits=2, readout=readout
    )


def random_windows(seed: int) -> Network:
    """A small network of every kind of window: rectangular, strided, padded and dilated by axis, grouped and depthwise
    convolutions, poolings that overlap, lie apart or take everything, and shortcuts and skips around them."""
    draw = Draw(seed)

    def axis(extent: int, *, pooled: bool) -> tuple[int, int, int, int]:
        """Kernel, stride, padding and dilation of an axis on which at least one window finds room."""
        while True:
            kernel, stride = draw.whole(1, 4), draw.pick(1, 1, 2, 3)
            padding, dilation = draw.pick(0, 0, 1, 2), 1 if pooled else draw.pick(1, 1, 2, 3)
            fits = 2 * padding <= kernel if pooled else padding <= (kernel - 1) * dilation
            if fits and (kernel - 1) * dilation < extent + 2 * padding:
                return kernel, stride, padding, dilation

    def groups(inputs: int, outputs: int) -> int:
        common = math.gcd(inputs, outputs)
        return draw.pick(*[number for number in range(1, common + 1) if common % number == 0])

    def convolve(name: str) -> None:
        inputs, *extents = builder.at
        outputs = draw.pick(inputs, 2 * inputs, draw.whole(1, 6))
        kernel, stride, padding, dilation = zip(*(axis(extent, pooled=False) for extent in extents), strict=True)
        shape: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        builder.convolve(name, outputs, kernel, **shape, groups=groups(inputs, outputs))

    def pool(name: str) -> None:
        kernel, stride, padding, _ = zip(*(axis(extent, pooled=True) for extent in builder.at[1:]), strict=True)
        if draw.chance(0.2) and max(builder.at[1:]) > 1:
            builder.pool(name, draw.pick("sum", "max"), builder.at[1:])
        elif kernel + stride != (1, 1, 1, 1):
            builder.pool(name, draw.pick("sum", "max"), kernel, stride=stride, padding=padding)

    def enclose(name: str) -> None:
        """Two or three ways that part and meet again."""
        start, (channels, *_) = builder.source, builder.at
        dilation = draw.pick(1, 2)
        builder.convolve(f"{name}_inner", channels, 3, padding=dilation, dilation=dilation, groups=channels)
        if draw.chance(0.5):
            builder.pool(f"{name}_pooled", draw.pick("sum", "max"), 3, stride=1, padding=1)
        builder.convolve(f"{name}_outer", channels, (3, 1), padding=(1, 0))
        if draw.chance(0.5):
            builder.convolve(f"{name}_outer", channels, 1, source=start, groups=draw.pick(1, channels))
        else:
            builder.skip(start, draw.whole(-20, 40))

    shape = (draw.whole(1, 5), draw.whole(3, 9), draw.whole(3, 9))
    builder = NetworkBuilder(random=draw.random, shape=shape, neurons=draw.family)
    if draw.chance(0.2):
        pool("first")
    for index in range(draw.whole(1, 3)):
        convolve(f"conv_{index}")
        if draw.chance(0.4) and builder.at[0] <= 6:
            enclose(f"block_{index}")
        if draw.chance(0.6):
            pool(f"pool_{index}")
    classes = draw.whole(2, 5)
    builder.classify(classes)
    readout = Readout(fraction_bits=4, **draw.constants(classes))
    timesteps, coding, bits = draw.pick(1, 2, 3), draw.pick("direct", "events"), draw.pick(1, 2, 3)
    return builder.network(timesteps=timesteps, coding=coding, input_bits=bits, readout=readout)


def random_temporal(seed: int) -> Network:
    """A small network of the whole family over time: any neuron, synaptic currents, limits of every state, recurrent
    projections from a population or a later one, leaky readouts and running maxima, windows and streams."""
    draw = Draw(seed)
    mode = draw.pick("window", "window", "stream")
    endless = mode == "stream"

    def limits(most: int) -> tuple[int, int]:
        return -draw.whole(0, most), draw.whole(1, most)

    def leak() -> Leak:
        multiplier, shift = draw.pick((1, 1), (3, 2), (0, 1), (7, 3), *(() if endless else ((1, 0), (4, 2))))
        return Leak(multiplier=multiplier, shift=shift)

    def neurons(channels: int) -> dict:
        drawn = {**draw.family(channels), "leak": leak(), "exponent": draw.random.integers(0, 2, channels)}
        if draw.chance(0.4):
            drawn["current_leak"] = leak()
            drawn["current_limits"] = draw.pick(None, limits(100))
        if draw.chance(0.3):
            drawn["membrane_limits"] = limits(60)
        if endless and draw.chance(0.2):
            drawn |= {"leak": Leak(multiplier=1, shift=0), "membrane_limits": limits(60)}
        return drawn

    images = draw.chance(0.6)
    shape = (draw.whole(1, 4), draw.whole(2, 7), draw.whole(2, 7)) if images else (draw.whole(1, 9), 1, 1)
    builder = NetworkBuilder(random=draw.random, shape=shape, neurons=neurons)
    for index in range(draw.whole(1, 3)):
        name = f"hidden_{index}"
        if images and min(builder.at[1:]) > 1 and draw.chance(0.8):
            kernel = draw.pick(1, 3, (1, 3)) if min(builder.at[1:]) > 2 else draw.pick(1, 2)
            builder.convolve(name, draw.whole(1, 5), kernel, padding=draw.pick(0, 1))
            if draw.chance(0.4):
                builder.recur(name, name, kernel=draw.pick(1, 3, (3, 1)))
            if min(builder.at[1:]) > 1 and draw.chance(0.3):
                builder.pool(f"pool_{index}", draw.pick("sum", "max"))
        else:
            builder.dense(name, draw.whole(1, 7))
            if draw.chance(0.5):
                builder.recur(name, name)
    spiking = [node.name for node in builder.nodes if isinstance(node, Population)]
    if len(spiking) > 1 and draw.chance(0.4) and builder.shapes[spiking[0]][1:] == (1, 1):
        builder.recur(spiking[1], spiking[0])
    classes = draw.whole(2, 5)
    builder.classify(classes)
    options: dict = {"limits": draw.pick(None, limits(200)), "leak": draw.pick(None, leak())}
    if endless and options["leak"] is None and options["limits"] is None:
        options["leak"] = Leak()
    bias, exponent = draw.random.integers(-8, 8, classes), np.zeros(classes, dtype=np.int64)
    readout = Readout(fraction_bits=4, bias=bias, exponent=exponent, maximum=draw.chance(0.3), **options)
    coding = draw.pick("events", "frames", *(() if endless else ("direct",)))
    return builder.network(
        timesteps=draw.whole(1, 6), coding=coding, input_bits=draw.pick(1, 2), readout=readout, mode=mode
    )


def recurrent_stream() -> Network:
    """Two populations, one of them recurrent, with a synaptic current, limits and a leaky readout."""
    random = np.random.default_rng(7)

    def neurons(channels: int) -> dict:
        return {
            "fraction_bits": 6,
            "burst_ceiling": 3,
            "leak": Leak(multiplier=15, shift=4),
            "reset": "soft",
            "current_leak": Leak(multiplier=3, shift=2),
            "membrane_limits": (-500, 300),
            "bias": random.integers(-20, 20, channels),
            "exponent": np.ones(channels, dtype=np.int64),
        }

    builder = NetworkBuilder(random=random, shape=(6, 1, 1), neurons=neurons)
    builder.dense("first", 9)
    builder.recur("first", "first")
    builder.dense("second", 5)
    builder.classify(3)
    zeros = np.zeros(3, dtype=np.int64)
    readout = Readout(fraction_bits=4, bias=zeros + 3, exponent=zeros, leak=Leak(multiplier=255, shift=8))
    return builder.network(timesteps=50, coding="events", input_bits=2, readout=readout, mode="stream")
