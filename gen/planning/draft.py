"""A plan in the making: the planner's choices so far, stage by stage from the input on."""

from collections.abc import Mapping

from gen.planning.scope import Scope
from hw.configure import input_stream
from hw.divisors import divisors
from hw.plan import Plan
from hw.schedule import Schedule, steps_per_frame
from hw.stages.registry import stage_of
from hw.stages.stage import Stage, StagePlan, Surroundings
from qblif.network.graph import Network
from qblif.streams import BurstStream


class Draft:
    """The choices so far for a network's stages, and the streams between them.

    The first layer that reads a stream chooses the width of its beats; the stages before it then follow.

    Args:
        network: the network to plan.
        schedule: the order of the timesteps.
        scope: how wide beats may be.

    Attributes:
        stages: the stages so far.
    """

    def __init__(self, network: Network, schedule: Schedule, scope: Scope) -> None:
        self.network, self.schedule, self.scope = network, schedule, scope
        self.stages: list[Stage] = []
        self._input_group = 1
        self._plans: dict[str, StagePlan] = {}
        self._decided: dict[str, int] = {}

    def add(self, plan: StagePlan, stage: Stage) -> None:
        """Add the next stage, as it will be built."""
        self._plans[plan.name] = plan
        self.stages.append(stage)

    def decided_group(self, source: str) -> int | None:
        """The width of the beats of ``source``; None if no reader has chosen it yet."""
        return self._decided.get(self.network.origin(source))

    def possible_groups(self, source: str) -> list[int]:
        """Possible widths of the beats of ``source``, ascending; only the chosen one if a reader has chosen it."""
        origin = self.network.origin(source)
        if origin in self._decided:
            return [self._decided[origin]]
        if origin == self.network.input.name:
            stream = input_stream(self.network, 1, self.schedule)
            if stream.height * stream.width > 1:
                return [group for group in divisors(stream.channels) if group <= self.scope.widest_beat]
            return [group for group in self.scope.input_groups if group <= max(1, stream.channels)]
        return self._plans[origin].beat_widths(self.scope.widest_beat)

    def decide_group(self, source: str, group: int) -> None:
        """Fix the width of the beats of ``source``, also in all stages that were chosen with another width."""
        origin = self.network.origin(source)
        self._decided[origin] = group
        if origin == self.network.input.name:
            self._input_group = group
        else:
            self._plans[origin] = self._plans[origin].with_beats_of(group)
        chosen, self.stages = self.stages, []
        for stage in chosen:
            self.stages.append(self.derived(self._plans[stage.name], self.streams()))

    def derived(self, plan: StagePlan, streams: Mapping[str, BurstStream]) -> Stage:
        """The stage that ``plan`` gives after the stages so far."""
        node = self.network.staged(plan.name)
        known = {**streams, **self._recurrent_streams(plan)}
        around = Surroundings(network=self.network, schedule=self.schedule, streams=known, before=self.stages)
        return stage_of(node, self.schedule).derived(node, plan, around)

    def _recurrent_streams(self, plan: StagePlan) -> dict[str, BurstStream]:
        """Streams of the sources of recurrent projections into the stage of ``plan``: its own, and those of later
        stages, for which the narrowest beats are assumed until they are planned."""
        found = {}
        for projection in self.network.projections_into(plan.name):
            if projection.recurrent:
                node = self.network.staged(projection.source)
                chosen = plan if projection.source == plan.name else self._plans.get(projection.source)
                found[node.name] = (
                    narrowest_stream(self.network, node.name, self.schedule)
                    if chosen is None
                    else stage_of(node, self.schedule).output_of(node, chosen, self.network, self.schedule)
                )
        return found

    def streams(self) -> dict[str, BurstStream]:
        """Every stream so far."""
        streams = {self.network.input.name: input_stream(self.network, self._input_group, self.schedule)}
        return streams | {stage.name: stage.output for stage in self.stages if stage.output is not None}

    def stream(self, source: str, group: int) -> BurstStream:
        """The stream of ``source`` if its beats had ``group`` channels."""
        if source == self.network.input.name:
            return input_stream(self.network, group, self.schedule)
        stream, origin = self.streams()[source], self.network.origin(source)
        return self._plans[origin].regrouped(stream, group) if origin in self._plans else stream.regrouped(group)

    def keeps_up(self, source: str, group: int, limit: float) -> bool:
        """Whether the origin of ``source`` can send all its beats under the limit of cycles per frame; not asked where
        no layer can be so fast."""
        if self.scope.lut is None:
            return True
        return self.stream(self.network.origin(source), group).beats_per_inference <= limit

    def plan(self, board: str, clock_mhz: float, sha256: str, self_test_samples: int) -> Plan:
        """The draft as a plan for a board at a clock, with ``sha256`` of the network and the given self-test size."""
        return Plan(
            board=board,
            clock_mhz=clock_mhz,
            network_sha256=sha256,
            schedule=self.schedule,
            input_group=self._input_group,
            stages=tuple(self._plans.values()),
            self_test_samples=self_test_samples,
        )


def narrowest_stream(network: Network, name: str, schedule: Schedule) -> BurstStream:
    """The stream of a population with one channel per beat."""
    channels, height, width = network.shape(name)
    return BurstStream(
        height=height,
        width=width,
        steps=steps_per_frame(network, name, schedule),
        beats=channels,
        group=1,
        burst_bits=network.burst_ceiling(name).bit_length(),
    )
