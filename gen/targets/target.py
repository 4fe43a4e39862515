"""What a build makes: the interface of all targets, and the steps that all have."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boards.board import Board
from gen.design import Design
from gen.emit.block_rams import MemoryBlocks
from gen.emit.board_top import fastest_clock
from gen.facts.planning import alternative_rows
from gen.planning.candidates import evaluate_plan
from gen.report import make_report
from hw.plan import load_plan
from qblif.errors import UserError
from qblif.network.file import load_network, network_sha256, save_network
from qblif.network.graph import Network
from qblif.network.projections import Skip
from qblif.progress import step

CLOCK_MARGIN = 0.95
"""Share of a reached Fmax at which the same design, placed and routed again, surely meets timing."""


class TimingError(UserError):
    """Place and route reached only ``fmax_mhz`` of ``clock_mhz``; ``slower_mhz`` is a clock within reach, or None."""

    def __init__(self, board: Board, clock_mhz: float, fmax_mhz: float) -> None:
        self.clock_mhz, self.fmax_mhz = clock_mhz, fmax_mhz
        self.slower_mhz = fastest_clock(board, fmax_mhz * CLOCK_MARGIN)
        advice = f"; try --clock-mhz {self.slower_mhz:g}" if self.slower_mhz else ""
        super().__init__(f"timing is not met: {fmax_mhz:.1f} of {clock_mhz:g} MHz{advice}")


@dataclass(kw_only=True)
class Build:
    """The state of the steps: the design, the folder they write to, and the report they fill in.

    ``memories``: where the tables in block RAM are. ``patched``: the build whose hardware is reused. ``missed``: the
    error of the faster clock that was tried before and not met.
    """

    design: Design
    folder: Path
    report: dict[str, Any] = field(default_factory=dict)
    memories: list[MemoryBlocks] = field(default_factory=list)
    patched: Path | None = None
    missed: TimingError | None = None

    def run(self, purpose: str, action: Callable[[], None]) -> None:
        """Run one action and show its progress."""
        with step(f"{self.design.board.name}: {purpose}"):
            action()


Step = tuple[str, Callable[[Build], None]]
"""A step of a build: its purpose, for people, and the action."""


class Target(ABC):
    """One thing that can be made of a network.

    Attributes:
        steps: the steps of a build by name, in their order; the last one is done unless ``--until`` says otherwise.
        patch_steps: those of a build that puts other weights into an earlier one; empty if that cannot be done.
    """

    steps: Mapping[str, Step]
    patch_steps: Mapping[str, Step]

    @property
    def last_step(self) -> str:
        """The name of the last step."""
        return list(self.steps)[-1]

    @abstractmethod
    def check(self, design: Design) -> None:
        """Look at what the last step needs before the first one begins; raises UserError if that cannot work."""

    @abstractmethod
    def ending(self, report: dict[str, Any], out: Path) -> int:
        """Say what a complete build lacks, if anything; returns the exit code."""


def step_network(build: Build) -> None:
    """Save the integer network, read it back and check that the arrays are the same."""
    path = build.folder / "network.safetensors"
    save_network(path, build.design.network, build.design.references)
    network, references = load_network(path)
    if network_sha256(network, references) != build.design.sha256 or not same_weights(network, build.design.network):
        raise RuntimeError("the saved network is not the network that was saved")
    build.report = make_report(build.design, build.design.plan.clock_mhz)
    if build.missed is not None:
        build.report["missed"] = {"clock_mhz": build.missed.clock_mhz, "fmax_mhz": build.missed.fmax_mhz}


def same_weights(one: Network, other: Network) -> bool:
    """Whether two networks have equal integers in every projection."""
    pairs = zip(one.projections, other.projections, strict=True)
    return all(
        a == b if isinstance(a, Skip) or isinstance(b, Skip) else np.array_equal(a.weights, b.weights) for a, b in pairs
    )


def save_plan(build: Build) -> None:
    """Save the plan and read it back."""
    path = build.folder / "plan.json"
    path.write_text(build.design.plan.to_json())
    if load_plan(path) != build.design.plan:
        raise RuntimeError("the saved plan is not the plan that was saved")


def check_weights(design: Design) -> None:
    """Read every weight back from the words of the memories, or from the constants."""
    for layer in design.config.layers:
        for engine, projection in zip(layer.engines, design.network.weighted_projections(layer.name), strict=True):
            weights = projection.full_weights
            if (engine.stored_weights(weights.shape) != weights).any():
                raise RuntimeError(f"layer {layer.name}: the weight memory does not hold the network's weights")


def find_late_alternatives(build: Build) -> None:
    """Search for the alternatives to a plan for which they take many seconds, which beside synthesis are few."""
    design = build.design
    if not build.report["alternatives"]:
        chosen = evaluate_plan(design.network, design.board, design.plan, design.origin.activity, design.inputs)
        build.report["alternatives"] = alternative_rows(design, chosen)


def stage_names(design: Design) -> list[str]:
    """The names of the network's layers and poolings, in order."""
    return [stage.name for stage in design.config.stages]
