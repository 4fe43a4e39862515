"""What the planner may use: how wide beats and how many banks may be, and whether weights may be constants in logic."""

from dataclasses import dataclass
from typing import Literal, get_args

from boards.board import Board

Objective = Literal["fps", "latency", "area"]
"""The fastest design that fits; the one whose first result comes earliest; the smallest."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The limits of a search.

    Attributes:
        most_banks: the largest number of banks of an event engine.
        widest_beat: channels of the widest beat between stages.
        input_groups: channels of the input's beats, where it is one flat position.
        table_inputs: inputs of a LUT, for window engines; None: every layer has event engines.
    """

    most_banks: int
    widest_beat: int
    input_groups: tuple[int, ...]
    table_inputs: int | None = None


ROUTABLE = Scope(most_banks=8, widest_beat=32, input_groups=(1, 2, 4, 7, 8, 14, 16, 28, 32))
"""Designs that place and route in minutes."""


def scope_of(objective: Objective | None, board: Board) -> Scope:
    """What designs for an objective may use; without one they shall be easy to route."""
    if objective is None:
        return ROUTABLE
    return Scope(
        most_banks=32,
        widest_beat=128,
        input_groups=(*ROUTABLE.input_groups, 49, 56, 98, 112),
        table_inputs=len(board.family.lut.inputs),
    )
