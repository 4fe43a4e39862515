"""The search for a plan: the smallest that is fast enough, the fastest that fits, and the alternatives between."""

import dataclasses
import math
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from boards.board import Board
from gen.planning.activity import Activity, KnownActivity, expected_cycles
from gen.planning.draft import Draft
from gen.planning.forms import Forms
from gen.planning.planner import NO_WEIGHTS, Planner, TooSlowError, Weights
from gen.planning.refusal import capacity, needs, too_big, too_many_weights, weight_bits
from gen.planning.resources import StageResources, link_resources, self_test_resources, stage_resources
from hw.configuration import TopConfig
from hw.configure import configure
from hw.plan import MOST_SELF_TEST_SAMPLES, Plan
from hw.schedule import Schedule, needs_time_major
from hw.stages.stage import StageCycles
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.graph import Network

SHARE_OF_BOARD = 0.8
"""Share of the logic that a plan may take if no rate is requested; place and route needs the rest. Block RAMs are
counted exactly and need no such reserve."""
RELIABLE_SHARE = 0.9
"""Share of the logic beyond which a design may turn out not to fit. digits_resnet on an iCE40-HX8K: an estimated 7,628
of 7,680 logic cells, and 8,164 after synthesis."""
ABOVE_SLOWEST = 1.5
"""Factor on the LUTs of the slowest design: a plan may take up to this product where it exceeds ``easy_luts``.
With it cifar10_cnn takes 91,748 cycles per inference on a ULX3S-85F, at 84.0 MHz."""
HEADROOM = 0.9
"""Share of the cycles of a requested rate that the expected cycles may take: they are only expected, and layers wait
for each other."""
FINEST_STEP = 1 / 32
"""Resolution, in octaves of cycles, with which the fastest design that fits is found."""
STEPS_PER_OCTAVE = 2
"""Steps between the limits at which alternatives are searched for."""
TIGHTER_LIMITS, TIGHTER_STEP = 4, 1 / 8
"""Number and spacing, in octaves, of limits below a requested one at which a design may turn out smaller: layers are
chosen one by one."""
NARROWEST_LIMITS = 8
"""Limits, half an octave apart, starting with no limit, at which a design may still turn out smaller."""
MANY_TIMESTEPS = 16
"""Timesteps of input from which on the time-major schedule is tried first. A 34x34 event CNN with 100 timesteps needs
160 block RAMs of a ULX3S-85F position-major, and 71 time-major, with the same cycles."""
ROUNDS, DEARER = 4, 3.0
"""How often, and by which factor, the price of an exceeded resource is raised."""


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

    def share(self, board: Board) -> float:
        """Sum of the shares that the design takes of each of the board's resources."""
        return sum(self.total(key) / limit for key, limit in board.budget.limits.items())

    def fullest(self, board: Board, *, logic: bool = False) -> float:
        """The largest share that the design takes of any of the board's resources; ``logic`` leaves out block RAMs."""
        limits = {key: limit for key, limit in board.budget.limits.items() if key != "bram" or not logic}
        return max(self.total(key) / limit for key, limit in limits.items())

    def excess(self, board: Board, share: float) -> dict[str, float]:
        """By how much each resource exceeds its allowance: ``share`` of the logic, and all block RAMs. Empty if all
        fit."""
        shares = dict.fromkeys(board.budget.limits, share) | {"bram": 1.0}
        over = {key: self.total(key) - shares[key] * limit for key, limit in board.budget.limits.items()}
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
    schedule: Schedule | None = None,
) -> Plan:
    """The plan of :func:`find_plan` alone."""
    return find_plan(network, board, clock_mhz, sha256, activity, target_fps, inputs, patch_margin, schedule).plan


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan and the planner that made it, which can tell more plans of the same network and board quickly."""

    plan: Plan
    planner: Planner


def find_plan(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None = None,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
    schedule: Schedule | None = None,
) -> Planned:
    """The plan for ``network`` on ``board``: the smallest found that reaches ``target_fps`` inferences per second, or,
    without that, the fastest found that stays within 80 % of the board's logic and is easy to route
    (``Family.easy_luts``). If none stays within 80 %, the one that leaves the most logic free within 90 %. Tables
    deeper than ``Family.deepest_table`` are a last resort, for networks that cannot fit otherwise.

    Args:
        network: the network.
        board: the board to plan for.
        clock_mhz: the clock there.
        sha256: of the network file, as hexadecimal text.
        activity: mean set bit-planes that a node sends, per timestep; half of all are assumed where it is missing.
        target_fps: see above.
        inputs: bursts of the reference inputs; the self-test holds as many of them as fit.
        patch_margin: see :class:`gen.planning.forms.Forms`.
        schedule: the order of the timesteps; None for the one that :func:`preferred_schedule` names, or, if that does
            not fit, the other one.

    Raises:
        UserError: no plan fits or is fast enough; the message says what is missing, and names ways out that were tried.
    """
    needed = needs_time_major(network)
    if needed is not None and schedule == "position_major":
        raise UserError(f"the network cannot be position-major: {needed}; leave out --schedule")
    planned = partial(
        make_scheduled_plan, network, board, clock_mhz, sha256, activity, target_fps, inputs, patch_margin
    )
    preferred = preferred_schedule(network)
    if schedule is not None or needed is not None or not differs_over_time(network):
        return planned(schedule or preferred)
    try:
        return planned(preferred)
    except UserError as error:
        with suppress(UserError):
            return planned("time_major" if preferred == "position_major" else "position_major")
        raise error


def differs_over_time(network: Network) -> bool:
    """Whether the input is another one at every timestep, so that every timestep has to be buffered."""
    return network.input.coding != "direct" and network.timesteps > 1


def preferred_schedule(network: Network) -> Schedule:
    """The schedule that the planner tries first."""
    many = differs_over_time(network) and network.timesteps >= MANY_TIMESTEPS
    return "time_major" if many or needs_time_major(network) is not None else "position_major"


def schedule_reason(network: Network, schedule: Schedule) -> str:
    """Why the planner chose a schedule."""
    reason = needs_time_major(network)
    if schedule == preferred_schedule(network) == "position_major":
        reason = "a position's timesteps follow each other, so few neurons have to keep their state"
    elif reason is None and schedule == preferred_schedule(network):
        reason = f"{network.timesteps} timesteps of input are too many to buffer"
    return f"{schedule.replace('_', '-')}: {reason or 'as requested, or since the other one does not fit'}"


def make_scheduled_plan(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None,
    inputs: IntArray | None,
    patch_margin: int | None,
    schedule: Schedule,
) -> Planned:
    """As :func:`find_plan`, under one schedule."""
    expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=schedule)
    planner = Planner(Forms(expectation, patch_margin), board)
    search = Search(planner, clock_mhz, sha256)
    if weight_bits(network) > capacity(board, patchable=patch_margin is not None):
        raise too_big(planner, too_many_weights(planner), search.fits_elsewhere)
    found = search.fastest() if target_fps is None else search.smallest(target_fps)
    return Planned(plan=found.plan, planner=planner)


class Search:
    """Searches for the limit of cycles per inference at which the planner gives the wanted design.

    Attributes:
        samples: the most samples, of a stream timesteps, that the self-test shall hold. A design gets as many of them
            as fit on the board in a table that is not too deep. If not even one fits, it gets none if there is a host
            link.
        tried: every design so far.
    """

    def __init__(self, planner: Planner, clock_mhz: float, sha256: str) -> None:
        self.planner, self.clock_mhz, self.sha256 = planner, clock_mhz, sha256
        self.board = planner.board
        self.samples = min(MOST_SELF_TEST_SAMPLES, results_known(planner))
        self.tried: list[Candidate] = []

    def smallest(self, target_fps: float) -> Candidate:
        """The smallest design found that reaches ``target_fps`` inferences per second; raises UserError."""
        limit = self.clock_mhz * 1e6 / target_fps * HEADROOM
        self._within(limit, 1.0)
        for step in range(1, TIGHTER_LIMITS + 1):
            with suppress(TooSlowError):
                self._within(limit * 2 ** (-step * TIGHTER_STEP), 1.0)
        fitting = [one for one in self.tried if not one.excess(self.board, 1.0)]
        if fitting:
            return min(fitting, key=lambda one: (-one.plan.self_test_samples, one.share(self.board)))
        if self._deeper():
            return self.smallest(target_fps)
        reason = needs(self.board, self._roomiest(self.tried).resources, f"at {target_fps:g} inferences per second")
        rate = math.floor(self.clock_mhz * 1e6 / self.fastest().slowest * HEADROOM)
        raise UserError(f"{reason}; take --target-fps {rate}")

    def fastest(self) -> Candidate:
        """The fastest design found that stays within 80 % of the board's logic and is easy to route. If none is easy to
        route, the slowest one within 80 %; if none is within 80 %, the one that leaves the most logic free. Raises
        UserError."""
        best = self.narrowest(SHARE_OF_BOARD)
        if best is None:
            self.narrowest(RELIABLE_SHARE)
            best = self._roomiest(self.tried)
            if best.excess(self.board, RELIABLE_SHARE):
                if self._deeper():
                    return self.fastest()
                reason = needs(self.board, best.resources, share=RELIABLE_SHARE)
                raise too_big(self.planner, reason, self.fits_elsewhere)
            return best
        fewest = best.plan.self_test_samples
        cycles, fits = best.slowest, 0.0
        most_luts = max(self.board.family.easy_luts, best.total("lut") * ABOVE_SLOWEST)
        too_fast = math.log2(max(2.0, cycles))
        while too_fast - fits > FINEST_STEP:
            middle = (fits + too_fast) / 2
            tried = self._fitting(cycles * 2**-middle)
            if tried is None or tried.total("lut") > most_luts or tried.plan.self_test_samples < fewest:
                too_fast = middle
            else:
                best, fits = tried, middle
        return best

    def narrowest(self, share: float) -> Candidate | None:
        """The first of the slowest designs that stays within ``share`` of the logic and has a self-test; otherwise the
        first that stays within it; None if none does."""
        limit, fitting = math.inf, None
        for step in range(NARROWEST_LIMITS):
            with suppress(TooSlowError):
                found = self._within(limit, share)
                if not found.excess(self.board, share):
                    if found.plan.self_test_samples:
                        return found
                    fitting = fitting or found
                if limit == math.inf:
                    cycles = found.slowest
            limit = cycles * 2 ** (-(step + 1) / 2)
        return fitting

    def _deeper(self) -> bool:
        """Allow tables of any depth from here on; returns whether they were not allowed until now."""
        avoided = self.planner.deepest < math.inf
        self.planner.deepest = math.inf
        return avoided

    def _roomiest(self, found: list[Candidate]) -> Candidate:
        """Of the designs that fit, the one that leaves the most logic free; if none fits, the closest to fitting."""
        fitting = [one for one in found if not one.excess(self.board, 1.0)]
        return min(fitting or found, key=lambda one: one.fullest(self.board, logic=bool(fitting)))

    def fits_elsewhere(self, network: Network, board: Board) -> bool:
        """Whether the slowest design of another network, or on another board, fits there."""
        forms = self.planner.forms
        planner = Planner(forms if network is forms.network else forms.of(network), board)
        planner.deepest = math.inf
        found = Search(planner, self.clock_mhz, self.sha256)._within(math.inf, RELIABLE_SHARE)
        return not found.excess(board, RELIABLE_SHARE)

    def _fitting(self, limit: float) -> Candidate | None:
        """The design under ``limit`` cycles; None if there is no such design or it exceeds 80 % of the board."""
        try:
            tried = self._within(limit, SHARE_OF_BOARD)
        except TooSlowError:
            return None
        return None if tried.excess(self.board, SHARE_OF_BOARD) else tried

    def _within(self, limit: float, share: float) -> Candidate:
        """The cheapest design under ``limit`` cycles. If it exceeds its share of the board, the price of each exceeded
        resource is raised and the search repeated, a few times; the caller must check the final fit. Raises
        TooSlowError."""
        weights = dict(NO_WEIGHTS)
        for _ in range(ROUNDS):
            found = self._candidate(limit, weights)
            excess = found.excess(self.board, share)
            if not excess:
                break
            weights |= {key: weights.get(key, 1.0) * DEARER for key in excess}
        return found

    def _candidate(self, limit: float, weights: Weights) -> Candidate:
        draft = self.planner.draft(limit, weights)
        found = candidate(self.planner, draft, self.clock_mhz, self.sha256, self.samples)
        most = max(1, min(self.samples, self.planner.deepest // found.config.beats_per_result))
        for count in range(int(most), -1 if self.board.uart else 0, -1):
            found = with_samples(found, self.board, count)
            if "bram" not in found.excess(self.board, 1.0):
                break
        self.tried.append(found)
        return found


def results_known(planner: Planner) -> int:
    """Results that a self-test can ask for: one of every reference input; in a stream, of every timestep of the first.

    Without reference inputs the self-test has one arbitrary input.
    """
    inputs = planner.forms.expectation.inputs
    if inputs is None:
        return 1
    return int(inputs.shape[1]) if planner.network.mode == "stream" else len(inputs)


def fewest_steps(cycles: float) -> int:
    """Steps in the series of limits for alternatives, from ``cycles`` down to one cycle."""
    return math.ceil(math.log2(max(2.0, cycles)) * STEPS_PER_OCTAVE)


def candidate(planner: Planner, draft: Draft, clock_mhz: float, sha256: str, samples: int) -> Candidate:
    """A finished draft with its expected cycles and resources."""
    plan = draft.plan(planner.board.name, clock_mhz, sha256, samples)
    return estimate(planner.board, plan, planner.forms.expectation)


def evaluate_plan(
    network: Network, board: Board, plan: Plan, activity: Activity, inputs: IntArray | None = None
) -> Candidate:
    """The expected needs of a plan; ``activity`` and ``inputs`` as in :class:`Expectation`."""
    expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=plan.schedule)
    return estimate(board, plan, expectation)


def estimate(board: Board, plan: Plan, expectation: KnownActivity) -> Candidate:
    """The expected needs of a plan."""
    config = configure(expectation.network, plan)
    stages = [stage_resources(board.family, stage) for stage in config.stages]
    link = [] if board.uart is None else [link_resources(board.family, config)]
    test = self_test_resources(board.family, config, plan.self_test_samples)
    return Candidate(
        plan=plan,
        config=config,
        cycles=expected_cycles(config, expectation),
        resources=(*stages, *link, test),
    )


def with_samples(found: Candidate, board: Board, samples: int) -> Candidate:
    """The same design with ``samples`` samples in its self-test."""
    test = self_test_resources(board.family, found.config, samples)
    plan = dataclasses.replace(found.plan, self_test_samples=samples)
    return dataclasses.replace(found, plan=plan, resources=(*found.resources[:-1], test))


def alternatives(
    network: Network,
    board: Board,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
    samples: int = MOST_SELF_TEST_SAMPLES,
    schedule: Schedule = "position_major",
    planner: Planner | None = None,
) -> list[Candidate]:
    """The Pareto front of cycles, LUTs and block RAMs over the whole range of limits, slowest first; not all fit.

    ``samples``: the number of self-test samples in each of them; ``schedule``: the order of the timesteps; ``planner``:
    a planner that has planned with all these arguments before.
    """
    if planner is None:
        expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=schedule)
        planner = Planner(Forms(expectation, patch_margin), board)
    planner.deepest = board.family.deepest_table
    found = [candidate(planner, planner.draft(math.inf), clock_mhz, sha256, samples)]
    if found[0].excess(board, 1.0):
        planner.deepest = math.inf
        found = [candidate(planner, planner.draft(math.inf), clock_mhz, sha256, samples)]
    for step in range(1, fewest_steps(found[0].slowest)):
        limit = found[0].slowest * 2 ** (-step / STEPS_PER_OCTAVE)
        try:
            found.append(candidate(planner, planner.draft(limit), clock_mhz, sha256, samples))
        except TooSlowError:
            break
    different = {(one.slowest, one.total("lut"), one.total("bram")): one for one in found}.values()
    return [one for one in different if not any(dominates(other, one) for other in different)]


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is at least as good in everything and better in something."""
    ours = (one.slowest, one.total("lut"), one.total("bram"))
    theirs = (other.slowest, other.total("lut"), other.total("bram"))
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))
