"""The forms of a network's layers: every way to build one that is worth trying, with its expected cycles.

A search asks for the same forms under many limits, prices and boards, and to derive a stage is what takes time. So each
form is derived once and kept here. It depends on the network, the activity and the schedule, never on a board.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gen.planning.activity import KnownActivity
from gen.planning.draft import Draft, narrowest_stream
from gen.planning.scope import ROUTABLE, Scope
from hw.memory import MemoryShape
from hw.schedule import Schedule, frames_per_result
from hw.stages.registry import StagedNode, stage_of
from hw.stages.stage import Room, Stage, StagePlan
from hw.widths import WIDEST_REGISTER, Widths, proved_widths
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """One way to build a stage, with everything in block RAM.

    Attributes:
        plan, stage: the plan and the stage that results from it.
        cycles: its expected cycles per inference, with the headroom of :class:`gen.planning.scope.Scope`.
        patchable: its tables stay in block RAM, so that they can be replaced later.
    """

    plan: StagePlan
    stage: Stage
    cycles: float
    patchable: bool

    @cached_property
    def movable_memories(self) -> dict[str, MemoryShape]:
        """The memories that may be in block RAM or elsewhere, by the names of
        :meth:`hw.stages.stage.StagePlan.with_memories`."""
        memories = self.stage.choosable_memories()
        return {name: memory for name, memory in memories.items() if memory.writable or not self.patchable}


class Forms:
    """The forms of a network's layers.

    Args:
        expectation: the network, its activity and its schedule.
        patch_margin: all weights and constants are kept in block RAM, so that they can be replaced later, and every
            width is this many bits more than this network needs; None for a design that need not be patched.
        scope: what the forms may use.
    """

    def __init__(self, expectation: KnownActivity, patch_margin: int | None, scope: Scope = ROUTABLE) -> None:
        self.expectation, self.patch_margin, self.scope = expectation, patch_margin, scope
        self.network, self.schedule = expectation.network, expectation.schedule
        self._frames = frames_per_result(self.network, self.schedule)
        self._widths = {} if patch_margin is None else fixed_widths(self.network, patch_margin, expectation.schedule)
        self._windows = {target.name for target in self.network.targets[: scope.window_layers]}
        self._forms: dict[tuple[object, ...], Form] = {}
        self._asked: dict[tuple[object, ...], list[Form]] = {}

    def of(self, network: Network) -> "Forms":
        """The forms of another network of the same shape, with the same activity."""
        return Forms(dataclasses.replace(self.expectation, network=network), self.patch_margin, self.scope)

    def find(
        self, draft: Draft, node: StagedNode, streams: Mapping[str, BurstStream], limit: float, lanes: Sequence[int]
    ) -> list[Form]:
        """The forms of the stage of ``node``.

        Args:
            draft: the stages before it.
            node: a node of the network.
            streams: the streams of all nodes before it.
            limit: expected cycles per inference that it should stay under; some forms may take more.
            lanes: numbers of lanes that are worth trying.
        """
        network, schedule = self.network, self.schedule
        # Those of weighted projections come first.
        read = [
            streams[source] if source in streams else narrowest_stream(network, source, schedule)
            for source in network.sources(node.name)
        ]
        weighted = len(network.weighted_projections(node.name))
        skipped = [draft.decided_group(skip.source) or 0 for skip in network.skips_into(node.name)]
        asked = (node.name, *read, limit, *lanes, *skipped)
        if asked not in self._asked:
            room = Room(
                network=network,
                schedule=schedule,
                streams=read[:weighted],
                limit=limit / self._frames,
                lanes=lanes,
                most_banks=self.scope.most_banks,
                queues=self.scope.queues,
                widest_beat=self.scope.widest_beat,
                most_classes=self.scope.most_classes,
                prompt=self.scope.prompt,
                lut=self.scope.lut if node.name in self._windows else None,
                skipped=skipped,
                widths=self._widths.get(node.name),
            )
            plans = stage_of(node, schedule).proposals(node, room)
            self._asked[asked] = [self._form((*read, plan), draft, plan, streams) for plan in plans]
        return self._asked[asked]

    def _form(self, key: tuple[object, ...], draft: Draft, plan: StagePlan, streams: Mapping[str, BurstStream]) -> Form:
        if key not in self._forms:
            stage = draft.derived(plan, streams)
            expected = stage.expected_cycles(self.expectation)
            varies = any(engine.skips_silence for engine in stage.engines)
            array = expected.array * (self.scope.headroom if varies else 1.0)
            cycles = max(expected.arrival, array, expected.neurons) * self._frames
            self._forms[key] = Form(plan=plan, stage=stage, cycles=cycles, patchable=self.patch_margin is not None)
        return self._forms[key]


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
