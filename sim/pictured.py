"""What the page of a simulation shows besides its figures: two short runs with everything recorded."""

from pathlib import Path
from typing import Any

from gen.design import Design
from gen.facts.network import network_graph
from gen.facts.planning import engine_rows
from sim.inferences import Inferences, Mode, Outcome, simulate
from sim.simulator import Simulation
from sim.timeline import timeline

ALONE = Mode(name="alone", one_by_one=1, spans=True)
IN_A_ROW = Mode(name="at full speed", spans=True)
INFERENCES_IN_A_ROW, TIMESTEPS_IN_A_ROW = 3, 24
"""Inferences of the timeline at full speed; those of a stream are timesteps."""


def timelines(design: Design, simulation: Simulation, inferences: Inferences, folder: Path) -> list[dict[str, Any]]:
    """The timeline of the first inference alone, and of the first few at full speed; none without taps."""
    if not simulation.has_taps:
        return []
    few = TIMESTEPS_IN_A_ROW if inferences.endless else INFERENCES_IN_A_ROW
    found = []
    for mode, count in ((ALONE, 1), (IN_A_ROW, min(few, inferences.count))):
        outcome = simulate(design.config, simulation, inferences.first(count), mode, folder)
        found.append(timeline(design.config, design.network, outcome))
    return found


def page_content(
    name: str,
    design: Design,
    report: dict[str, Any],
    outcomes: list[Outcome],
    inferences: Inferences,
    lines: list[dict[str, Any]],
) -> dict[str, Any]:
    """Everything on the page of the network ``name``, as plain data; ``lines`` are its :func:`timelines`."""
    layers = [{"name": stage.name, "engines": engine_rows(stage)} for stage in design.config.stages]
    return {
        "title": f"{name} on {design.board.title}",
        "report": report,
        "inferences": inferences.count,
        "network": network_graph(design.network),
        "layers": layers,
        "timelines": lines,
        "runs": [
            {
                "name": outcome.mode.name,
                "inferences": len(outcome.comparison.class_cycles),
                "mismatches": outcome.comparison.mismatches,
                "first": outcome.comparison.first,
            }
            for outcome in outcomes
        ],
    }
