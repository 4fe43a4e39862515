"""Whether the synthesised design fits the chip, checked before minutes of place and route."""

import dataclasses
import json
import math
from pathlib import Path

from boards.board import Resources
from boards.tools import find_tool
from gen.design import Design, design_alternatives
from gen.emit.toolrun import run_tool
from gen.planning.candidates import Candidate, evaluate_plan
from gen.planning.search import HEADROOM
from qblif.errors import UserError


def used_resources(design: Design, folder: Path, top: str = "top") -> Resources:
    """The resources that the netlist of the module ``top`` in a folder takes on the chip."""
    cells = json.loads((folder / f"{top}.stat.json").read_text())["design"]["num_cells_by_type"]
    return dataclasses.replace(design.board.family.resources(cells), cells=logic_cells(design, folder))


def logic_cells(design: Design, folder: Path) -> int | None:
    """Logic cells of the netlist; None if the chip has none, or if what counts them needs a board or is not
    installed."""
    if design.board.kind != "board":
        return None
    family = design.board.family
    packing = family.packing(design.dev_board)
    if packing is not None:
        if find_tool(packing.tool) is None:
            return None
        run_tool(packing, folder)
    return family.logic_cells(folder)


def check_fit(design: Design, used: Resources) -> None:
    """Raise UserError if the design takes more than the chip has; the message says of what, and what would help."""
    board = design.board
    excess = over_budget(used, board.budget)
    if not excess:
        return
    expected = evaluate_plan(design.network, board, design.plan, design.origin.activity, design.inputs)
    needs = " and ".join(
        f"{used.counts[key]:g} {board.family.unit(key)} of the {board.budget.counts[key]:g} that the chip has, most in "
        f"{expected.largest(key)}"
        for key in excess
    )
    rate = rate_that_fits(design, used, expected)
    way = "a smaller network or a bigger board" if rate is None else f"--target-fps {rate}"
    raise UserError(f"the network is too big for {board.name}: it needs {needs}; take {way}")


def rate_that_fits(design: Design, used: Resources, expected: Candidate) -> int | None:
    """Inferences per second of the fastest smaller design that fits, if its estimate is wrong by the same factor as
    ``expected``, the estimate for this design, is against ``used``; None if there is no such design."""
    plan, limits = design.plan, design.board.budget.limits
    off = {key: used.counts[key] / max(1, expected.total(key)) for key in limits if key in used.counts}
    fitting = [
        one.slowest
        for one in design_alternatives(design)
        if one.slowest > expected.slowest and all(one.total(key) * off[key] <= limits[key] for key in off)
    ]
    return math.floor(plan.clock_mhz * 1e6 / min(fitting) * HEADROOM) if fitting else None


def over_budget(used: Resources, budget: Resources) -> dict[str, float]:
    """The amount of each resource that a design needs beyond the board's; empty if it fits."""
    needed, limit = used.counts, budget.counts
    return {key: needed[key] - limit[key] for key in needed if key in limit and needed[key] > limit[key]}
