"""The planner: how parallel every layer is built, so that the network fits a board and is fast enough.

For a limit of cycles an inference each layer, from the input on, gets the cheapest combination of lanes, banks, neuron
cores and beat width whose expected cycles stay under it. That balances the pipeline: what is faster than the
slowest layer only costs. :mod:`gen.planning.plans` looks for the limit. Widths come from
:mod:`gen.planning.widths`: proved, not chosen.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from boards.board import Board
from gen.planning.activity import Activity, KnownCycles, stage_cycles
from gen.planning.draft import WIDEST_GROUP, Draft, divisors
from gen.planning.resources import (
    MemoryShape,
    StageResources,
    field_memory,
    membrane_memory,
    memory_features,
    pooling_memory,
    stage_resources,
    weight_memory,
)
from gen.planning.widths import LayerBounds, layer_bounds
from hw.configuration import LayerConfig, NeuronConfig
from hw.configure import layer_config, main_projection, pooling_config
from hw.plan import WIDEST_REGISTER, LayerPlan, MemoryStyle, PoolingPlan
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population, Target
from qblif.network.projections import Skip
from qblif.streams import BurstStream

MOST_BANKS = 8
LARGEST_MULTIPLE = 8
DEEPEST_TABLE = 64
"""Words of the deepest table of constants made of LUTs: beyond it tables make synthesis and routing slow."""
Weights = Mapping[str, float]
"""How dear the whole of a board's resource is, by its name in :attr:`boards.board.Resources.limits`; else 1."""
NO_WEIGHTS: Weights = {}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to build a layer: its configuration under a plan, expected cycles and a price."""

    plan: LayerPlan
    config: LayerConfig
    cycles: float
    price: float


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to build a layer, all in block RAM, the memories that may be elsewhere, and its expected cycles."""

    plan: LayerPlan
    memories: dict[str, MemoryShape]
    cycles: float


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
        inputs: bursts of some inputs, see :func:`gen.planning.activity.stage_cycles`.
        patch_margin: weights and constants are all kept in block RAM, where others can be put later, and every width
            is so many bits more than this network needs; None for a design that need not be patched.

    Attributes:
        deepest: words of the deepest table of weights in block RAM that is taken where a layer can do without.
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
        self.deepest = board.family.deepest_table
        self.bounds = {target.name: layer_bounds(network, target) for target in network.targets}
        margin = patch_margin or 0
        for name, bounds in self.bounds.items():
            widest = max(proved_widths(bounds, margin).values())
            if widest > WIDEST_REGISTER:
                raise UserError(
                    f"layer {name}: --width-margin {margin} makes a register of {widest} bits; {WIDEST_REGISTER} "
                    f"is most, so take {max(0, margin - widest + WIDEST_REGISTER)}"
                )
        self.channels = {target.name: target.shape[0] for target in network.targets}
        # What does not depend on the weights is kept, since a search asks for it again and again.
        self.forms: dict[tuple[object, ...], Form] = {}
        self.used: dict[tuple[object, ...], tuple[LayerPlan, LayerConfig, StageResources]] = {}
        self.cycles: KnownCycles = {}
        self.known: dict[tuple[object, ...], Choice] = {}
        self.styles: dict[MemoryShape, MemoryStyle] = {}
        self.weights: Weights = {}

    def draft(self, limit: float, weights: Weights = NO_WEIGHTS) -> Draft:
        """The cheapest design whose every stage stays under ``limit`` expected cycles.

        Args:
            limit: cycles an inference.
            weights: see :data:`Weights`.

        Raises:
            TooSlowError: a layer cannot; the message names it and the fewest cycles it can have.
        """
        if weights != self.weights:
            self.known.clear()
            self.styles.clear()
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
        draft = Draft(self.network)
        for node in (*self.network.nodes, self.network.readout):
            if isinstance(node, Pooling):
                self._add_pooling(draft, node)
            else:
                self._add_layer(draft, node, limit, lanes[node.name])
        return draft

    def _add_pooling(self, draft: Draft, pooling: Pooling) -> None:
        stream = draft.stream(pooling.source, draft.possible_groups(pooling.source)[-1])
        config = pooling_config(pooling, PoolingPlan(name=pooling.name, memory="block"), stream, self.network)
        memory = self.cheapest_memory(pooling_memory(config))
        draft.add_pooling(PoolingPlan(name=pooling.name, memory=memory), dataclasses.replace(config, memory=memory))

    def _add_layer(self, draft: Draft, target: Target, limit: float, lanes: list[int]) -> None:
        """Choose the cheapest way to build ``target``, and with it the width of its source's beats."""
        source = self._source(target)
        fewest, best, best_rank = math.inf, None, (math.inf, math.inf)
        best_group = 1
        for group in draft.possible_groups(source):
            stream = draft.stream(source, group)
            for choice in self._choices(draft, target, stream, limit, lanes):
                fewest = min(fewest, choice.cycles)
                rank = (max(self.deepest, depth(choice)), choice.price)
                if choice.cycles <= limit and rank < best_rank:
                    best, best_rank, best_group = choice, rank, group
        if best is None:
            raise TooSlowError(
                target.name,
                f"layer {target.name} cannot do an inference in {limit:.0f} cycles on {self.board.name}; "
                f"its fastest form takes about {fewest:.0f}: lower --target-fps or raise --clock-mhz",
            )
        draft.decide_group(source, best_group)
        draft.add_layer(best.plan, best.config)

    def _choices(
        self, draft: Draft, target: Target, stream: BurstStream, limit: float, lanes: list[int]
    ) -> Iterator[Choice]:
        """Ways to build ``target`` behind ``stream``: lanes, banks, and as few cores as stay under the limit."""
        streams = draft.streams()
        streams[self._source(target)] = stream
        for count in lanes:
            for banks in divisors(stream.group):
                if banks > MOST_BANKS:
                    break
                for cores in self._cores(draft, target, count, limit):
                    key = (target.name, stream, count, banks, cores)
                    if key not in self.known:
                        self.known[key] = self._choice(key, draft, target, streams, count, banks, cores)
                    yield self.known[key]

    def _cores(self, draft: Draft, target: Target, lanes: int, limit: float) -> list[int]:
        """The fewest neuron cores with which the neurons of ``lanes`` lanes stay under ``limit`` cycles."""
        if not isinstance(target, Population):
            return [1]
        skipped = [draft.decided_group(skip.source) or 0 for skip in self._skips(target)]
        _, height, width = target.shape
        turns = height * width * math.ceil(target.shape[0] / lanes) * self.network.timesteps
        common = math.gcd(lanes, *skipped)
        able = [c for c in divisors(common) if c <= WIDEST_GROUP and turns * (max(4, lanes // c) + 1) <= limit]
        return able[:1] or [max(c for c in divisors(common) if c <= WIDEST_GROUP)]

    def _choice(
        self,
        key: tuple[object, ...],
        draft: Draft,
        target: Target,
        streams: dict[str, BurstStream],
        lanes: int,
        banks: int,
        cores: int,
    ) -> Choice:
        """The form of ``target`` that ``key`` stands for, its memories where they take least of the board."""
        if key not in self.forms:
            self.forms[key] = self._form(draft, target, streams, lanes, banks, cores)
        form = self.forms[key]
        styles: dict[str, Any] = {field: self.cheapest_memory(memory) for field, memory in form.memories.items()}
        used = (key, *styles.values())
        if used not in self.used:
            plan = dataclasses.replace(form.plan, **styles)
            config = layer_config(target, plan, streams, self.network, draft.stages)
            self.used[used] = plan, config, stage_resources(self.board.family, config)
        plan, config, resources = self.used[used]
        return Choice(plan=plan, config=config, cycles=form.cycles, price=self.price(resources))

    def _form(
        self, draft: Draft, target: Target, streams: dict[str, BurstStream], lanes: int, banks: int, cores: int
    ) -> Form:
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
        memories = {}
        if self.patch_margin is None:
            memories["weight_memory"] = weight_memory(config.projection)
        if config.projection.window.rows_kept:
            memories["field_memory"] = field_memory(config.projection.window)
        if isinstance(config.target, NeuronConfig):
            memories["membrane_memory"] = membrane_memory(config.target)
        cycles = stage_cycles(self.network, config, self.activity, self.inputs, self.cycles)
        return Form(plan=plan, memories=memories, cycles=cycles.bottleneck)

    def price(self, used: StageResources) -> float:
        """Share of the board that a stage takes: of each of its resources, weighted, together."""
        return sum(
            self.weights.get(resource, 1.0) * getattr(used, resource) / limit
            for resource, limit in self.board.budget.limits.items()
        )

    def cheapest_memory(self, memory: MemoryShape) -> MemoryStyle:
        """Block RAM or LUTs, whichever takes the smaller share of the board."""
        if memory not in self.styles:
            self.styles[memory] = self._cheapest_memory(memory)
        return self.styles[memory]

    def _cheapest_memory(self, memory: MemoryShape) -> MemoryStyle:
        family, limits = self.board.family, self.board.budget.limits
        if (memory.writable and not family.has_lut_ram) or (not memory.writable and memory.depth > DEEPEST_TABLE):
            return "block"
        style: MemoryStyle = "distributed" if memory.writable else "logic"
        features = memory_features(family, dataclasses.replace(memory, style=style))
        luts = features.get("lut_ram", 0) + features.get("rom", 0)
        blocks = family.block_rams(memory.depth, memory.width, memory.writable)
        logic = "cells" if "cells" in limits else "lut"
        prices = [self.weights.get(key, 1.0) * used / limits[key] for key, used in ((logic, luts), ("bram", blocks))]
        return style if prices[0] < prices[1] else "block"

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


def depth(choice: Choice) -> int:
    """Words of a layer's table of weights in block RAM; 0 where they are logic."""
    projection = choice.config.projection
    return projection.rows if projection.weight_memory == "block" else 0


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


def lane_counts(channels: int, multiple: int) -> list[int]:
    """Numbers of lanes worth trying, descending: what covers the channels in whole folds, in steps of ``multiple``."""
    found = {math.ceil(math.ceil(channels / folds) / multiple) * multiple for folds in range(1, channels + 1)}
    return sorted(found, reverse=True)


def widest_group(lanes: int, cores: int) -> int:
    """The widest beat that ``lanes`` lanes can be sent in, ``cores`` of them a cycle."""
    return max(group for group in divisors(lanes) if group % cores == 0 and group <= max(WIDEST_GROUP, cores))
