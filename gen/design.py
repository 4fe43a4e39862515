"""One way from a checkpoint to the design that is built and simulated: the same inputs give the same plan."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boards.board import Board
from boards.catalogue import find_board
from gen.checkpoint import Checkpoint, load_checkpoint
from gen.fold import fold, references
from gen.plan import make_plan, proved_widths
from gen.widths import layer_bounds
from hw.beats import beat_words, input_beats
from hw.configuration import TopConfig, configure
from hw.errors import UserError
from hw.network import Network, ReferenceVectors, encode
from hw.network_file import network_sha256
from hw.plan import Plan, load_plan
from hw.selftest import SelfTestVectors

BLANK_SAMPLE_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Design:
    """A checkpoint on a board: network, plan and the configuration that both give."""

    checkpoint: Checkpoint
    board: Board
    network: Network
    references: ReferenceVectors
    sha256: str
    plan: Plan
    config: TopConfig


def make_design(
    checkpoint: Path, board_name: str, *, clock_mhz: float | None = None, plan_file: Path | None = None
) -> Design:
    """Read the checkpoint, fold it and plan it for the board.

    Args:
        checkpoint: file of snn.train.
        board_name: see boards.catalogue.
        clock_mhz: wanted clock; the board's default otherwise. The PLL's nearest frequency is taken.
        plan_file: a saved plan to use instead of making one.

    Raises:
        UserError: anything about these that the user can put right.
    """
    board = find_board(board_name)
    if clock_mhz is not None and not 0 < clock_mhz < 1000:
        raise UserError(f"--clock-mhz {clock_mhz:g} is not a clock frequency in MHz")
    clock = board.family.clock_mhz(board, board.default_clock_mhz if clock_mhz is None else clock_mhz)
    loaded = load_checkpoint(checkpoint)
    network = fold(loaded)
    vectors = references(loaded, network)
    logits = layer_bounds(network, network.readout).current
    if ((vectors.logits < logits.low) | (vectors.logits > logits.high)).any():
        raise UserError(f"{checkpoint}: a reference logit is none that this network could print")
    sha256 = network_sha256(network, vectors)
    if plan_file is None:
        plan = make_plan(network, board, clock, sha256, loaded.activity)
    else:
        plan = load_plan(plan_file)
        check_plan(plan, plan_file, board, sha256)
        if clock_mhz is not None and plan.clock_mhz != clock:
            raise UserError(f"{plan_file} is a plan for {plan.clock_mhz:g} MHz; leave out --clock-mhz or --plan")
    config = configure(network, plan)
    check_widths(plan, network)
    return Design(
        checkpoint=loaded,
        board=board,
        network=network,
        references=vectors,
        sha256=sha256,
        plan=plan,
        config=config,
    )


def check_plan(plan: Plan, path: Path, board: Board, sha256: str) -> None:
    """Raise UserError unless a loaded plan is for this network and board, at a clock it has."""
    if (plan.board, plan.network_sha256) != (board.name, sha256):
        raise UserError(f"{path} is a plan for another board or network; leave out --plan to make a new one")
    if abs(board.family.clock_mhz(board, plan.clock_mhz) - plan.clock_mhz) > 1e-6:
        raise UserError(f"{path}: the board's PLL cannot make {plan.clock_mhz:g} MHz")


def check_widths(plan: Plan, network: Network) -> None:
    """Raise UserError if a register of the plan is narrower than what was proved."""
    for target in network.targets:
        layer = plan.layer(target.name)
        for field, bits in proved_widths(layer_bounds(network, target)).items():
            if getattr(layer, field) < bits:
                raise UserError(f"the plan's layer {layer.name}: {field} must be at least {bits}, or sums would wrap")


def self_test_vectors(design: Design) -> SelfTestVectors:
    """The reference vectors as the on-chip harness replays them; without references one arbitrary sample, unchecked."""
    samples = design.references.samples
    if not len(samples):
        generator = np.random.default_rng(BLANK_SAMPLE_SEED)
        samples = generator.integers(0, 256, (1, *design.network.input.shape), dtype=np.uint8)
    beats = input_beats(encode(samples, design.network.input), design.config.input)
    return SelfTestVectors(
        beats=beat_words(beats, design.config.input.burst_bits),
        logits=[int(logit) for logit in design.references.logits.reshape(-1)],
    )
