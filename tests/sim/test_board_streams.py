"""A stream through the virtual board: the real driver, the real protocol, the simulated top level of a build."""

import numpy as np
import pytest

from boards.host.device import Device
from gen import build
from qblif.golden import GoldenModel, run
from qblif.network.file import save_network
from qblif.network.references import ReferenceVectors
from sim.virtual_board import Noise, build_board, virtual_board
from tests.networks import recurrent_stream

BAD_LINE = Noise(bit_errors=1e-4, dropped=1e-4, seed=5)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder, network = tmp_path_factory.mktemp("stream"), recurrent_stream()
    samples = np.random.default_rng(1).integers(0, 4, (2, network.timesteps, *network.input.shape)).astype(np.uint8)
    known = run(network, samples.astype(np.int64))
    references = ReferenceVectors(samples=samples, logits=known.logits.numpy(), labels=known.classes.numpy())
    save_network(folder / "network", network, references)
    options = [
        "--board",
        "ulx3s_12f",
        "--ckpt",
        str(folder / "network"),
        "--until",
        "synth",
        "--out",
        str(folder / "b"),
    ]
    assert build.main(options) == 0
    return build_board(folder / "b", folder / "work")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "count"),
    [
        pytest.param(Noise(), 40, id="perfect line"),
        pytest.param(BAD_LINE, 2000, id="bad line"),
    ],
)
def test_every_timestep_has_the_golden_models_logits(board, noise, count):
    network, random = recurrent_stream(), np.random.default_rng(2)
    frames, golden = random.integers(0, 4, (count, *network.input.shape)), GoldenModel(network)
    expected = golden.advance(frames[np.newaxis]).sums[0].tolist()
    with virtual_board(board, noise=noise) as running, Device.open(str(running.port), timeout=10) as device:
        with device.stream() as stream:
            found = [stream.step(frame) for frame in frames]
            assert [None if one is None else one.tolist() for one in found] == expected
            assert 0 < stream.cycles_per_result() < 5000
        with device.stream() as again:
            assert np.array_equal(np.array(again.step(frames[0])), expected[0])
        assert (device.retries > 0) == (noise is BAD_LINE)
