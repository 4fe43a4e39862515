import dataclasses
import hashlib
import json
import re
from typing import Any

import numpy as np
import pytest

from boards.block_ram import UNPACKED
from boards.catalogue import find_board
from boards.families.ice40 import ICE40
from boards.host.device import Device
from gen import build, building
from gen.built import built_hardware
from gen.design import Design, too_narrow
from gen.emit.block_rams import MEMORIES, load_blocks, read_back
from gen.emit.board_top import board_top
from gen.emit.memory_images import RTLIL, MemoryImage, memory_images, with_placeholders, without_placeholders
from gen.emit.patch import differences, part_differences, patch_files
from gen.frontend.origin import read_network
from gen.planning.plans import make_plan
from gen.reported import file_hash
from gen.targets import board
from hw.configure import configure
from hw.plan import load_plan
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.file import load_network, network_sha256
from qblif.network.nodes import Leak
from qblif.network.references import ReferenceVectors
from sim.virtual_board import build_board, virtual_board
from snn import train
from studies import patching
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.networks import population_at, random_convolutions


def design_of(network, board, plan, checkpoint):
    """A design without a checkpoint of its own, and with two reference inputs that say nothing."""
    origin = dataclasses.replace(read_network(checkpoint)[0], activity={})
    count, classes, bits = 2, len(network.readout.bias), configure(network, plan).readout.logit_bits
    random = np.random.default_rng(0)
    references = ReferenceVectors(
        samples=random.integers(0, 256, (count, *network.input.shape), dtype=np.uint8),
        logits=random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (count, classes)),
        labels=np.zeros(count, dtype=np.int64),
    )
    sha256 = network_sha256(network, references)
    plan = dataclasses.replace(plan, network_sha256=sha256)
    assert not list(too_narrow(plan, network))
    return Design(
        origin=origin, board=find_board(board), network=network, references=references, sha256=sha256, plan=plan,
        config=configure(network, plan),
    )  # fmt: skip


@pytest.fixture(scope="module")
def designs(digits_checkpoint):
    """Two networks of the same shape in the same hardware, which is an iCEBreaker's."""
    networks = [dense_chain(seed) for seed in (1, 2)]
    plan = make_plan(networks[0], find_board("icebreaker"), 21.0, "", {}, 1e4, patch_margin=2)
    return [design_of(network, "icebreaker", plan, digits_checkpoint) for network in networks]


@pytest.fixture(scope="module")
def built(designs, tmp_path_factory):
    """A build of the first."""
    out = tmp_path_factory.mktemp("patchable") / "built"
    building.run_build(designs[0], out, "bitstream")
    return out


def test_the_netlist_knows_nothing_of_the_weights(designs):
    one, two = designs
    assert one.plan.patchable
    assert board.board_files(one) == board.board_files(two)
    pairs = zip(memory_images(one), memory_images(two), strict=True)
    assert {image.path for image, other in pairs if image == other} == {
        "device.self_test.samples",
        "device.self_test.expected",
    }
    wrong = memory_images(two)[0]
    with pytest.raises(RuntimeError, match="does not hold its words"):
        with_placeholders(unpatchable_files(one)[RTLIL], [wrong])


def test_the_margin_is_on_top_of_what_the_network_needs(designs):
    design = designs[0]
    for target in design.network.targets:
        layer = design.plan.stage(target.name).widths
        bias = target.bias * (design.network.timesteps if target.name == "readout" else 1)
        reach = max(abs(int(bias.min()) + 0.5), abs(int(bias.max()) + 0.5))
        assert 2 ** (layer.bias - 4) < reach < 2 ** (layer.bias - 3)
        assert layer.exponent == len(f"{int(target.exponent.max()) + 2:b}")
    with pytest.raises(UserError, match="--width-margin"):
        make_plan(design.network, design.board, 21.0, "", {}, 1e4, patch_margin=60)


def test_the_default_margin_leaves_room_for_a_retraining(digits_checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--board", "icebreaker", "--ckpt", str(digits_checkpoint), "--target-fps", "20000", "--patchable"]
    assert build.main([*arguments, "--until", "rtl", "--out", str(out)]) == 0
    assert "registers are 2 bits wider than this network needs" in capsys.readouterr().out
    assert json.loads((out / "report.json").read_text())["width_margin"] == 2
    plan, (network, _) = load_plan(out / "plan.json"), load_network(out / "network.safetensors")

    def retrained(factor):
        """The network with larger biases, which is what a retraining needed more bits for."""
        hidden = population_at(network, 0)
        nodes = (dataclasses.replace(hidden, bias=hidden.bias * factor),)
        readout = dataclasses.replace(network.readout, bias=network.readout.bias * factor)
        return dataclasses.replace(network, nodes=nodes, readout=readout)

    assert not list(too_narrow(plan, retrained(2)))
    assert not list(too_narrow(plan, retrained(3)))
    assert list(too_narrow(plan, retrained(8)))
    assert build.main([*arguments, "--until", "rtl", "--out", str(out), "--width-margin", "0"]) == 0
    assert list(too_narrow(load_plan(out / "plan.json"), retrained(2)))


def unpatchable_files(design):
    """The files of a design whose own words are synthesised."""
    return design.board.family.files(design.board, board_top(design), design.plan.clock_mhz)


def test_a_patchable_build_is_read_back(built, designs):
    report, design = json.loads((built / "report.json").read_text()), designs[0]
    form, memories, images = design.board.family.block_ram_format, load_blocks(built / MEMORIES), memory_images(design)
    assert report["read_back"] == [image.path for image in images]
    assert report["not_read_back"] == []
    assert report["resources"]["bram"] == report["estimated"]["bram"]
    assert not (built / UNPACKED).exists()
    wrong = dataclasses.replace(images[0], words=(*images[0].words[:-1], images[0].words[-1] ^ 1))
    with pytest.raises(RuntimeError, match=r"weights_0\.0\.0: 1 bits in the bitstream"):
        read_back(built, report["bitstream"], form, memories, [wrong, *images[1:]])


def test_what_was_placed_is_reported(built):
    """Of a small network; that of the digits to a bitstream is a slow test of gen.build."""
    report = json.loads((built / "report.json").read_text())
    assert report["fmax_mhz"] >= report["clock_mhz"]
    used = report["resources"]
    assert used["dsp"] == 0
    assert set(re.findall(r"ICESTORM_LC: +(\d+)/", (built / "nextpnr.log").read_text())) == {str(used["cells"])}
    assert used["lut"] < used["cells"] < used["lut"] + used["ff"]
    assert report["estimated"]["cells"] == pytest.approx(used["cells"], rel=0.15)
    assert f"| logic cells | {used['cells']:g} |" in (built / "report.md").read_text()
    assert (built / report["bitstream"]).stat().st_size > 100_000
    assert "device.link.answerer.identity" in report["read_back"]
    weights = [stage.name for stage in load_plan(built / "plan.json").stages if "weights" in stage.tables()]
    assert weights
    assert all(any(f".{name}_projection.array.weights_" in path for path in report["read_back"]) for name in weights)
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_what_is_flashed_is_simulated(built, designs, tmp_path):
    """The netlist was made of placeholders; a build that is not patchable has the words themselves in it."""
    there = tmp_path / "there"
    building.run_build(designs[1], there, "bitstream", built)
    for folder, design in ((built, designs[0]), (there, designs[1])):
        rtlil = (folder / RTLIL).read_text()
        assert without_placeholders(rtlil, memory_images(built_hardware(folder))) == unpatchable_files(design)[RTLIL]
        assert rtlil != unpatchable_files(design)[RTLIL]


def test_patched_there_and_back_again(built, designs, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    report = building.run_build(designs[1], there, "bitstream", built)
    assert report["patched_from"]["network_sha256"] == designs[0].sha256
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert (there / "top.bin").read_bytes() != (built / "top.bin").read_bytes()
    assert "patched" in (there / "report.md").read_text()
    building.run_build(designs[0], back, "bitstream", there)
    for name in ("top.bin", "top.asc", "top.json", "plan.json", "network.safetensors", MEMORIES):
        assert (back / name).read_bytes() == (built / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize(("board", "clock"), [("icebreaker", 21.0), ("ulx3s_12f", 80.0)])
def test_the_same_bitstream_as_with_the_words_synthesised(board, clock, digits_checkpoint, tmp_path, monkeypatch):
    network = dense_chain(0, sizes=(12, 8, 16))
    plan = make_plan(network, find_board(board), clock, "", {}, 1e4, patch_margin=0)
    design = design_of(network, board, plan, digits_checkpoint)
    # Yosys would make logic of a column that is the same in all words, and so another netlist.
    assert not any((image.bits == image.bits[0]).all(axis=0).any() for image in memory_images(design))
    form = design.board.family.block_ram_format
    filled, synthesised = tmp_path / "filled", tmp_path / "synthesised"
    building.run_build(design, filled, "bitstream")
    monkeypatch.setattr(Design, "patchable", False)
    building.run_build(design, synthesised, "bitstream")
    for name in (form.text, design.board.family.bitstream()):
        assert (filled / name).read_bytes() == (synthesised / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("board", ["icebreaker", "ulx3s_12f"])
def test_a_retrained_network_patched_and_built(board, digits_checkpoint, tmp_path, capsys):
    other = tmp_path / "retrained.pt"
    recipe = ["--data", "digits", "--hidden", "32", "--float-epochs", "20", "--qat-epochs", "20", "--seed", "2"]
    assert train.main([*recipe, "--like", str(digits_checkpoint), "--out", str(other)]) == 0
    arguments = ["--ckpt", str(digits_checkpoint), "--other", str(other), "--target-fps", "20000"]
    assert patching.main([*arguments, "--board", board, "--out", str(tmp_path / "out")]) == 0
    assert "none of top.json" in capsys.readouterr().out


def accept_plan(built, *, file_alone=False):
    """Have the report of a build name the plan that is there now."""
    report = json.loads((built / "report.json").read_text())
    report["files"]["plan.json"] = hashlib.sha256((built / "plan.json").read_bytes()).hexdigest()
    if not file_alone:
        report["plan_sha256"] = load_plan(built / "plan.json").sha256
    (built / "report.json").write_text(json.dumps(report))


def test_refusals(digits_checkpoint, fashion_checkpoint, tmp_path, fails, capsys):
    built = tmp_path / "built"
    new = ["--board", "icebreaker", "--ckpt", str(digits_checkpoint), "--out", str(built)]
    assert build.main([*new, "--until", "rtl", "--target-fps", "20000", "--patchable"]) == 0
    capsys.readouterr()
    good = ["--patch", built, "--ckpt", digits_checkpoint]
    assert "not a patchable design with a bitstream" in fails(build.main, *good)
    (built / MEMORIES).write_text("[]")
    report = json.loads((built / "report.json").read_text())
    report["files"][MEMORIES] = file_hash(built / MEMORIES)
    (built / "report.json").write_text(json.dumps(report))
    assert "--patch goes with" in fails(build.main, *good, "--board", "icebreaker")
    assert "--patch goes with" in fails(build.main, "--patch", built)
    assert "not a build folder" in fails(build.main, "--patch", tmp_path, "--ckpt", digits_checkpoint)
    assert "input: shape is (1, 28, 28)" in fails(build.main, "--patch", built, "--ckpt", fashion_checkpoint)
    with pytest.raises(UserError, match="of another version"):
        patch_files(built, tmp_path, ICE40.block_ram_format, [MemoryImage(path="other", width=1, words=(0, 1))])
    plan = json.loads((built / "plan.json").read_text())
    plan["stages"][0]["widths"]["bias"] = 3
    (built / "plan.json").write_text(json.dumps(plan))
    assert "plan.json is not the file that was built" in fails(build.main, *good)
    accept_plan(built, file_alone=True)
    assert "another plan than report.json" in fails(build.main, *good)
    accept_plan(built)
    line = fails(build.main, *good)
    assert re.search(r"hidden_0 needs \d+ bits for bias, and it has 3", line)
    assert "--width-margin" in line
    plan["stages"][0]["neurons"]["constants_memory"] = "logic"
    (built / "plan.json").write_text(json.dumps(plan))
    accept_plan(built)
    assert "--patchable" in fails(build.main, *good)

    assert "--patchable" in fails(build.main, *new, "--width-margin", "1")
    assert "arty_a7" in fails(build.main, "--board", "arty_a7", "--ckpt", digits_checkpoint, "--patchable")
    assert "leave out" in fails(build.main, *new, "--patchable", "--plan", built / "plan.json")


def test_differences():
    network = dense_chain(1)
    hidden = population_at(network, 0)

    def found(changed):
        return list(differences(network, changed))

    assert found(network) == found(dense_chain(2)) == []
    readout = dataclasses.replace(network.readout, fraction_bits=9)
    assert found(dataclasses.replace(network, readout=readout)) == []
    assert found(dense_chain(1, timesteps=2)) == ["it has 2 timesteps, and 3 were built"]
    leak = Leak(multiplier=3, shift=2)
    changes: dict[str, Any] = {"fraction_bits": 6, "burst_ceiling": 2, "leak": leak, "reset": "hard"}
    for name, value in changes.items():
        changed = dataclasses.replace(network, nodes=(dataclasses.replace(hidden, **{name: value}),))
        assert [name in line for line in found(changed)] == [True]
    assert "weights is (7, 12), and (8, 12) was built" in "; ".join(found(dense_chain(1, sizes=(12, 7, 5))))
    assert found(dense_chain(1, sizes=(12, 8, 8, 5))) == ["it has other layers or connections"]
    skip = next(part for seed in range(20) for part in random_convolutions(seed).projections if part.kind == "skip")
    line = list(part_differences(dataclasses.replace(skip, weight=skip.weight + 1), skip))
    assert line == [f"{skip.source} -> {skip.target}: weight is {skip.weight + 1}, and {skip.weight} was built"]


def test_an_ordinary_plan_is_not_patchable():
    assert not plan_for(dense_chain(1), "icebreaker").patchable


@pytest.mark.slow
def test_the_virtual_board_of_a_patchable_and_of_a_patched_build(built, designs, tmp_path):
    patched = tmp_path / "patched"
    building.run_build(designs[1], patched, "bitstream", built)
    samples = np.random.default_rng(3).integers(0, 256, (20, *designs[0].network.input.shape), dtype=np.uint8)
    for folder, design in ((built, designs[0]), (patched, designs[1])):
        expected = golden.run(design.network, encode(samples, design.network.input))
        board = build_board(folder, tmp_path / "board")
        with virtual_board(board) as running, Device.open(str(running.port), timeout=10) as device:
            assert device.identity.network_sha256.hex() == design.sha256
            results = device.infer(samples)
        assert np.array_equal(results.logits, expected.logits.numpy())
        assert np.array_equal(results.winners, expected.classes.numpy())
