"""The planner: choose how parallel every layer is, so that the network fits a board and is fast enough.

For a limit of cycles per inference each layer, from the input on, gets the cheapest combination of lanes, banks, neuron
cores and beat width whose expected cycles stay under the limit. This balances the pipeline: a layer that is faster than
the slowest one only costs resources. :mod:`gen.planning.plans` searches for the limit. Widths are proved, not chosen
(:mod:`hw.widths`).
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from boards.board import Part
from gen.planning.draft import Draft
from gen.planning.forms import Form, Forms
from gen.planning.resources import StageResources, memory_features, stage_resources
from hw.memory import MemoryShape, MemoryStyle
from hw.schedule import frames_per_result
from hw.stages.registry import StagedNode
from hw.stages.stage import Stage, StagePlan
from qblif.errors import UserError
from qblif.streams import BurstStream

DEEPEST_TABLE = 64
"""Words of the deepest table of constants made of LUTs: beyond it tables make synthesis and routing slow."""
Weights = Mapping[str, float]
"""Price factor of each resource of a board, by its name in :attr:`boards.board.Resources.limits`; 1 if missing."""
NO_WEIGHTS: Weights = {}


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
        forms: the forms of the network's layers.
        board: the board to plan for.

    Attributes:
        deepest: words of the deepest table of weights in block RAM that is allowed unless a layer needs a deeper one.
    """

    def __init__(self, forms: Forms, board: Part) -> None:
        self.forms, self.network, self.board = forms, forms.network, board
        self.deepest = board.family.deepest_table
        self.channels = {target.name: target.shape[0] for target in self.network.targets}
        # Cached because a search asks for it again and again; it does not depend on the price factors.
        self.used: dict[tuple[object, ...], tuple[StagePlan, Stage, StageResources]] = {}
        self.known: dict[Form, Choice] = {}
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
        multiples, wider = dict.fromkeys(self.channels, 1), self.forms.scope.lane_multiples
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
                elif multiples.get(source, wider[-1]) < wider[-1]:
                    multiples[source] = next(multiple for multiple in wider if multiple > multiples[source])
                else:
                    raise

    def _pass(self, limit: float, lanes: dict[str, list[int]]) -> Draft:
        """One pass from input to readout; ``lanes``: the numbers of lanes that each layer may have."""
        draft = Draft(self.network, self.forms.schedule, self.forms.scope)
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
        frames = frames_per_result(self.network, self.forms.schedule)
        fewest, best, best_rank = math.inf, None, (math.inf, math.inf, math.inf)
        best_group = groups[-1]
        for group in groups if chooses else groups[-1:]:
            if chooses and not draft.keeps_up(source, group, limit / frames):
                continue
            streams = draft.streams() | {source: draft.stream(source, group)}
            for form in self.forms.find(draft, node, streams, limit, lanes):
                fewest = min(fewest, form.cycles)
                if chooses and form.cycles > limit:
                    continue
                choice = self._choice(form, draft, streams)
                delay = choice.stage.delay + form.cycles if self.forms.scope.prompt else 0.0
                rank = (max(self.deepest, choice.table_depth), delay, choice.price)
                if rank < best_rank:
                    best, best_rank, best_group = choice, rank, group
        if best is None and fewest == math.inf:
            fewest = draft.stream(source, groups[-1]).beats_per_inference * frames
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

    def _choice(self, form: Form, draft: Draft, streams: dict[str, BurstStream]) -> Choice:
        """The form, with each memory where it takes the smallest share of the board."""
        if form not in self.known:
            styles = {name: self.cheapest_memory(memory) for name, memory in form.movable_memories.items()}
            used = (form, *styles.values())
            if used not in self.used:
                plan = form.plan.with_memories(styles)
                stage = form.stage if plan == form.plan else draft.derived(plan, streams)
                self.used[used] = plan, stage, stage_resources(self.board.family, stage)
            plan, stage, resources = self.used[used]
            self.known[form] = Choice(plan=plan, stage=stage, price=self.price(resources))
        return self.known[form]

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


def lane_counts(channels: int, multiple: int) -> list[int]:
    """Numbers of lanes worth trying, descending: those that cover the channels in whole folds, rounded up to multiples
    of ``multiple``."""
    found = {math.ceil(math.ceil(channels / folds) / multiple) * multiple for folds in range(1, channels + 1)}
    return sorted(found, reverse=True)
