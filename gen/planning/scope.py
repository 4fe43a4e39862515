"""What the planner may use: how wide beats and how many banks may be, and whether weights may be constants in logic."""

from dataclasses import dataclass
from typing import Literal, get_args

from boards.board import Part
from hw.luts import LutShape

Objective = Literal["fps", "latency", "area"]
"""The fastest design that fits; the one whose first result comes earliest; the smallest."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The limits of a search.

    Attributes:
        most_banks: the largest number of banks of an event engine.
        widest_beat: channels of the widest beat between stages.
        most_classes: classes of the widest beat of the results.
        lane_multiples: what a layer's lanes are rounded up to, in turn, if its beats are too narrow for its reader.
        input_groups: channels of the input's beats, where it is one flat position.
        lut: LUTs of the chip, for window engines; None: every layer has event engines.
        headroom: how many times its expected cycles an engine gets whose cycles depend on the image: while an image
            takes longer than the mean, the other layers wait.
        prompt: of all forms of a layer that stay under the limit the one with the shortest delay is wanted, not the
            cheapest.
        window_layers: so many layers, from the input on, may have window engines: where few weights meet many positions
            they are the smaller ones.
        queues: the banks of an event engine may have queues.
    """

    most_banks: int
    widest_beat: int
    most_classes: int
    lane_multiples: tuple[int, ...]
    input_groups: tuple[int, ...]
    lut: LutShape | None = None
    headroom: float = 1.0
    prompt: bool = False
    window_layers: int = 0
    queues: bool = False


ROUTABLE = Scope(
    most_banks=8,
    widest_beat=32,
    most_classes=1,
    lane_multiples=(4, 8),
    input_groups=(1, 2, 4, 7, 8, 14, 16, 28, 32),
)
"""Designs that place and route in minutes."""


def scopes_of(objective: Objective | None, board: Part, layers: int) -> list[Scope]:
    """What designs for an objective may use; without one they shall be easy to route.

    Layers are chosen one by one from the input on, and what one of them sends decides about the next, so every number
    of layers with window engines, up to ``layers``, is worth a search of its own.
    """
    if objective is None:
        return [ROUTABLE]
    return [
        Scope(
            most_banks=16,
            widest_beat=128,
            most_classes=16,
            lane_multiples=(4, 8, 16, 32, 64),
            input_groups=(*ROUTABLE.input_groups, 49, 56, 98, 112),
            lut=board.family.lut.shape,
            headroom=1.1,
            prompt=prompt,
            window_layers=windows,
            queues=board.family.has_lut_ram,
        )
        for prompt in ((False, True) if objective == "latency" else (False,))
        for windows in range(layers, -1, -1)
    ]
