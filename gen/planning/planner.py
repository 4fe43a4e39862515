"""The planner: choose how parallel every layer is, so that the network fits a board and is fast enough.

For a limit of cycles per inference each layer, from the input on, gets the cheapest combination of lanes, banks, neuron
cores and beat width whose expected cycles stay under the limit. This balances the pipeline: a layer that is faster than
the slowest one only costs resources. :mod:`gen.planning.plans` searches for the limit. Widths are proved, not chosen
(:mod:`hw.widths`).
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from boards.board import Board
from gen.planning.activity import Activity, KnownActivity
from gen.planning.draft import WIDEST_GROUP, Draft, narrowest_stream
from gen.planning.resources import StageResources, memory_features, stage_resources
from hw.memory import MemoryShape, MemoryStyle
from hw.schedule import Schedule, frames_per_result
from hw.stages.registry import StagedNode, stage_of
from hw.stages.stage import Room, Stage, StagePlan
from hw.widths import WIDEST_REGISTER, Widths, proved_widths
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.streams import BurstStream

MOST_BANKS = 8
LARGEST_MULTIPLE = 8
DEEPEST_TABLE = 64
"""Words of the deepest table of constants made of LUTs: beyond it tables make synthesis and routing slow."""
Weights = Mapping[str, float]
"""Price factor of each resource of a board, by its name in :attr:`boards.board.Resources.limits`; 1 if missing."""
NO_WEIGHTS: Weights = {}


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to build a stage with everything in block RAM, its memories that may be elsewhere, and its cycles.

    ``key``: everything that these depend on.
    """

    key: tuple[object, ...]
    plan: StagePlan
    stage: Stage
    memories: dict[str, MemoryShape]
    cycles: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A form with every memory where it is cheapest: its plan, the resulting stage and a price."""

    plan: StagePlan
    stage: Stage
    price: float

    @property
    def table_depth(self) -> int:
        """Words of the deepest table of weights in block RAM; 0 without such a table."""
        return max((engine.table_depth for engine in self.stage.engines), default=0)


class TooSlowError(UserError):
    """No form of ``layer`` stays under the limit."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(message)
        self.layer = layer


class Planner:
    """Plans of one network on one board.

    Args:
        network: the network.
        board: the board to plan for.
        activity: mean set bit-planes that a node sends, per timestep; half of all are assumed where it is missing.
        inputs: bursts of some inputs, see :class:`gen.planning.activity.KnownActivity`.
        patch_margin: all weights and constants are kept in block RAM, so that they can be replaced later, and every
            width is this many bits more than this network needs; None for a design that need not be patched.
        schedule: the order of the timesteps.

    Attributes:
        deepest: words of the deepest table of weights in block RAM that is allowed unless a layer needs a deeper one.
    """

    def __init__(
        self,
        network: Network,
        board: Board,
        activity: Activity,
        inputs: IntArray | None = None,
        patch_margin: int | None = None,
        schedule: Schedule = "position_major",
    ) -> None:
        self.network, self.board, self.activity, self.inputs = network, board, activity, inputs
        self.patch_margin, self.schedule = patch_margin, schedule
        self.deepest = board.family.deepest_table
        self.widths = {} if patch_margin is None else fixed_widths(network, patch_margin, schedule)
        self.channels = {target.name: target.shape[0] for target in network.targets}
        # Cached because a search asks for it again and again; it does not depend on the price factors.
        self.forms: dict[tuple[object, ...], Form] = {}
        self.used: dict[tuple[object, ...], tuple[StagePlan, Stage, StageResources]] = {}
        self.frames = frames_per_result(network, schedule)
        self.expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=schedule)
        self.known: dict[tuple[object, ...], Choice] = {}
        self.styles: dict[MemoryShape, MemoryStyle] = {}
        self.weights: Weights = {}

    def draft(self, limit: float, weights: Weights = NO_WEIGHTS) -> Draft:
        """The cheapest design in which every stage stays under ``limit`` expected cycles.

        Args:
            limit: cycles per inference.
            weights: see :data:`Weights`.

        Raises:
            TooSlowError: a layer cannot stay under it; the message names it and the fewest cycles it can have.
        """
        if weights != self.weights:
            self.known.clear()
            self.styles.clear()
            self.weights = dict(weights)
        # If a layer is too slow, its source gets a number of lanes that allows wider beats, or, if skips tie its lanes
        # to those of other layers, it gets more lanes.
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
                source = self.network.origin(self.network.sources(error.layer)[0])
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
        """One pass from input to readout; ``lanes``: the numbers of lanes that each layer may have."""
        draft = Draft(self.network, self.schedule)
        for node in (*self.network.nodes, self.network.readout):
            self._add(draft, node, limit, lanes.get(node.name, []))
        return draft

    def _add(self, draft: Draft, node: StagedNode, limit: float, lanes: list[int]) -> None:
        """Choose the cheapest way to build the stage of ``node``, and with it the width of its source's beats.

        A stage that passes beats on takes the widest beats that its source can send; its readers make the choice.
        """
        source = self.network.sources(node.name)[0]
        chooses = self.network.origin(node.name) == node.name
        groups = draft.possible_groups(source)
        fewest, best, best_rank = math.inf, None, (math.inf, math.inf)
        best_group = groups[-1]
        for group in groups if chooses else groups[-1:]:
            streams = draft.streams() | {source: draft.stream(source, group)}
            for form in self._forms(draft, node, streams, limit, lanes):
                fewest = min(fewest, form.cycles)
                if chooses and form.cycles > limit:
                    continue
                choice = self._choice(form, draft, streams)
                rank = (max(self.deepest, choice.table_depth), choice.price)
                if rank < best_rank:
                    best, best_rank, best_group = choice, rank, group
        if best is None:
            raise TooSlowError(
                node.name,
                f"layer {node.name} cannot do an inference in {limit:.0f} cycles on {self.board.name}; "
                f"its fastest form takes about {fewest:.0f}: lower --target-fps or raise --clock-mhz",
            )
        if chooses:
            draft.decide_group(source, best_group)
            for projection in self.network.weighted_projections(node.name)[1:]:
                if not projection.recurrent:
                    draft.decide_group(projection.source, draft.streams()[projection.source].group)
        draft.add(best.plan, best.stage)

    def _forms(
        self, draft: Draft, node: StagedNode, streams: dict[str, BurstStream], limit: float, lanes: list[int]
    ) -> Iterator[Form]:
        """Ways to build the stage of ``node`` that reads ``streams``."""
        room = Room(
            network=self.network,
            schedule=self.schedule,
            streams=[
                streams.get(one.source, narrowest_stream(self.network, one.source, self.schedule))
                for one in self.network.weighted_projections(node.name)
            ],
            limit=limit / self.frames,
            lanes=lanes,
            most_banks=MOST_BANKS,
            widest_beat=WIDEST_GROUP,
            skipped=[draft.decided_group(skip.source) or 0 for skip in self.network.skips_into(node.name)],
            widths=self.widths.get(node.name),
        )
        stream = streams[self.network.sources(node.name)[0]]
        for plan in stage_of(node, self.schedule).proposals(node, room):
            key = (*room.streams, stream, plan)
            if key not in self.forms:
                self.forms[key] = self._form(key, draft.derived(plan, streams), plan)
            yield self.forms[key]

    def _form(self, key: tuple[object, ...], stage: Stage, plan: StagePlan) -> Form:
        memories = stage.choosable_memories()
        if self.patch_margin is not None:
            memories = {name: memory for name, memory in memories.items() if memory.writable}
        cycles = stage.expected_cycles(self.expectation).bottleneck * self.frames
        return Form(key=key, plan=plan, stage=stage, memories=memories, cycles=cycles)

    def _choice(self, form: Form, draft: Draft, streams: dict[str, BurstStream]) -> Choice:
        """The form, with each memory where it takes the smallest share of the board."""
        if form.key not in self.known:
            styles = {name: self.cheapest_memory(memory) for name, memory in form.memories.items()}
            used = (form.key, *styles.values())
            if used not in self.used:
                plan = form.plan.with_memories(styles)
                stage = form.stage if plan == form.plan else draft.derived(plan, streams)
                self.used[used] = plan, stage, stage_resources(self.board.family, stage)
            plan, stage, resources = self.used[used]
            self.known[form.key] = Choice(plan=plan, stage=stage, price=self.price(resources))
        return self.known[form.key]

    def price(self, used: StageResources) -> float:
        """Sum of the shares of the board's resources that a stage takes, each times its price factor."""
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

    def _linked(self) -> list[set[str]]:
        """Sets of populations that must have the same lanes, since skips lead from one into the other."""
        linked: list[set[str]] = []
        for target in self.network.targets:
            skips = self.network.skips_into(target.name)
            names = {target.name} | {self.network.origin(skip.source) for skip in skips} - {"input"}
            if len(names) > 1:
                touching = [other for other in linked if other & names]
                linked = [other for other in linked if not other & names] + [names.union(*touching)]
        return linked


def fixed_widths(network: Network, margin: int, schedule: Schedule) -> dict[str, Widths]:
    """Widths of each layer that stay fixed when other weights are patched in: ``margin`` bits more than this network
    needs. Raises UserError if a register becomes too wide."""
    found = {}
    for target in network.targets:
        needed = proved_widths(network, target, schedule)
        widest = max(dataclasses.asdict(needed).values()) + margin
        if widest > WIDEST_REGISTER:
            raise UserError(
                f"layer {target.name}: --width-margin {margin} makes a register of {widest} bits; {WIDEST_REGISTER} is "
                f"most, so take {max(0, margin - widest + WIDEST_REGISTER)}"
            )
        found[target.name] = proved_widths(network, target, schedule, margin)
    return found


def lane_counts(channels: int, multiple: int) -> list[int]:
    """Numbers of lanes worth trying, descending: those that cover the channels in whole folds, rounded up to multiples
    of ``multiple``."""
    found = {math.ceil(math.ceil(channels / folds) / multiple) * multiple for folds in range(1, channels + 1)}
    return sorted(found, reverse=True)
