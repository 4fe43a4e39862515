"""Plans: the one that is wanted, and the alternatives to it."""

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from boards.board import Part
from gen.planning.activity import Activity, KnownActivity
from gen.planning.candidates import Candidate, candidate, dominates
from gen.planning.forms import Forms
from gen.planning.planner import Planner, TooSlowError
from gen.planning.refusal import capacity, too_big, too_many_weights, weight_bits
from gen.planning.scope import Objective, scopes_of
from gen.planning.search import Search
from hw.plan import MOST_SELF_TEST_SAMPLES, Plan
from hw.schedule import Schedule, needs_time_major
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.graph import Network

STEPS_PER_OCTAVE = 2
"""Steps between the limits at which alternatives are searched for."""
MANY_TIMESTEPS = 16
"""Timesteps of input from which on the time-major schedule is tried first. A 34x34 event CNN with 100 timesteps needs
160 block RAMs of a ULX3S-85F position-major, and 71 time-major, with the same cycles."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan and the planner that made it, which can tell more plans of the same network and board quickly."""

    plan: Plan
    planner: Planner


def make_plan(
    network: Network,
    board: Part,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None = None,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
    schedule: Schedule | None = None,
    objective: Objective | None = None,
) -> Plan:
    """The plan of :func:`find_plan` alone."""
    return find_plan(
        network, board, clock_mhz, sha256, activity, target_fps, inputs, patch_margin, schedule, objective
    ).plan


def find_plan(
    network: Network,
    board: Part,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None = None,
    inputs: IntArray | None = None,
    patch_margin: int | None = None,
    schedule: Schedule | None = None,
    objective: Objective | None = None,
) -> Planned:
    """The plan for ``network`` on ``board``: the smallest found that reaches ``target_fps`` inferences per second, or,
    without that and without an ``objective``, the fastest found that stays within 80 % of the board's logic and is easy
    to route (``Family.easy_luts``). If none stays within 80 %, the one that leaves the most logic free within 90 %.
    Tables deeper than ``Family.deepest_table`` are a last resort, for networks that cannot fit otherwise.

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
        objective: see :data:`gen.planning.scope.Objective`.

    Raises:
        UserError: no plan fits or is fast enough; the message says what is missing, and names ways out that were tried.
    """
    needed = needs_time_major(network)
    if needed is not None and schedule == "position_major":
        raise UserError(f"the network cannot be position-major: {needed}; leave out --schedule")
    planned = partial(
        make_scheduled_plan, network, board, clock_mhz, sha256, activity, target_fps, inputs, patch_margin, objective
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
    board: Part,
    clock_mhz: float,
    sha256: str,
    activity: Activity,
    target_fps: float | None,
    inputs: IntArray | None,
    patch_margin: int | None,
    objective: Objective | None,
    schedule: Schedule,
) -> Planned:
    """As :func:`find_plan`, under one schedule."""
    expectation = KnownActivity(network=network, activity=activity, inputs=inputs, schedule=schedule)
    layers = len(network.targets) if patch_margin is None else 0
    best: tuple[float, Planned] | None = None
    failed: UserError | None = None
    over = weight_bits(network) > capacity(board, patchable=patch_margin is not None)
    for scope in scopes_of(objective, board, layers):
        planner = Planner(Forms(expectation, patch_margin, scope), board)
        search = Search(planner, clock_mhz, sha256)
        if over:
            raise too_big(planner, too_many_weights(planner), search.fits_elsewhere)
        try:
            found = search.best(objective) if target_fps is None else search.smallest(target_fps)
        except UserError as error:
            failed = failed or error
            continue
        rank = search.rank(found, objective if target_fps is None else "area")
        if best is None or rank < best[0]:
            best = rank, Planned(plan=found.plan, planner=planner)
    if best is None:
        assert failed is not None
        raise failed
    return best[1]


def fewest_steps(cycles: float) -> int:
    """Steps in the series of limits for alternatives, from ``cycles`` down to one cycle."""
    return math.ceil(math.log2(max(2.0, cycles)) * STEPS_PER_OCTAVE)


def alternatives(
    network: Network,
    board: Part,
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
