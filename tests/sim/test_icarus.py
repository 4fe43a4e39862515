"""The emitted Verilog on Icarus, which evaluates nothing that did not change: every shipped network, and the least that
has a padded convolution."""

import numpy as np
import pytest

from gen.design import make_design
from gen.emit.rtl import network_verilog
from hw.configure import configure
from qblif import golden
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Population, Readout
from qblif.network.projections import Conv2d, Dense
from sim.inferences import FULL_SPEED, Inferences, inferences_of, simulate
from sim.simulator import build_simulation
from studies.plan_edits import plan_for
from tests.networks import random_bursts
from tests.sim.test_run import needs_icarus

pytestmark = [needs_icarus, pytest.mark.icarus]
IMAGES = 2
SHIPPED = {
    "digits_mlp": ("icebreaker", None),
    "digits_resnet": ("arty_a7", 20_000),
    "mnist_mlp75": ("arty_a7", 850_000),
    "mnist_mlp128": ("arty_a7", 850_000),
    "fashion_mnist_mlp": ("ulx3s_85f", 100_000),
    "fashion_mnist_cnn": ("ulx3s_45f", 5200),
    "fashion_mnist_cnn252k": ("ulx3s_85f", 1800),
    "cifar10_cnn": ("arty_a7_100", 3000),
    "nmnist_cnn": ("ulx3s_45f", 900),
}
FAST = ("digits_resnet",)
"""The others take a minute and more."""


def padded(timesteps: int) -> Network:
    """Input 1x4x4, one convolution 3x3 with padding 1, and a readout."""
    random = np.random.default_rng(7)
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=(1, 4, 4), coding="direct", bits=2),
        nodes=(
            Population(
                name="layer",
                shape=(2, 4, 4),
                fraction_bits=3,
                burst_ceiling=3,
                leak=Leak(),
                reset="soft",
                bias=np.array([3, -2]),
                exponent=np.zeros(2, dtype=np.int64),
            ),
        ),
        projections=(
            Conv2d(
                source="input",
                target="layer",
                weights=random.integers(-8, 8, (2, 1, 3, 3)),
                weight_bits=4,
                stride=1,
                padding=1,
            ),
            Dense(source="layer", target="readout", weights=random.integers(-8, 8, (3, 32)), weight_bits=4),
        ),
        readout=Readout(fraction_bits=3, bias=np.arange(3), exponent=np.zeros(3, dtype=np.int64)),
    )


@pytest.mark.parametrize("timesteps", [1, 2])
def test_a_padded_convolution(timesteps, tmp_path):
    """At T = 1 the index of a table in the network never changes before it is used."""
    network = padded(timesteps)
    config = configure(network, plan_for(network))
    bursts = random_bursts(network, 3)
    inferences = inferences_of(network, bursts)
    simulation = build_simulation(config, "icarus", tmp_path, waves=False)
    comparison = simulate(config, simulation, inferences, FULL_SPEED).comparison
    assert comparison.mismatches == 0, comparison.first


def test_every_combinational_block_is_evaluated_at_time_0():
    """Each reads a register that the module sets at time 0, after all blocks have begun to wait."""
    network = padded(1)
    for module in network_verilog(configure(network, plan_for(network))).split("\nendmodule")[:-1]:
        blocks = module.split("always @* begin\n")[1:]
        triggers = {block.strip().splitlines()[0] for block in blocks}
        assert len(triggers) <= 1
        for line in triggers:
            name = line.removeprefix("if (").removesuffix(") begin end")
            assert f"  reg {name};\n  initial {name}<= 0;\n" in module


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
def test_shipped_networks_every_beat(name, zoo, tmp_path):
    """Inputs are the checkpoint's references: what the trained network printed for them is known."""
    board, target_fps = SHIPPED[name]
    design = make_design(zoo / f"{name}.pt", board, target_fps=target_fps)
    bursts = encode(design.references.samples[:IMAGES], design.network.input)
    known = golden.run(design.network, bursts)
    assert (known.logits.numpy() == design.references.logits[:IMAGES]).all()
    simulation = build_simulation(design.config, "icarus", tmp_path, waves=False)
    comparison = simulate(design.config, simulation, Inferences(bursts=bursts, golden=known), FULL_SPEED).comparison
    assert comparison.mismatches == 0, comparison.first
