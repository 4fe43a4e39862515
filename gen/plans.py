"""Looking for a plan: the smallest that is fast enough, the fastest that fits, and the alternatives between."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from boards.board import Board
from boards.catalogue import CATALOGUE
from gen.activity import Activity, StageCycles, expected_cycles
from gen.draft import Draft
from gen.planner import EQUAL_WEIGHTS, Planner, TooSlowError
from gen.resources import StageResources, link_resources, self_test_resources, stage_resources
from hw.configuration import TopConfig
from hw.configure import configure
from hw.errors import UserError
from hw.network import IntArray, Network
from hw.plan import Plan

SHARE_OF_BOARD = 0.8
"""Of each resource, where no rate is asked for: what is left is room for place and route."""
HEADROOM = 0.9
"""Share of the cycles of a wanted rate that the expected cycles may take: they are only expected, and layers wait for
each other."""
FINEST_STEP = 1 / 32
"""Octaves of cycles to which the fastest design that fits is found."""
STEPS_PER_OCTAVE = 2
"""Of the limits at which alternatives are looked for."""
TIGHTER_LIMITS, TIGHTER_STEP = 4, 1 / 8
"""Limits below a wanted one, in octaves, at which a design may turn out smaller: layers are chosen one by one."""
NARROWEST_LIMITS = 8
"""Halves of an octave below no limit at all at which a design may still turn out smaller."""
ROUNDS, DEARER = 4, 3.0
"""How often, and by how much, a resource that is exceeded is made dearer."""
REFERENCES = 16


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A plan with what it is expected to need: cycles and resources of every stage, the self-test's last."""

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
        """Expected cycles an inference."""
        return self.cycles[self.bottleneck].bottleneck

    def total(self, resource: str) -> float:
        """``lut``, ``ff`` or ``bram`` of all stages."""
        return sum(getattr(stage, resource) for stage in self.resources)

    def share(self, board: Board) -> float:
        """Share of the board that the design takes: of its LUTs, flip-flops and block RAMs together."""
        return sum(self.total(key) / getattr(board.budget, key) for key in ("lut", "ff", "bram"))

    def excess(self, board: Board, share: float) -> dict[str, float]:
        """By how much each resource exceeds its share of the board; empty if all fit."""
        over = {key: self.total(key) - share * getattr(board.budget, key) for key in ("lut", "ff", "bram")}
        return {key: amount for key, amount in over.items() if amount > 0}


def make_plan(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None = None,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
) -> Plan:
    """The plan for ``network`` on ``board``: the smallest found that reaches ``target_fps`` inferences a second, or,
    without that, the fastest found that stays within 80 % of the board and is easy to route (``Family.easy_luts``).
    ``patch_margin``: see :class:`Planner`.

    Raises:
        UserError: no plan fits or is fast enough; the message names what is missing, and ways out.
    """
    planner = Planner(network, board, activity, inputs, patch_margin)
    search = Search(planner, clock_mhz, sha256)
    return (search.fastest() if target_fps is None else search.smallest(target_fps)).plan


class Search:
    """Looks for the limit of cycles an inference at which the planner gives what is wanted."""

    def __init__(self, planner: Planner, clock_mhz: float, sha256: str) -> None:
        self.planner, self.clock_mhz, self.sha256 = planner, clock_mhz, sha256
        self.board = planner.board

    def smallest(self, target_fps: float) -> Candidate:
        """The smallest design found that reaches ``target_fps`` inferences a second; raises UserError."""
        limit = self.clock_mhz * 1e6 / target_fps * HEADROOM
        found = [self._within(limit, 1.0)]
        for step in range(1, TIGHTER_LIMITS + 1):
            with suppress(TooSlowError):
                found.append(self._within(limit * 2 ** (-step * TIGHTER_STEP), 1.0))
        fitting = [one for one in found if not one.excess(self.board, 1.0)]
        if not fitting:
            raise UserError(too_big(self._candidate(limit), self.board, 1.0, f"at {target_fps:g} inferences a second"))
        return min(fitting, key=lambda one: one.share(self.board))

    def fastest(self) -> Candidate:
        """The fastest design found that stays within 80 % of the board and is easy to route; where none is, the slowest
        one within 80 %. Raises UserError."""
        narrowest = self._candidate(math.inf)
        cycles = narrowest.slowest
        best, fits = None, 0.0
        for step in range(NARROWEST_LIMITS):
            fits = step / 2
            best = self._fitting(cycles * 2**-fits if step else math.inf)
            if best is not None:
                break
        if best is None:
            raise UserError(too_big(narrowest, self.board, SHARE_OF_BOARD, "even at its narrowest"))
        most_luts = max(self.board.family.easy_luts, best.total("lut"))
        too_fast = math.log2(max(2.0, cycles))
        while too_fast - fits > FINEST_STEP:
            middle = (fits + too_fast) / 2
            tried = self._fitting(cycles * 2**-middle)
            if tried is None or tried.total("lut") > most_luts:
                too_fast = middle
            else:
                best, fits = tried, middle
        return best

    def _fitting(self, limit: float) -> Candidate | None:
        """The design under ``limit`` cycles, or None where there is none or it exceeds 80 % of the board."""
        try:
            tried = self._within(limit, SHARE_OF_BOARD)
        except TooSlowError:
            return None
        return None if tried.excess(self.board, SHARE_OF_BOARD) else tried

    def _within(self, limit: float, share: float) -> Candidate:
        """The cheapest design under ``limit`` cycles; where it exceeds its share of the board, what it has too little
        of is made dearer a few times. Whether it fits in the end has to be asked. Raises TooSlowError."""
        weights = dict(EQUAL_WEIGHTS)
        for _ in range(ROUNDS):
            found = self._candidate(limit, weights)
            excess = found.excess(self.board, share)
            if not excess:
                break
            weights = {key: weight * (DEARER if key in excess else 1) for key, weight in weights.items()}
        return found

    def _candidate(self, limit: float, weights: Mapping[str, float] = EQUAL_WEIGHTS) -> Candidate:
        return candidate(self.planner, self.planner.draft(limit, weights), self.clock_mhz, self.sha256)


def fewest_steps(cycles: float) -> int:
    """Steps of the series of alternatives' limits from ``cycles`` down to one cycle."""
    return math.ceil(math.log2(max(2.0, cycles)) * STEPS_PER_OCTAVE)


def candidate(planner: Planner, draft: Draft, clock_mhz: float, sha256: str) -> Candidate:
    """A finished draft with its expected cycles and resources."""
    plan = draft.plan(planner.board.name, clock_mhz, sha256)
    return evaluate(planner.network, planner.board, plan, planner.activity, planner.inputs)


def evaluate(
    network: Network, board: Board, plan: Plan, activity: Activity, inputs: IntArray | None = None
) -> Candidate:
    """What a plan is expected to need."""
    config = configure(network, plan)
    stages = [stage_resources(board.family, stage) for stage in config.stages]
    return Candidate(
        plan=plan,
        config=config,
        cycles=expected_cycles(network, config, activity, inputs),
        resources=(*stages, *harness_resources(board, config)),
    )


def harness_resources(board: Board, config: TopConfig) -> list[StageResources]:
    """What stands around the network on the board."""
    around = [self_test_resources(board.family, config, REFERENCES)]
    return around if board.uart is None else [*around, link_resources(board.family, config)]


def alternatives(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
) -> list[Candidate]:
    """The Pareto front of cycles, LUTs and block RAMs over the whole range of limits, slowest first; not all fit."""
    planner = Planner(network, board, activity, inputs, patch_margin)
    found = [candidate(planner, planner.draft(math.inf), clock_mhz, sha256)]
    for step in range(1, fewest_steps(found[0].slowest)):
        limit = found[0].slowest * 2 ** (-step / STEPS_PER_OCTAVE)
        try:
            found.append(candidate(planner, planner.draft(limit), clock_mhz, sha256))
        except TooSlowError:
            break
    different = {(one.slowest, one.total("lut"), one.total("bram")): one for one in found}.values()
    return [one for one in different if not any(dominates(other, one) for other in different)]


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is at least as good in everything and better in something."""
    ours = (one.slowest, one.total("lut"), one.total("bram"))
    theirs = (other.slowest, other.total("lut"), other.total("bram"))
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))


def too_big(chosen: Candidate, board: Board, share: float, circumstance: str) -> str:
    """Why a plan does not fit: each resource that is over, by how much, in which layer, and ways out."""
    parts = []
    for key, amount in chosen.excess(board, share).items():
        unit = board.family.bram_unit if key == "bram" else key.upper()
        worst = max(chosen.resources, key=lambda stage: getattr(stage, key)).name
        limit = share * getattr(board.budget, key)
        parts.append(f"{chosen.total(key):.0f} {unit} of {limit:.0f}, {amount:.0f} too many, most in layer {worst}")
    bits = max(layer.projection.weight_bits for layer in chosen.config.layers)
    ways = ["fewer neurons"] + ([f"weights of fewer than {bits} bits"] if bits > 1 else [])
    roomy = [
        other.name
        for other in CATALOGUE.values()
        if other.family.name == board.family.name and not chosen.excess(other, share)
    ]
    ways.append(f"the board {roomy[0]}" if roomy else "a bigger board")
    return (
        f"the network is too big for {board.name} {circumstance}: it needs an estimated {'; '.join(parts)}; "
        f"take {', '.join(ways[:-1])} or {ways[-1]}"
    )
