"""Random integer networks and plans for tests."""

import dataclasses
import math
from itertools import pairwise

import numpy as np

from boards.catalogue import find_board
from gen.planning.plans import make_plan
from hw.configure import input_stream
from hw.plan import Plan
from hw.stages.stage import StagePlan
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip


def random_network(
    seed: int,
    *,
    sizes: tuple[int, ...] = (12, 8, 5),
    timesteps: int = 3,
    fraction_bits: int = 5,
    burst_ceiling: int = 3,
    weight_bits: int = 4,
    input_bits: int = 2,
    leak: tuple[int, int] = (1, 1),
    reset: str = "soft",
    coding: str = "direct",
) -> Network:
    """A chain of dense layers; the last of ``sizes`` is the number of classes."""
    random = np.random.default_rng(seed)
    limit = 2 ** (weight_bits - 1)
    nodes, projections, source = [], [], "input"
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        name = "readout" if last else f"hidden_{index}"
        weights = random.integers(-limit, limit, (outputs, inputs))
        projections.append(Dense(source=source, target=name, weights=weights, weight_bits=weight_bits))
        bias, exponent = random.integers(-40, 60, outputs), random.integers(0, 3, outputs)
        if last:
            readout = Readout(fraction_bits=4, bias=bias, exponent=exponent)
        else:
            nodes.append(
                Population(
                    name=name,
                    shape=(outputs, 1, 1),
                    fraction_bits=fraction_bits,
                    burst_ceiling=burst_ceiling,
                    leak=Leak(multiplier=leak[0], shift=leak[1]),
                    reset=reset,
                    bias=bias,
                    exponent=exponent,
                )
            )
        source = name
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=(sizes[0], 1, 1), coding=coding, bits=input_bits),
        nodes=tuple(nodes),
        projections=tuple(projections),
        readout=readout,
    )


def plan_for(network: Network, board: str = "arty_a7", **changes: dict[str, int]) -> Plan:
    """The planner's plan, with fields of single layers replaced: ``plan_for(net, hidden_0={"lanes": 4})``.

    Where anything is replaced, layers have one bank unless ``changes`` says otherwise.
    """
    plan = make_plan(network, find_board(board), 100.0, "0" * 64, {})
    if not changes:
        return plan
    channels = {target.name: target.shape[0] for target in network.targets}
    stages = []
    for stage in plan.stages:
        if stage.name in channels:
            fields = {"banks": 1, **changes.get(stage.name, {})}
            lanes = fields.get("lanes", stage.engine.lanes)
            stage = altered(stage, **fields, folds=math.ceil(channels[stage.name] / lanes))
        stages.append(stage)
    return dataclasses.replace(plan, stages=tuple(stages))


def altered(stage: StagePlan, **fields: object) -> StagePlan:
    """The plan of a layer with some fields replaced, those of its parts as well."""
    own = {name for part in parts_of(stage) for name in fields if hasattr(part, name)}
    replaced = {name: value for name, value in fields.items() if name not in own and hasattr(stage, name)}
    for field in ("engine", "engines", "neurons"):
        part = vars(stage).get(field)
        if isinstance(part, tuple):
            replaced[field] = tuple(with_fields(one, fields) for one in part)
        elif part is not None:
            replaced[field] = with_fields(part, fields)
    return dataclasses.replace(stage, **replaced)


def parts_of(stage: StagePlan) -> list[object]:
    """The parts that a plan of a layer has."""
    found = [vars(stage).get(field) for field in ("engine", "engines", "neurons")]
    return [one for part in found if part is not None for one in (part if isinstance(part, tuple) else (part,))]


def with_fields(part: object, fields: dict[str, object]) -> object:
    """A part of a plan with those of the fields replaced that it has."""
    return dataclasses.replace(part, **{name: value for name, value in fields.items() if hasattr(part, name)})


def random_plan(network: Network, seed: int) -> Plan:
    """A plan that the planner would hardly make: lanes, cores, groups, banks and memories drawn at random."""
    random = np.random.default_rng(seed)

    def divisor(number: int, multiple_of: int = 1) -> int:
        found = [d for d in range(1, number + 1) if number % d == 0 and d % multiple_of == 0]
        return int(found[random.integers(len(found))])

    planned = make_plan(network, find_board("arty_a7"), 100.0, "0" * 64, {})
    skips = {p.target: network.origin(p.source) for p in network.projections if isinstance(p, Skip)}
    widths = input_stream(network, 1).channels
    groups: dict[str, int] = {"input": divisor(widths)}
    lanes: dict[str, int] = {}
    layers = []
    for layer in planned.stages:
        if layer.type == "pooling":
            layers.append(layer)
            continue
        target = next(target for target in network.targets if target.name == layer.name)
        sources = [network.origin(one.source) for one in network.weighted_projections(target.name)]
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
        layers.append(
            altered(
                layer,
                lanes=count,
                folds=folds,
                cores=cores,
                group=group,
                banks=divisor(math.gcd(*(groups[source] for source in sources))),
                weight_memory=weights,
                constants_memory=constants,
                skip_memory=styles["field_memory"],
                **styles,
            )
        )
    return dataclasses.replace(planned, input_group=groups["input"], stages=tuple(layers))


def random_bursts(network: Network, count: int, seed: int = 0, density: float = 0.5) -> np.ndarray:
    """Input bursts (count, steps, C, H, W), the given share of them not 0."""
    random = np.random.default_rng(seed)
    shape = (count, network.steps("input"), *network.input.shape)
    bursts = random.integers(0, network.input.burst_ceiling + 1, shape)
    return np.where(random.random(shape) < density, bursts, 0)


def random_convolutions(seed: int) -> Network:
    """A small random network of convolutions, poolings, identity skips and dense layers, every option drawn."""
    random = np.random.default_rng(seed)

    def pick(*options):
        return options[random.integers(len(options))]

    timesteps, channels = pick(1, 2, 3), pick(1, 2, 3)
    shape = (channels, int(random.integers(3, 8)), int(random.integers(3, 8)))
    spec = InputSpec(shape=shape, coding=pick("direct", "events"), bits=pick(1, 2, 3))
    nodes: list[Population | Pooling] = []
    projections: list[Dense | Conv2d | Skip] = []

    def constants(count):
        return {"bias": random.integers(-30, 50, count), "exponent": random.integers(0, pick(1, 3), count)}

    def population(name, shape):
        leak = pick((1, 1), (1, 0), (3, 2), (0, 1))
        return Population(
            name=name,
            shape=shape,
            fraction_bits=pick(3, 4, 5),
            burst_ceiling=pick(1, 2, 3, 5),
            leak=Leak(multiplier=leak[0], shift=leak[1]),
            reset=pick("soft", "hard"),
            **constants(shape[0]),
        )

    def weights(bits, *size):
        return random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size)

    def convolve(source, before, name, outputs, kernel, stride, padding):
        bits = pick(1, 2, 4)
        size = tuple((extent + 2 * padding - k) // stride + 1 for extent, k in zip(before[1:], kernel, strict=True))
        projections.append(
            Conv2d(
                source=source,
                target=name,
                weights=weights(bits, outputs, before[0], *kernel),
                weight_bits=bits,
                stride=stride,
                padding=padding,
            )
        )
        nodes.append(population(name, (outputs, *size)))
        return nodes[-1].shape

    source, at = "input", shape
    if random.random() < 0.2:
        nodes.append(Pooling(name="first", source="input", kind=pick("sum", "max"), kernel=2))
        source, at = "first", (at[0], at[1] // 2, at[2] // 2)
    for index in range(int(random.integers(1, 3))):
        kernel = (int(random.integers(1, min(4, at[1]) + 1)), int(random.integers(1, min(4, at[2]) + 1)))
        at = convolve(source, at, f"conv_{index}", int(random.integers(1, 6)), kernel, pick(1, 1, 2), pick(0, 1, 2))
        source = f"conv_{index}"
        if random.random() < 0.4:
            convolve(source, at, f"inner_{index}", int(random.integers(1, 5)), (3, 3), 1, 1)
            at = convolve(f"inner_{index}", nodes[-1].shape, f"sum_{index}", at[0], (3, 3), 1, 1)
            projections.append(Skip(source=source, target=f"sum_{index}", weight=int(random.integers(-20, 40))))
            source = f"sum_{index}"
        if min(at[1:]) >= 2 and random.random() < 0.5:
            nodes.append(Pooling(name=f"pool_{index}", source=source, kind=pick("sum", "max"), kernel=2))
            source, at = f"pool_{index}", (at[0], at[1] // 2, at[2] // 2)
    if random.random() < 0.5:
        hidden = int(random.integers(2, 7))
        fan_in = int(np.prod(at))
        projections.append(Dense(source=source, target="dense", weights=weights(4, hidden, fan_in), weight_bits=4))
        nodes.append(population("dense", (hidden, 1, 1)))
        source, at = "dense", (hidden, 1, 1)
    classes = int(random.integers(2, 5))
    projections.append(
        Dense(source=source, target="readout", weights=weights(4, classes, int(np.prod(at))), weight_bits=4)
    )
    return Network(
        timesteps=timesteps,
        input=spec,
        nodes=tuple(nodes),
        projections=tuple(projections),
        readout=Readout(fraction_bits=4, **constants(classes)),
    )


def random_shortcuts(seed: int) -> Network:
    """A small network in which two or three convolutions lead into one population, and sometimes a skip as well."""
    random = np.random.default_rng(seed)

    def pick(*options):
        return options[random.integers(len(options))]

    def population(name, channels, extent):
        return Population(
            name=name,
            shape=(channels, *extent),
            fraction_bits=4,
            burst_ceiling=pick(1, 3),
            leak=pick(Leak(), Leak(multiplier=3, shift=2)),
            reset=pick("soft", "hard"),
            bias=random.integers(-20, 30, channels),
            exponent=random.integers(0, 2, channels),
        )

    def convolution(source, target, shape, kernel, stride, padding):
        weights = random.integers(-8, 8, (*shape, kernel, kernel))
        return Conv2d(source=source, target=target, weights=weights, weight_bits=4, stride=stride, padding=padding)

    wide, narrow, stride = int(random.integers(1, 5)), int(random.integers(1, 4)), pick(1, 2)
    extent = tuple(int(random.integers(4, 8)) for _ in range(2))
    small = tuple((size - 1) // stride + 1 for size in extent)
    last, nodes = "inner", [population("entry", narrow, extent), population("inner", wide, small)]
    projections = [
        convolution("input", "entry", (narrow, 1), 3, 1, 1),
        convolution("entry", "inner", (wide, narrow), 3, stride, 1),
    ]
    if random.random() < 0.4:
        nodes.append(population("middle", wide, small))
        projections.append(convolution("inner", "middle", (wide, wide), 3, 1, 1))
        last = "middle"
    nodes.append(population("outer", wide, small))
    into = [
        convolution(last, "outer", (wide, wide), 3, 1, 1),
        convolution("entry", "outer", (wide, narrow), *pick((1, stride, 0), (3, stride, 1))),
    ]
    if last == "middle" and random.random() < 0.5:
        into.append(convolution("inner", "outer", (wide, wide), 1, 1, 0))
    random.shuffle(into)
    projections += into
    if random.random() < 0.4:
        projections.append(Skip(source="inner", target="outer", weight=int(random.integers(-20, 30))))
    weights = random.integers(-8, 8, (3, wide * small[0] * small[1]))
    return Network(
        timesteps=pick(1, 2, 3),
        input=InputSpec(shape=(1, *extent), coding=pick("direct", "events"), bits=2),
        nodes=tuple(nodes),
        projections=(*projections, Dense(source="outer", target="readout", weights=weights, weight_bits=4)),
        readout=Readout(fraction_bits=4, bias=random.integers(-8, 8, 3), exponent=np.zeros(3, dtype=np.int64)),
    )
