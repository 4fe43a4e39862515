"""Looking for a plan: the smallest that is fast enough, the fastest that fits, and the alternatives between."""

import math
from dataclasses import dataclass

from boards.board import Board
from boards.catalogue import CATALOGUE
from gen.activity import Activity, StageCycles, expected_cycles
from gen.planner import EQUAL_WEIGHTS, Draft, Planner, TooSlowError
from gen.resources import StageResources, self_test_resources, stage_resources
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
STEPS_PER_OCTAVE = 4
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
) -> Plan:
    """The plan for ``network`` on ``board``: the smallest that reaches ``target_fps`` inferences a second, or, without
    that, the fastest that stays within 80 % of the board.

    Raises:
        UserError: no plan fits or is fast enough; the message names what is missing, and ways out.
    """
    planner = Planner(network, board, activity, inputs)
    if target_fps is not None:
        limit = clock_mhz * 1e6 / target_fps * HEADROOM
        chosen = within(planner, limit, clock_mhz, sha256, 1.0)
        if chosen.excess(board, 1.0):
            chosen = candidate(planner, planner.draft(limit), clock_mhz, sha256)
            raise UserError(too_big(chosen, board, 1.0, f"at {target_fps:g} inferences a second"))
        return chosen.plan
    best = within(planner, math.inf, clock_mhz, sha256, SHARE_OF_BOARD)
    if best.excess(board, SHARE_OF_BOARD):
        best = candidate(planner, planner.draft(math.inf), clock_mhz, sha256)
        raise UserError(too_big(best, board, SHARE_OF_BOARD, "even at its narrowest"))
    # Limits form a geometric series, and what fits at one limit fits at every larger one.
    slowest, fits, too_fast = best.slowest, 0, fewest_steps(best.slowest) + 1
    while too_fast - fits > 1:
        middle = (fits + too_fast) // 2
        try:
            tried = within(planner, slowest * 2 ** (-middle / STEPS_PER_OCTAVE), clock_mhz, sha256, SHARE_OF_BOARD)
        except TooSlowError:
            too_fast = middle
            continue
        if tried.excess(board, SHARE_OF_BOARD):
            too_fast = middle
        else:
            best, fits = tried, middle
    return best.plan


def within(planner: Planner, limit: float, clock_mhz: float, sha256: str, share: float) -> Candidate:
    """The cheapest design under ``limit`` cycles; where it exceeds its share of the board, what it has too little of
    is made dearer a few times. Whether it fits in the end has to be asked.

    Raises:
        TooSlowError: a layer cannot stay under the limit.
    """
    weights = dict(EQUAL_WEIGHTS)
    for _ in range(ROUNDS):
        found = candidate(planner, planner.draft(limit, weights), clock_mhz, sha256)
        excess = found.excess(planner.board, share)
        if not excess:
            break
        weights = {key: weight * (DEARER if key in excess else 1) for key, weight in weights.items()}
    return found


def fewest_steps(cycles: float) -> int:
    """Steps of the series of limits from ``cycles`` down to one cycle."""
    return math.ceil(math.log2(max(2.0, cycles)) * STEPS_PER_OCTAVE)


def candidate(planner: Planner, draft: Draft, clock_mhz: float, sha256: str) -> Candidate:
    """A finished draft with its expected cycles and resources."""
    plan = planner.plan(draft, clock_mhz, sha256)
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
        resources=(*stages, self_test_resources(board.family, config, REFERENCES)),
    )


def alternatives(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    inputs: IntArray | None = None,
) -> list[Candidate]:
    """The Pareto front of cycles, LUTs and block RAMs over the whole range of limits, slowest first; not all fit."""
    planner = Planner(network, board, activity, inputs)
    found = [candidate(planner, planner.draft(math.inf), clock_mhz, sha256)]
    for step in range(1, fewest_steps(found[0].slowest)):
        limit = found[0].slowest * 2 ** (-step / 2)
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
