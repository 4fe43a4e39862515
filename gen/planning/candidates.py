"""Candidates: plans with their expected cycles and resources."""

import dataclasses
from dataclasses import dataclass

from boards.board import Part
from gen.planning.activity import Activity, KnownActivity, expected_cycles
from gen.planning.draft import Draft
from gen.planning.planner import Planner
from gen.planning.resources import StageResources, link_resources, self_test_resources, stage_resources
from hw.configuration import TopConfig
from hw.configure import configure
from hw.plan import Plan
from hw.stages.stage import StageCycles
from qblif.network.checks import IntArray
from qblif.network.graph import Network


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plan with its expected needs: the cycles of every stage, and the resources of every stage and of the host link
    and self-test around them."""

    plan: Plan
    config: TopConfig
    cycles: dict[str, StageCycles]
    resources: tuple[StageResources, ...]

    @property
    def bottleneck(self) -> str:
        """The stage that takes the most cycles."""
        return max(self.cycles, key=lambda name: self.cycles[name].bottleneck)

    @property
    def slowest(self) -> float:
        """Expected cycles per inference."""
        return self.cycles[self.bottleneck].bottleneck

    def total(self, resource: str) -> float:
        """The sum of a resource of :attr:`boards.board.Resources.limits`, or of ``lut``, over all stages."""
        return sum(getattr(stage, resource) for stage in self.resources)

    def largest(self, resource: str) -> str:
        """The stage, or the part around them, that takes most of a resource (most LUTs if it is not estimated)."""
        return max(self.resources, key=lambda stage: getattr(stage, resource, stage.lut)).name

    def share(self, board: Part) -> float:
        """Sum of the shares that the design takes of each of the board's resources."""
        return sum(self.total(key) / limit for key, limit in board.budget.limits.items())

    def fullest(self, board: Part, *, logic: bool = False) -> float:
        """The largest share that the design takes of any of the board's resources; ``logic`` leaves out block RAMs."""
        limits = {key: limit for key, limit in board.budget.limits.items() if key != "bram" or not logic}
        return max(self.total(key) / limit for key, limit in limits.items())

    def excess(self, board: Part, share: float) -> dict[str, float]:
        """By how much each resource exceeds its allowance: ``share`` of the logic, and all block RAMs. Empty if all
        fit."""
        shares = dict.fromkeys(board.budget.limits, share) | {"bram": 1.0}
        over = {key: self.total(key) - shares[key] * limit for key, limit in board.budget.limits.items()}
        return {key: amount for key, amount in over.items() if amount > 0}


def candidate(planner: Planner, draft: Draft, clock_mhz: float, sha256: str, samples: int) -> Candidate:
    """A finished draft with its expected cycles and resources."""
    plan = draft.plan(planner.board.name, clock_mhz, sha256, samples)
    return estimate(planner.board, plan, planner.forms.expectation)


def evaluate_plan(
    network: Network, board: Part, plan: Plan, activity: Activity, inputs: IntArray | None = None
) -> Candidate:
    """The expected needs of a plan; ``activity`` and ``inputs`` as in :class:`Expectation`."""
    expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=plan.schedule)
    return estimate(board, plan, expectation)


def estimate(board: Part, plan: Plan, expectation: KnownActivity) -> Candidate:
    """The expected needs of a plan."""
    config = configure(expectation.network, plan)
    stages = [stage_resources(board.family, stage) for stage in config.stages]
    link = [link_resources(board.family, config)] if board.has_link else []
    test = self_test_resources(board.family, config, plan.self_test_samples)
    return Candidate(
        plan=plan,
        config=config,
        cycles=expected_cycles(config, expectation),
        resources=(*stages, *link, test),
    )


def with_samples(found: Candidate, board: Part, samples: int) -> Candidate:
    """The same design with ``samples`` samples in its self-test."""
    test = self_test_resources(board.family, found.config, samples)
    plan = dataclasses.replace(found.plan, self_test_samples=samples)
    return dataclasses.replace(found, plan=plan, resources=(*found.resources[:-1], test))


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is at least as good in everything and better in something."""
    ours = (one.slowest, one.total("lut"), one.total("bram"))
    theirs = (other.slowest, other.total("lut"), other.total("bram"))
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))
