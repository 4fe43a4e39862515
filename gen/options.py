"""The options that determine the plan, for the command lines that have them; imported without what plans."""

import argparse
from pathlib import Path

from boards.board import Part
from boards.catalogue import find_board
from boards.parts import find_part
from gen.planning.scope import OBJECTIVES
from hw.schedule import SCHEDULES
from qblif.errors import UserError
from qblif.reading import check_file

MOST_MARGIN = 16
DEFAULT_MARGIN = 2
"""Of twelve retrainings of shipped networks (digits_mlp, digits_resnet, fashion_mnist_mlp) with ``--like`` and other
seeds, eleven fitted the widths of the first and one needed one bit more, for a bias; so one bit is to spare."""


def add_plan_options(parser: argparse.ArgumentParser, *, board: str | None) -> None:
    """Add the options that determine the plan: the same in gen.plan, gen.build and sim.run, with the same result."""
    add = parser.add_argument
    standard = "" if board is None else f" (default {board})"
    add("--board", default=board, help=f"board name, see gen.build --list-boards{standard}")
    add("--part", help="a chip alone, such as xc7a35t, instead of a board")
    add("--clock-mhz", type=float, help="clock of the design (default the board's)")
    add(
        "--target-fps",
        type=float,
        help="the smallest design that does so many inferences per second (default the fastest that is easy to route)",
    )
    add(
        "--objective",
        choices=OBJECTIVES,
        help="use up to 80 %% of the chip, wide beats, and constant weights in logic, for the most inferences per "
        "second, the earliest result, or the least area (default: what is easy to route)",
    )
    add(
        "--schedule",
        choices=SCHEDULES,
        help="order of the timesteps: position_major finishes a position's timesteps before the next position; "
        "time_major takes one timestep of all neurons after another (default: what the network needs and the board has "
        "room for)",
    )
    add("--plan", type=Path, help="use this plan.json instead of making a plan")
    add(
        "--patchable",
        action="store_true",
        help="keep all weights and constants in block RAM, so that gen.build --patch can replace them later",
    )
    add(
        "--width-margin",
        type=int,
        metavar="BITS",
        help="with --patchable: bits by which every register is wider than this network needs, for others "
        f"(default {DEFAULT_MARGIN})",
    )


def check_plan_options(options: argparse.Namespace) -> None:
    """Raise UserError for what is wrong with these options and ``--ckpt`` before anything is read."""
    if (options.part or options.board) is None or options.ckpt is None:
        raise UserError("--board and --ckpt are both needed; gen.build --list-boards shows the boards")
    place_of(options)
    if options.width_margin is not None and not (options.patchable and 0 <= options.width_margin <= MOST_MARGIN):
        raise UserError(f"--width-margin is 0 to {MOST_MARGIN} bits, and goes with --patchable")
    if options.plan is not None:
        check_file(options.plan, "plan")
        check_no_wishes(options.target_fps, patch_margin(options), options.schedule, options.objective)


def check_no_wishes(
    target_fps: float | None, patch_margin: int | None, schedule: str | None, objective: str | None
) -> None:
    """Raise UserError if anything is wished of a new plan, where a plan is given."""
    wishes = {
        "--target-fps": target_fps,
        "--patchable": patch_margin,
        "--schedule": schedule,
        "--objective": objective,
    }
    for option, value in wishes.items():
        if value is not None:
            raise UserError(f"{option} makes a new plan; leave out --plan or {option}")


def place_of(options: argparse.Namespace) -> Part:
    """The part or the board that the options name; raises UserError."""
    return find_board(options.board) if options.part is None else find_part(options.part)


def patch_margin(options: argparse.Namespace) -> int | None:
    """The margin of a patchable design, see :class:`gen.planning.forms.Forms`; None if the design is not to be
    patchable."""
    if not options.patchable:
        return None
    return DEFAULT_MARGIN if options.width_margin is None else int(options.width_margin)
