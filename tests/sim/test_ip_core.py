"""Cores, driven by cocotbext-axi and a Wishbone master, against the golden model."""

import dataclasses

import numpy as np
import pytest

from boards.parts import find_part
from gen.design import Design, make_design
from gen.planning.plans import make_plan
from hw.configure import configure
from qblif.zoo import checkpoint
from sim import ip_core
from sim.core_verification import runs_of, simulate
from snn.datasets.data import load
from studies.random_networks import dense_chain
from tests.networks import weighted_at

COUNT = 6


def retrained(design: Design) -> Design:
    """Another network of the same shape and widths: the same weights, in another order."""
    network, random = design.network, np.random.default_rng(3)
    projections = list(network.projections)
    for place in range(len(projections)):
        weights = weighted_at(network, place).weights
        mixed = random.permuted(weights, axis=1)
        projections[place] = dataclasses.replace(weighted_at(network, place), weights=mixed)
    other = dataclasses.replace(network, projections=tuple(projections))
    return dataclasses.replace(design, network=other, config=configure(other, design.plan))


@pytest.fixture(scope="module")
def design() -> Design:
    return make_design(checkpoint("digits_mlp"), find_part("lfe5u-45"), patch_margin=2, target="axi")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cores")


def test_every_packet_gets_its_answer(design, folder):
    pixels = load("digits", "test", None, design.network.timesteps).first(COUNT).pixels
    runs = runs_of(design, retrained(design), pixels, COUNT)
    found = simulate(design, runs, "verilator", folder)
    assert [(one.name, one.mismatches, one.hangs, one.first) for one in found] == [(run.name, 0, 0, "") for run in runs]
    assert found[0].answered == found[0].sent == 2 * COUNT
    assert found[1].answered == COUNT
    assert found[2].resets == found[3].resets == 4
    assert found[3].accesses > 4
    assert found[4].answered == COUNT
    # The same packets, one of which claims to get another answer, and one another mark.
    wrong = list(runs[1].packets)
    wrong[2] = dataclasses.replace(wrong[2], answer=wrong[2].answer[::-1])
    wrong[4] = dataclasses.replace(wrong[4], bad=True)
    lost = dataclasses.replace(runs[1], packets=[*runs[1].packets, dataclasses.replace(runs[1].packets[0], sent=b"")])
    tables = [(words, checksum ^ 1) for words, checksum in runs[4].tables]
    broken = [
        dataclasses.replace(runs[1], packets=wrong),
        dataclasses.replace(runs[0], counted={"short_packets": 1000}),
        lost,
        dataclasses.replace(runs[4], tables=tables),
    ]
    found = simulate(design, broken, "verilator", folder)
    assert [one.mismatches for one in found] == [2, 1, 0, len(tables)]
    assert found[0].first.startswith("packet 2: ")
    assert found[2].hangs == 1


@pytest.mark.slow
@pytest.mark.parametrize("target", ["wishbone", "stream"])
@pytest.mark.parametrize("schedule", ["position_major", "time_major"])
def test_other_ports_and_schedules(target, schedule, design, folder):
    network = dense_chain(4, sizes=(12, 6, 4), timesteps=3)
    plan = make_plan(network, find_part("lfe5u-45"), 80.0, "0" * 64, {}, schedule=schedule)
    other = dataclasses.replace(
        design, network=network, plan=plan, config=configure(network, plan), target=target, sha256="0" * 64
    )
    pixels = np.random.default_rng(1).integers(0, 256, (COUNT, *network.input.shape), dtype=np.uint8)
    runs = runs_of(other, None, pixels, COUNT)
    found = simulate(other, runs, "verilator", folder)
    assert [(one.name, one.mismatches, one.hangs, one.first) for one in found] == [(run.name, 0, 0, "") for run in runs]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "xilinx"])
def test_the_netlist_of_a_core(family, design, folder):
    """With tables of another network, which go into block RAM."""
    network = dense_chain(4, sizes=(12, 6, 4), timesteps=3)
    plan = make_plan(network, find_part("lfe5u-45"), 80.0, "0" * 64, {}, patch_margin=2)
    small = dataclasses.replace(design, network=network, plan=plan, config=configure(network, plan))
    pixels = np.random.default_rng(1).integers(0, 256, (COUNT, *network.input.shape), dtype=np.uint8)
    runs = runs_of(small, retrained(small), pixels, COUNT)
    found = simulate(small, runs, "verilator", folder, family)
    assert [(one.name, one.mismatches, one.hangs, one.first) for one in found] == [(run.name, 0, 0, "") for run in runs]
    assert len(found) == 5


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    words = ["--ckpt", "digits_mlp", "--data", "digits", "--count", "4", "--target", "wishbone", "--work-dir", tmp_path]
    assert ip_core.main([str(word) for word in words]) == 0
    assert "0 mismatches, 0 hangs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--malformed", "-1"], "--malformed"),
        (["--other", "digits_mlp"], "--patchable"),
        (["--part", "none"], "there are"),
        (["--target", "board"], "--target"),
    ],
)
def test_what_is_refused(words, said, fails):
    assert said in fails(ip_core.main, "--ckpt", "digits_mlp", "--data", "digits", *words)
