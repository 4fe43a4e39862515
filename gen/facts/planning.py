"""What a report says of a plan: how busy every layer is, and the alternatives."""

import math
from typing import Any

from gen.design import Design, design_alternatives
from gen.planning.activity import KnownActivity, expected_accumulates
from gen.planning.candidates import Candidate
from gen.planning.plans import schedule_reason
from gen.planning.scope import ROUTABLE
from gen.planning.search import SHARE_OF_BOARD
from hw.schedule import steps_per_frame
from hw.stages.stage import Stage


def engine_rows(stage: Stage) -> list[dict[str, Any]]:
    """The engines of a stage, in the order of its projections."""
    return [
        {
            "kind": "event" if engine.skips_silence else "window",
            "source": engine.source,
            "lanes": engine.lanes,
            "folds": engine.folds,
            "adds_per_cycle": engine.adds_per_cycle,
        }
        for engine in stage.engines
    ]


def expected_work(design: Design, stage: Stage) -> float:
    """Expected accumulates of a stage with engines per inference."""
    known = KnownActivity(network=design.network, activity=design.origin.activity, schedule=design.plan.schedule)
    return expected_accumulates(stage, known) * design.config.frames


def busy_share(stage: Stage, done: float, between: float) -> float:
    """Accumulates ``done`` / (lanes x banks x cycles ``between`` two inferences) of a stage with engines."""
    return done / (sum(engine.lanes * engine.adds_per_cycle for engine in stage.engines) * between)


def windows(design: Design, name: str) -> int:
    """Sums that one channel of a layer takes per inference: its positions, times the timesteps with their own sums."""
    network, schedule = design.network, design.plan.schedule
    node = next(target for target in network.targets if target.name == name)
    sources = [projection.source for projection in network.weighted_projections(name)]
    steps = max(steps_per_frame(network, source, schedule) for source in sources)
    return math.prod(node.shape[1:]) * steps * design.config.frames


def schedule_row(design: Design) -> dict[str, str]:
    """The order of the timesteps, and why."""
    schedule = design.plan.schedule
    return {"name": schedule, "reason": schedule_reason(design.network, schedule).partition(": ")[2]}


def alternatives_are_quick(design: Design) -> bool:
    """Whether the alternatives take about a second, as all do but those of a plan for an objective, which may have
    window engines: they take as long as the plan did."""
    return design.planner is None or design.planner.forms.scope == ROUTABLE


def alternative_rows(design: Design, chosen: Candidate) -> list[dict[str, Any]]:
    """The Pareto front of cycles, LUTs and block RAMs around the chosen plan, slowest first, by the planner that made
    the plan and knows the forms of all layers."""
    rows = [alternative_row(design, one) for one in design_alternatives(design, design.planner)]
    mine = alternative_row(design, chosen)
    return [{**row, "chosen": row == mine} for row in rows]


def alternative_row(design: Design, one: Candidate) -> dict[str, Any]:
    """A plan's needs, and whether the board has room for it."""
    board, clock_hz = design.board, design.plan.clock_mhz * 1e6
    resources = {key: round(one.total(key), 1) for key in board.budget.counts if key != "dsp"}
    fit = "no" if one.excess(board, 1.0) else "tight" if one.excess(board, SHARE_OF_BOARD) else "fits"
    return {
        "cycles": round(one.slowest, 1),
        "inferences_per_second": math.floor(clock_hz / one.slowest),
        **resources,
        "fit": fit,
    }
