"""The planner: how parallel every layer is built, so that the network fits a board and is fast enough.

For a limit of cycles an inference each layer, from the input on, gets the cheapest combination of lanes, banks, neuron
cores and beat width whose expected cycles stay under it. That balances the pipeline: what is faster than the
slowest layer only costs. :mod:`gen.plans` looks for the limit. Widths come from :mod:`gen.widths`: proved, not chosen.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from boards.board import Board
from gen.activity import Activity, stage_cycles
from gen.resources import (
    MemoryShape,
    field_memory,
    membrane_memory,
    memory_features,
    pooling_memory,
    stage_resources,
    weight_memory,
)
from gen.widths import LayerBounds, layer_bounds
from hw.configuration import BurstStream, LayerConfig, NeuronConfig, PoolingConfig
from hw.configure import input_stream, layer_config, main_projection, pooling_config
from hw.errors import UserError
from hw.network import IntArray, Network, Pooling, Population, Skip, Target
from hw.plan import WIDEST_REGISTER, LayerPlan, MemoryStyle, Plan, PoolingPlan

WIDEST_GROUP = 32
MOST_BANKS = 8
LARGEST_MULTIPLE = 8
DEEPEST_TABLE = 64
"""Words of the deepest table of constants made of LUTs: beyond it tables make synthesis and routing slow."""
EQUAL_WEIGHTS: Mapping[str, float] = {"lut": 1.0, "ff": 1.0, "bram": 1.0}
INPUT_GROUPS = (1, 2, 4, 7, 8, 14, 16, 28, 32)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to build a layer: its configuration under a plan, expected cycles and a price."""

    plan: LayerPlan
    config: LayerConfig
    cycles: float
    price: float


@dataclass(kw_only=True)
class Draft:
    """A plan in the making: what has been chosen of the layers so far. ``groups``: beat widths that are decided."""

    input_group: int = 1
    layers: dict[str, LayerPlan] = field(default_factory=dict)
    stages: list[LayerConfig | PoolingConfig] = field(default_factory=list)
    poolings: dict[str, PoolingPlan] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)


class TooSlowError(UserError):
    """No form of ``layer`` stays under the limit."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(message)
        self.layer = layer


class Planner:
    """Plans of one network on one board.

    Args:
        network: the network.
        board: where it shall run.
        activity: mean set bit-planes a node sends, per timestep; half of all are assumed where it is missing.
        inputs: bursts of some inputs, see :func:`gen.activity.stage_cycles`.
        patch_margin: weights and constants are all kept in block RAM, where others can be put later, and every width
            is so many bits more than this network needs; None for a design that need not be patched.
    """

    def __init__(
        self,
        network: Network,
        board: Board,
        activity: Activity,
        inputs: IntArray | None = None,
        patch_margin: int | None = None,
    ) -> None:
        self.network, self.board, self.activity, self.inputs = network, board, activity, inputs
        self.patch_margin = patch_margin
        self.bounds = {target.name: layer_bounds(network, target) for target in network.targets}
        for name, bounds in self.bounds.items():
            widest = max(proved_widths(bounds, patch_margin or 0).values())
            if widest > WIDEST_REGISTER:
                raise UserError(
                    f"layer {name}: --width-margin makes a register of {widest} bits; {WIDEST_REGISTER} is most"
                )
        self.channels = {target.name: target.shape[0] for target in network.targets}
        self.known: dict[tuple[object, ...], Choice] = {}
        self.weights = dict(EQUAL_WEIGHTS)

    def draft(self, limit: float, weights: Mapping[str, float] = EQUAL_WEIGHTS) -> Draft:
        """The cheapest design whose every stage stays under ``limit`` expected cycles.

        Args:
            limit: cycles an inference.
            weights: how dear a board's whole ``lut``, ``ff`` and ``bram`` are, compared with each other.

        Raises:
            TooSlowError: a layer cannot; the message names it and the fewest cycles it can have.
        """
        if weights != self.weights:
            self.known.clear()
            self.weights = dict(weights)
        # A layer that is too slow gets a source whose lanes can be sent in wider beats, or, where skips tie its lanes
        # to those of others, more lanes.
        multiples = dict.fromkeys(self.channels, 1)
        sets = self._linked()
        options = [lane_counts(self.channels[min(names)], 1) for names in sets]
        while True:
            lanes = {name: [widths[-1]] for names, widths in zip(sets, options, strict=True) for name in names}
            for name, multiple in multiples.items():
                lanes.setdefault(name, lane_counts(self.channels[name], multiple))
            try:
                return self._pass(limit, lanes)
            except TooSlowError as error:
                source = self.network.origin(main_projection(self.network, error.layer).source)
                tied = [
                    widths
                    for names, widths in zip(sets, options, strict=True)
                    if names & {error.layer, source} and len(widths) > 1
                ]
                if tied:
                    tied[0].pop()
                elif multiples.get(source, LARGEST_MULTIPLE) < LARGEST_MULTIPLE:
                    multiples[source] = 4 if multiples[source] == 1 else LARGEST_MULTIPLE
                else:
                    raise

    def _pass(self, limit: float, lanes: dict[str, list[int]]) -> Draft:
        """One run from input to readout; ``lanes``: what each layer may have."""
        draft = Draft()
        for node in (*self.network.nodes, self.network.readout):
            if isinstance(node, Pooling):
                self._add_pooling(draft, node)
            else:
                self._add_layer(draft, node, limit, lanes[node.name])
        return draft

    def _add_pooling(self, draft: Draft, pooling: Pooling) -> None:
        stream = self._stream(draft, pooling.source, self._decided(draft, pooling.source))
        draft.poolings[pooling.name] = PoolingPlan(name=pooling.name, memory="block")
        plan = Plan(
            board="", clock_mhz=1.0, network_sha256="", input_group=1, layers=(),
            poolings=tuple(draft.poolings.values()),
        )  # fmt: skip
        config = pooling_config(pooling, plan, stream, self.network)
        memory = self.cheapest_memory(pooling_memory(config))
        draft.poolings[pooling.name] = PoolingPlan(name=pooling.name, memory=memory)
        draft.stages.append(dataclasses.replace(config, memory=memory))

    def _add_layer(self, draft: Draft, target: Target, limit: float, lanes: list[int]) -> None:
        """Choose the cheapest way to build ``target``, and with it the width of its source's beats."""
        source = self._source(target)
        fewest, best = math.inf, None
        best_group = 1
        for group in self._groups(draft, source):
            stream = self._stream(draft, source, group)
            for choice in self._choices(draft, target, stream, limit, lanes):
                fewest = min(fewest, choice.cycles)
                if choice.cycles <= limit and (best is None or choice.price < best.price):
                    best, best_group = choice, group
        if best is None:
            raise TooSlowError(
                target.name,
                f"layer {target.name} cannot do an inference in {limit:.0f} cycles on {self.board.name}; "
                f"its fastest form takes about {fewest:.0f}: lower --target-fps or raise --clock-mhz",
            )
        self._decide(draft, source, best_group)
        draft.layers[target.name] = best.plan
        draft.stages.append(best.config)

    def _choices(
        self, draft: Draft, target: Target, stream: BurstStream, limit: float, lanes: list[int]
    ) -> Iterator[Choice]:
        """Ways to build ``target`` behind ``stream``: lanes, banks, and as few cores as stay under the limit."""
        streams = self._streams(draft)
        streams[self._source(target)] = stream
        for count in lanes:
            for banks in divisors(stream.group):
                if banks > MOST_BANKS:
                    break
                for cores in self._cores(draft, target, count, limit):
                    key = (target.name, stream, count, banks, cores)
                    if key not in self.known:
                        self.known[key] = self._choice(draft, target, streams, count, banks, cores)
                    yield self.known[key]

    def _cores(self, draft: Draft, target: Target, lanes: int, limit: float) -> list[int]:
        """The fewest neuron cores with which the neurons of ``lanes`` lanes stay under ``limit`` cycles."""
        if not isinstance(target, Population):
            return [1]
        skipped = [draft.groups.get(self.network.origin(skip.source), 0) for skip in self._skips(target)]
        _, height, width = target.shape
        turns = height * width * math.ceil(target.shape[0] / lanes) * self.network.timesteps
        common = math.gcd(lanes, *skipped)
        able = [c for c in divisors(common) if c <= WIDEST_GROUP and turns * (max(4, lanes // c) + 1) <= limit]
        return able[:1] or [max(c for c in divisors(common) if c <= WIDEST_GROUP)]

    def _choice(
        self, draft: Draft, target: Target, streams: dict[str, BurstStream], lanes: int, banks: int, cores: int
    ) -> Choice:
        plan = LayerPlan(
            name=target.name,
            lanes=lanes,
            folds=math.ceil(target.shape[0] / lanes),
            cores=cores,
            group=widest_group(lanes, cores) if isinstance(target, Population) else 1,
            banks=banks,
            weight_memory="block",
            field_memory="block",
            membrane_memory="block",
            constants_memory="logic" if self.patch_margin is None else "block",
            **proved_widths(self.bounds[target.name], self.patch_margin or 0),
        )
        config = layer_config(target, plan, streams, self.network, draft.stages)
        plan = self._with_memories(plan, config)
        config = layer_config(target, plan, streams, self.network, draft.stages)
        cycles = stage_cycles(self.network, config, self.activity, self.inputs)
        return Choice(plan=plan, config=config, cycles=cycles.bottleneck, price=self.price(config))

    def price(self, config: LayerConfig) -> float:
        """Share of the board that a layer takes: of its LUTs, flip-flops and block RAMs together."""
        used, budget = stage_resources(self.board.family, config), self.board.budget
        return sum(
            weight * getattr(used, resource) / getattr(budget, resource) for resource, weight in self.weights.items()
        )

    def _with_memories(self, plan: LayerPlan, config: LayerConfig) -> LayerPlan:
        """The plan with weights, line buffer and membranes where they take least of the board."""
        projection, target = config.projection, config.target
        if self.patch_margin is None:
            plan = dataclasses.replace(plan, weight_memory=self.cheapest_memory(weight_memory(projection)))
        if projection.window.rows_kept:
            plan = dataclasses.replace(plan, field_memory=self.cheapest_memory(field_memory(projection.window)))
        if isinstance(target, NeuronConfig):
            plan = dataclasses.replace(plan, membrane_memory=self.cheapest_memory(membrane_memory(target)))
        return plan

    def cheapest_memory(self, memory: MemoryShape) -> MemoryStyle:
        """Block RAM or LUTs, whichever takes the smaller share of the board."""
        family, budget = self.board.family, self.board.budget
        if (memory.writable and not family.has_lut_ram) or (not memory.writable and memory.depth > DEEPEST_TABLE):
            return "block"
        style: MemoryStyle = "distributed" if memory.writable else "logic"
        features = memory_features(family, dataclasses.replace(memory, style=style))
        luts = features.get("lut_ram", 0) + features.get("rom", 0)
        blocks = family.block_rams(memory.depth, memory.width, memory.writable)
        in_luts = self.weights["lut"] * luts / budget.lut < self.weights["bram"] * blocks / budget.bram
        return style if in_luts else "block"

    def _skips(self, target: Target) -> list[Skip]:
        return [p for p in self.network.projections_into(target.name) if isinstance(p, Skip)]

    def _source(self, target: Target) -> str:
        return main_projection(self.network, target.name).source

    def _linked(self) -> list[set[str]]:
        """Populations that must have the same lanes, since skips lead from one into the other."""
        linked: list[set[str]] = []
        for target in self.network.targets:
            names = {target.name} | {self.network.origin(skip.source) for skip in self._skips(target)} - {"input"}
            if len(names) > 1:
                touching = [other for other in linked if other & names]
                linked = [other for other in linked if not other & names] + [names.union(*touching)]
        return linked

    def _decided(self, draft: Draft, source: str) -> int:
        """The width of the beats of ``source``, as wide as possible where no reader has chosen it yet."""
        return draft.groups.get(self.network.origin(source), self._groups(draft, source)[-1])

    def _groups(self, draft: Draft, source: str) -> list[int]:
        """Beat widths that the stream of ``source`` can have."""
        origin = self.network.origin(source)
        if origin in draft.groups:
            return [draft.groups[origin]]
        if origin == self.network.input.name:
            stream = input_stream(self.network, 1)
            if stream.height * stream.width > 1:
                return [group for group in divisors(stream.channels) if group <= WIDEST_GROUP]
            return [group for group in INPUT_GROUPS if group <= max(1, stream.channels)]
        layer = draft.layers[origin]
        return [group for group in divisors(layer.lanes) if group % layer.cores == 0 and group <= WIDEST_GROUP]

    def _decide(self, draft: Draft, source: str, group: int) -> None:
        """Fix the width of the beats of ``source`` in everything that was chosen with another one."""
        origin = self.network.origin(source)
        draft.groups[origin] = group
        if origin == self.network.input.name:
            draft.input_group = group
        else:
            draft.layers[origin] = dataclasses.replace(draft.layers[origin], group=group)
        streams = {self.network.input.name: input_stream(self.network, draft.input_group)}
        stages: list[LayerConfig | PoolingConfig] = []
        for stage in draft.stages:
            stages.append(self._rebuilt(stage, draft, streams, stages))
            output = stages[-1].output
            if output is not None:
                streams[stage.name] = output
        draft.stages = stages

    def _rebuilt(
        self,
        stage: LayerConfig | PoolingConfig,
        draft: Draft,
        streams: dict[str, BurstStream],
        before: list[LayerConfig | PoolingConfig],
    ) -> LayerConfig | PoolingConfig:
        node = next(node for node in self.network.nodes if node.name == stage.name)
        if isinstance(node, Pooling):
            return pooling_config(node, self.plan(draft, 1.0, ""), streams[node.source], self.network)
        return layer_config(node, draft.layers[stage.name], streams, self.network, before)

    def _stream(self, draft: Draft, source: str, group: int) -> BurstStream:
        """The stream of ``source`` in beats of ``group``."""
        if source == self.network.input.name:
            return input_stream(self.network, group)
        stream = next(stage.output for stage in draft.stages if stage.name == source)
        assert stream is not None
        return dataclasses.replace(stream, group=group, beats=stream.beats * stream.group // group)

    def _streams(self, draft: Draft) -> dict[str, BurstStream]:
        """Every stream so far."""
        streams = {self.network.input.name: input_stream(self.network, draft.input_group)}
        return streams | {stage.name: stage.output for stage in draft.stages if stage.output is not None}

    def plan(self, draft: Draft, clock_mhz: float, sha256: str) -> Plan:
        """The draft as a plan for the board at a clock."""
        return Plan(
            board=self.board.name,
            clock_mhz=clock_mhz,
            network_sha256=sha256,
            input_group=draft.input_group,
            layers=tuple(draft.layers.values()),
            poolings=tuple(draft.poolings.values()),
        )


def proved_widths(bounds: LayerBounds, margin: int = 0) -> dict[str, int]:
    """The least width of each register and constant that a :class:`LayerPlan` names, and ``margin`` bits more.

    An exponent that is larger by one makes a sum longer by a bit, so an exponent may be larger by the margin.
    """
    return {
        "bias_bits": bounds.bias.bits + margin,
        "exponent_bits": (bounds.largest_exponent + margin).bit_length(),
        "accumulator_bits": bounds.partial.bits + margin,
        "current_bits": bounds.current.bits + margin,
        "potential_bits": bounds.potential.bits + margin,
        "membrane_bits": bounds.membrane.bits + margin,
    }


def divisors(number: int) -> list[int]:
    """The divisors of ``number``, ascending."""
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def lane_counts(channels: int, multiple: int) -> list[int]:
    """Numbers of lanes worth trying, descending: what covers the channels in whole folds, in steps of ``multiple``."""
    found = {math.ceil(math.ceil(channels / folds) / multiple) * multiple for folds in range(1, channels + 1)}
    return sorted(found, reverse=True)


def widest_group(lanes: int, cores: int) -> int:
    """The widest beat that ``lanes`` lanes can be sent in, ``cores`` of them a cycle."""
    return max(group for group in divisors(lanes) if group % cores == 0 and group <= max(WIDEST_GROUP, cores))
