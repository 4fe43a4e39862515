"""The one way from a checkpoint to the design that is built and simulated: the same inputs give the same plan."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from boards.board import Board, Part
from boards.catalogue import find_board
from gen.frontend.origin import Origin, read_network
from gen.options import check_no_wishes, patch_margin, place_of
from gen.planning.candidates import Candidate
from gen.planning.planner import Planner
from gen.planning.plans import alternatives, find_plan
from gen.planning.scope import Objective
from hw.configuration import TopConfig
from hw.configure import configure
from hw.plan import Plan, load_plan
from hw.schedule import Schedule
from hw.shell.selftest import SelfTestVectors
from hw.widths import Widths, proved_widths
from qblif import golden
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.file import network_sha256
from qblif.network.graph import Network
from qblif.network.nodes import Target
from qblif.network.references import ReferenceVectors
from qblif.streams import beat_words, stream_beats

BLANK_SAMPLE_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A network on a board or a part: its plan, and the configuration that results from both."""

    board: Part
    network: Network
    references: ReferenceVectors
    sha256: str
    plan: Plan
    config: TopConfig

    @property
    def dev_board(self) -> Board:
        """The board of a design that is made for one."""
        assert isinstance(self.board, Board)
        return self.board

    @property
    def patchable(self) -> bool:
        """Whether other weights can be put into the built design: into the bitstream of a board, or through the
        registers of a core."""
        return self.plan.patchable and (self.board.kind == "part" or self.board.family.block_ram_format is not None)

    @property
    def width_margin(self) -> int | None:
        """Bits by which every register is at least wider than this network needs; None for a design that cannot be
        patched."""
        if not self.patchable:
            return None
        return min(
            getattr(fixed, field) - needed
            for target, fixed in fixed_layers(self.plan, self.network)
            for field, needed in asdict(proved_widths(self.network, target, self.plan.schedule)).items()
            if field != "exponent"
        )

    @property
    def inputs(self) -> IntArray | None:
        """Bursts of the reference inputs."""
        return reference_inputs(self.network, self.references)


@dataclass(frozen=True, kw_only=True)
class Design(Hardware):
    """A checkpoint on a board.

    Attributes:
        origin: what the file says besides the network.
        clock_is_free: the plan's clock was not requested, so a slower one is allowed.
        target_fps: the requested rate; None if there was no request.
        planner: the planner that made the plan; None for a plan that was read.
        target: what is made of it, one of :data:`gen.targets.registry.TARGETS`.
    """

    origin: Origin
    clock_is_free: bool = False
    target_fps: float | None = None
    planner: Planner | None = None
    target: str = "board"


def reference_inputs(network: Network, references: ReferenceVectors) -> IntArray | None:
    """Bursts of the reference inputs; None without references."""
    return encode(references.samples, network.input) if len(references.samples) else None


def design_alternatives(design: Design, planner: Planner | None = None) -> list[Candidate]:
    """The Pareto front of cycles, LUTs and block RAMs around a design.

    ``planner``: one that knows the forms of its layers already.
    """
    plan = design.plan
    return alternatives(
        design.network,
        design.board,
        plan.clock_mhz,
        design.sha256,
        design.origin.activity,
        design.inputs,
        design.width_margin,
        plan.self_test_samples,
        plan.schedule,
        planner,
    )


def design_of(options: argparse.Namespace) -> Design:
    """The design that checked options ask for (:func:`gen.options.check_plan_options`); raises UserError."""
    return make_design(
        options.ckpt,
        place_of(options),
        clock_mhz=options.clock_mhz,
        target_fps=options.target_fps,
        plan_file=options.plan,
        patch_margin=patch_margin(options),
        schedule=options.schedule,
        objective=options.objective,
        target=getattr(options, "target", "board"),
    )


def make_design(
    checkpoint: Path,
    board: Part | str,
    *,
    clock_mhz: float | None = None,
    target_fps: float | None = None,
    plan_file: Path | None = None,
    patch_margin: int | None = None,
    schedule: Schedule | None = None,
    objective: Objective | None = None,
    target: str = "board",
) -> Design:
    """Read the checkpoint, fold it and plan it for the board.

    Args:
        checkpoint: file of snn.train, or a network file.
        board: a board or a part, or the name of a board.
        clock_mhz: wanted clock; default: the board's. Of a board, the PLL's nearest frequency is used.
        target_fps: wanted inferences per second, for the smallest design; default: the fastest that is easy to route.
        plan_file: a saved plan to use instead of making one.
        patch_margin: see :class:`gen.planning.forms.Forms`.
        schedule: wanted order of the timesteps.
        objective: see :data:`gen.planning.scope.Objective`; default: designs that are easy to route.
        target: see :class:`Design`.

    Raises:
        UserError: any problem with these that the user can fix.
    """
    board = find_board(board) if isinstance(board, str) else board
    clock = board.clock_mhz(board.default_clock_mhz if clock_mhz is None else clock_mhz)
    if patch_margin is not None and board.kind == "board" and board.family.block_ram_format is None:
        raise UserError(f"--patchable: no tool here puts other weights into a bitstream of {board.name}")
    origin, network, vectors = read_network(checkpoint)
    sha256 = network_sha256(network, vectors)
    planner = None
    if plan_file is None:
        if target_fps is not None and not 0 < target_fps < 1e12:
            raise UserError(f"--target-fps {target_fps:g} is not a rate of inferences per second")
        inputs = reference_inputs(network, vectors)
        planned = find_plan(
            network, board, clock, sha256, origin.activity, target_fps, inputs, patch_margin, schedule, objective
        )
        plan, planner = planned.plan, planned.planner
    else:
        check_no_wishes(target_fps, patch_margin, schedule, objective)
        plan = load_plan(plan_file)
        check_plan(plan, plan_file, board, sha256)
        if clock_mhz is not None and plan.clock_mhz != clock:
            raise UserError(f"{plan_file} is a plan for {plan.clock_mhz:g} MHz; leave out --clock-mhz or --plan")
    config = configure(network, plan)
    for layer, field, _, needed in too_narrow(plan, network):
        raise UserError(f"the plan's layer {layer}: the width of {field} must be at least {needed}, or sums would wrap")
    return Design(
        origin=origin,
        board=board,
        network=network,
        references=vectors,
        sha256=sha256,
        plan=plan,
        config=config,
        clock_is_free=clock_mhz is None and plan_file is None,
        target_fps=target_fps,
        planner=planner,
        target=target,
    )


def check_plan(plan: Plan, path: Path, board: Part, sha256: str) -> None:
    """Raise UserError unless a loaded plan is for this network and board, at a clock that the board can have."""
    if (plan.board, plan.network_sha256) != (board.name, sha256):
        raise UserError(f"{path} is a plan for another board or network; leave out --plan to make a new one")
    memories = [style for stage in plan.stages for style in stage.memories().values()]
    if "distributed" in memories and not board.family.has_lut_ram:
        raise UserError(f"{path}: {board.name} has no distributed memory; keep everything that is written in block")
    if not plan.self_test_samples and board.needs_self_test:
        raise UserError(f"{path}: without self-test nothing shows what {board.name} computes; it has no host link")
    if abs(board.clock_mhz(plan.clock_mhz) - plan.clock_mhz) > 1e-6:
        raise UserError(f"{path}: the board's PLL cannot make {plan.clock_mhz:g} MHz")


def fixed_layers(plan: Plan, network: Network) -> Iterator[tuple[Target, Widths]]:
    """The layers whose widths a plan fixes."""
    for target in network.targets:
        widths = plan.stage(target.name).widths
        if widths is not None:
            yield target, widths


def too_narrow(plan: Plan, network: Network) -> Iterator[tuple[str, str, int, int]]:
    """Every register or constant that the plan makes too narrow: layer, field, width in the plan, least width."""
    for target, fixed in fixed_layers(plan, network):
        for field, needed in asdict(proved_widths(network, target, plan.schedule)).items():
            if getattr(fixed, field) < needed:
                yield target.name, field, getattr(fixed, field), needed


def self_test_vectors(design: Hardware) -> SelfTestVectors:
    """The inputs of the first results that the references give, as many results as the plan says, as the on-chip
    harness replays them; without references, one arbitrary input that is not checked.

    Every timestep of a stream gives a result, so its inputs are the first timesteps of the first reference.
    """
    count, config = design.plan.self_test_samples, design.config
    if not count:
        return SelfTestVectors(beats=[], logits=[])
    bursts, logits = sample_results(design, count)
    beats = stream_beats(config.framed(bursts), config.input)
    known = logits.reshape(-1).tolist() if len(design.references.samples) else []
    return SelfTestVectors(beats=beat_words(beats, config.input.burst_bits), logits=known)


def sample_results(design: Hardware, count: int) -> tuple[IntArray, IntArray]:
    """Bursts (samples, steps, C, H, W) of inputs that give at most ``count`` results, and logits (results, classes).

    They are the first references, with the logits that training printed; of a stream, the first timesteps of the first
    one. Without references, it is one arbitrary input.
    """
    network = design.network
    samples, logits = design.references.samples[:count], design.references.logits[:count]
    if not len(samples):
        generator, spec = np.random.default_rng(BLANK_SAMPLE_SEED), network.input
        steps = () if spec.coding == "direct" else (network.timesteps,)
        samples = generator.integers(0, 256, (1, *steps, *spec.shape), dtype=np.uint8)
    bursts = encode(samples, network.input)
    if network.mode == "stream":
        bursts = bursts[:1, :count]
        logits = golden.run(network, bursts).sums[0].numpy()
    elif not len(logits):
        logits = golden.run(network, bursts).logits.numpy()
    return bursts, logits
