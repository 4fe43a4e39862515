"""Whether a network fits, what a refusal says, and that every way out it names leads out."""

import dataclasses
import json
import re
import time
from typing import Any

import numpy as np
import pytest

from boards.catalogue import CATALOGUE, find_board
from gen import plan as plan_command
from gen.design import make_design, self_test_vectors
from gen.fit import check_fit
from gen.planning.candidates import evaluate_plan, with_samples
from gen.planning.plans import make_plan
from gen.planning.refusal import weight_bits
from gen.planning.search import SHARE_OF_BOARD
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Population, Readout
from qblif.network.projections import Conv2d, Dense
from studies.network_builder import NetworkBuilder
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.searching import found_in


def resized(sizes, bits):
    return dense_chain(1, sizes=sizes, weight_bits=bits)


@pytest.mark.parametrize(
    ("board", "sizes", "fps"),
    [
        ("icebreaker", (784, 128, 10), None),  # more weights than the chip holds bits
        ("icebreaker", (330, 84, 10), None),  # more block RAM than it has
        ("ulx3s_12f", (784, 250, 10), None),
        ("icebreaker", (64, 48, 10), 400_000),  # fits, but not so fast
    ],
)
def test_every_way_out_of_a_refusal_leads_out(board, sizes, fps):
    board, network = find_board(board), resized(sizes, 4)
    clock = board.default_clock_mhz
    with pytest.raises(UserError, match=rf"^the network is too big for {board.name}.*; take ") as refused:
        make_plan(network, board, clock, "", {}, fps)
    line = str(refused.value)
    ways = 0
    for bits in re.findall(r"weights of (\d) bits", line):
        make_plan(resized(sizes, int(bits)), board, clock, "", {}, fps)
        ways += 1
    for other in re.findall(r"the board (\w+)", line):
        make_plan(network, find_board(other), clock, "", {}, fps)
        ways += 1
    for slower in re.findall(r"--target-fps (\d+)", line):
        found = evaluate_plan(network, board, make_plan(network, board, clock, "", {}, float(slower)), {})
        assert clock * 1e6 / found.slowest >= float(slower)
        ways += 1
    assert ways
    for amount, limit in re.findall(r"(\d+) (?:\w+|logic cells) of the (\d+) that the chip has", line):
        assert float(amount) > float(limit)
        assert float(limit) in board.budget.limits.values()


def test_all_block_rams_may_be_used():
    network, board = resized((300, 64, 10), 4), find_board("icebreaker")
    found = evaluate_plan(network, board, make_plan(network, board, 21.0, "", {}), {})
    assert not found.excess(board, 1.0)
    assert found.total("bram") > SHARE_OF_BOARD * board.budget.bram


def test_where_nothing_stays_in_its_share_the_whole_chip_is_used():
    network, board = resized((300, 64, 10), 4), find_board("ulx3s_25f")
    small = dataclasses.replace(board, budget=dataclasses.replace(board.budget, lut=2500))
    found = evaluate_plan(network, small, make_plan(network, small, 80.0, "", {}), {})
    assert "lut" in found.excess(small, SHARE_OF_BOARD)
    assert not found.excess(small, 1.0)


CAN_NEVER_FIT = [("cifar10_cnn", "icebreaker"), ("fashion_mnist_cnn252k", "ulx3s_12f")]
MORE_THAT_DO_NOT = [
    *((name, board) for name in ("cifar10_cnn", "fashion_mnist_cnn252k") for board in ("tang_nano_9k", "ulx3s_12f")),
    ("fashion_mnist_cnn252k", "icebreaker"),
    ("fashion_mnist_mlp", "tang_nano_9k"),
    ("mnist_mlp75", "icebreaker"),
    ("digits_resnet", "icebreaker"),
]


def refused_within_seconds(zoo, name, board, fails):
    before = time.process_time()
    assert f"too big for {board}" in fails(plan_command.main, "--board", board, "--ckpt", zoo / f"{name}.pt")
    assert time.process_time() - before < 10


@pytest.mark.parametrize(("name", "board"), CAN_NEVER_FIT)
def test_what_can_never_fit_is_refused_at_once(name, board, zoo, fails):
    refused_within_seconds(zoo, name, board, fails)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "board"), MORE_THAT_DO_NOT)
def test_what_does_not_fit_is_refused_quickly(name, board, zoo, fails):
    refused_within_seconds(zoo, name, board, fails)


def test_zeros_between_groups_are_weights_that_a_chip_has_to_keep():
    """A depthwise layer of 256 channels has 2,304 weights, and takes the room of 589,824."""

    def neurons(channels):
        none = np.zeros(channels, dtype=np.int64)
        return {"fraction_bits": 4, "burst_ceiling": 1, "leak": Leak(), "reset": "soft", "bias": none, "exponent": none}

    builder = NetworkBuilder(random=np.random.default_rng(1), shape=(256, 3, 3), neurons=neurons)
    builder.convolve("depthwise", 256, 3, groups=256)
    builder.classify(2)
    none = np.zeros(2, dtype=np.int64)
    readout = Readout(fraction_bits=4, bias=none, exponent=none)
    network = builder.network(timesteps=1, coding="direct", input_bits=1, readout=readout)
    assert weight_bits(network) == 4 * (256 * 256 * 9 + 2 * 256)
    with pytest.raises(UserError, match="its weights are 2,361,344 bits"):
        plan_for(network, "icebreaker")


def cell(kind, **connections):
    return {"type": kind, "connections": {port: [bit] for port, bit in connections.items()}}


def test_flip_flops_of_a_gowin_that_take_a_place_of_their_own(tmp_path):
    cells = [
        cell("LUT4", I0=2, F=10),
        cell("DFFCE", D=10, Q=11),  # behind its LUT
        cell("DFFCE", D=10, Q=12),  # that LUT has only one place for a flip-flop
        cell("ALU", I0=3, SUM=13, COUT=14),
        cell("DFF", D=13, Q=15),  # behind the sum of a carry cell
        cell("DFF", D=14, Q=16),  # a carry is not a sum
        cell("DFF", D=15, Q=17),  # of a shift register
        cell("LUT1", I0=4, F=18),
        cell("SDPB", DO=19),
        cell("DFFE", D=19, Q=20),  # right out of a block RAM
        cell("DFFE", D="0", Q=21),
        cell("MUX2_LUT5", O=22),
    ]
    netlist = {"modules": {"top": {"cells": {str(number): one for number, one in enumerate(cells)}}}}
    (tmp_path / "top.json").write_text(json.dumps(netlist))
    # Three LUTs and carry cells, and all flip-flops but the two that are behind one.
    assert find_board("tang_nano_9k").family.logic_cells(tmp_path) == 3 + 5


def test_logic_cells_are_counted_where_a_flip_flop_takes_the_place_of_a_lut():
    for board in CATALOGUE.values():
        limits = board.budget.limits
        assert ("cells" in limits) == (board.family.name in ("ice40", "gowin"))
        assert ("lut" in limits) != ("cells" in limits)
    board = find_board("icebreaker")
    found = evaluate_plan(network := resized((64, 48, 10), 4), board, make_plan(network, board, 21.0, "", {}), {})
    assert found.total("lut") < found.total("cells") < found.total("lut") + found.total("ff")
    full = dataclasses.replace(board, budget=dataclasses.replace(board.budget, cells=int(found.total("lut")) + 1))
    assert set(found.excess(full, 1.0)) == {"cells"}


def event_network(timesteps):
    """One convolution and a readout behind event frames of 2x16x16."""
    random = np.random.default_rng(0)
    constants: dict[str, Any] = {"bias": np.zeros(4, dtype=np.int64), "exponent": np.zeros(4, dtype=np.int64)}
    hidden = Population(
        name="conv", shape=(4, 7, 7), fraction_bits=4, burst_ceiling=3, leak=Leak(multiplier=1, shift=1), reset="soft",
        **constants,
    )  # fmt: skip
    projections = (
        Conv2d(source="input", target="conv", weights=random.integers(-8, 8, (4, 2, 4, 4)), weight_bits=4, stride=2),
        Dense(source="conv", target="readout", weights=random.integers(-8, 8, (4, 196)), weight_bits=4),
    )
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=(2, 16, 16), coding="events", bits=2),
        nodes=(hidden,),
        projections=projections,
        readout=Readout(fraction_bits=4, **constants),
    )


@pytest.mark.parametrize(
    ("board", "timesteps", "samples"),
    # A sample is 2 x 16 x 16 x 2 x T bits, so many DP16KD of 18, SB_RAM40 of 4 or BSRAM of 18 kbit.
    [
        ("ulx3s_85f", 2, [8]),
        ("ulx3s_85f", 25, [1]),
        ("tang_primer_20k", 40, range(1, 16)),
        ("icebreaker", 8, range(1, 4)),
    ],
)
def test_the_self_test_holds_as_many_samples_as_fit(board, timesteps, samples):
    board, network = find_board(board), event_network(timesteps)
    inputs = np.zeros((16, timesteps, 2, 16, 16), dtype=np.int64)
    plan = make_plan(network, board, board.default_clock_mhz, "", {}, None, inputs, schedule="position_major")
    assert plan.self_test_samples in samples
    found = evaluate_plan(network, board, plan, {}, inputs)
    assert not found.excess(board, 1.0)
    one_more = with_samples(found, board, plan.self_test_samples + 1)
    beats = one_more.plan.self_test_samples * found.config.beats_per_result
    assert beats > board.family.deepest_table or "bram" in one_more.excess(board, 1.0)


def test_where_not_even_one_sample_fits_there_is_no_self_test():
    network, board = resized((330, 64, 10), 4), find_board("icebreaker")
    inputs = np.zeros((16, 1, 330, 1, 1), dtype=np.int64)
    plan = make_plan(network, board, 21.0, "", {}, None, inputs)
    found = evaluate_plan(network, board, plan, {}, inputs)
    assert plan.self_test_samples == 0
    assert not found.excess(board, 1.0)
    assert "bram" in with_samples(found, board, 1).excess(board, 1.0)
    # A board without a host link would show nothing at all.
    with pytest.raises(UserError, match="too big for upduino_v3"):
        make_plan(event_network(130), find_board("upduino_v3"), 12.0, "", {}, None, np.zeros((1, 130, 2, 16, 16), int))


def test_what_synthesis_finds_too_big_names_a_rate_that_is_smaller(digits_checkpoint):
    design = make_design(digits_checkpoint, "icebreaker")
    limits = design.board.budget
    fitting = dataclasses.replace(limits, lut=4_257, ff=2_845, bram=20, dsp=0)
    check_fit(design, fitting)
    line = "needs 5798 logic cells of the 5280 that the chip has, most in .*; take --target-fps (\\d+)"
    with pytest.raises(UserError, match=line) as refused:
        check_fit(design, dataclasses.replace(fitting, cells=5_798))
    rate = float(found_in(line, str(refused.value))[1])
    smaller = make_design(digits_checkpoint, "icebreaker", target_fps=rate)

    def cells(one):
        return evaluate_plan(one.network, one.board, one.plan, one.origin.activity, one.inputs).total("cells")

    assert cells(smaller) / cells(design) <= 5280 / 5798
    with pytest.raises(UserError, match="take a smaller network or a bigger board"):
        check_fit(design, dataclasses.replace(fitting, bram=500))


def test_the_self_test_replays_what_the_plan_says(digits_checkpoint, tmp_path):
    whole = make_design(digits_checkpoint, "icebreaker", target_fps=20_000)
    assert whole.plan.self_test_samples == 16
    path = tmp_path / "plan.json"
    for count in (0, 3):
        path.write_text(dataclasses.replace(whole.plan, self_test_samples=count).to_json())
        vectors = self_test_vectors(make_design(digits_checkpoint, "icebreaker", plan_file=path))
        assert vectors.logits == whole.references.logits[:count].reshape(-1).tolist()
        assert len(vectors.beats) == count * whole.config.beats_per_result
    path.write_text(dataclasses.replace(whole.plan, self_test_samples=0, board="upduino_v3", clock_mhz=12.0).to_json())
    with pytest.raises(UserError, match="nothing shows what upduino_v3 computes"):
        make_design(digits_checkpoint, "upduino_v3", plan_file=path)


def test_a_network_that_fits_by_a_hair_of_its_estimate_is_refused(zoo):
    """An estimated 7,628 of 7,680 logic cells were 8,164 after synthesis."""
    with pytest.raises(UserError, match=r"logic cells of the 7680 that the chip has, too many for an estimate"):
        make_design(zoo / "digits_resnet.pt", "ice40_hx8k")
