"""No command builds a network that is not the trained one: the references are replayed where a checkpoint is read."""

import dataclasses

import numpy as np
import pytest
import torch

from gen import build, plan
from gen.frontend.origin import read_network
from qblif import golden
from qblif.errors import UserError
from qblif.network.checks import NetworkError
from qblif.network.nodes import InputSpec, Pooling, Readout
from qblif.network.projections import Conv2d, Dense
from qblif.network.references import ReferenceVectors
from studies.network_builder import NetworkBuilder
from studies.random_networks import dense_chain
from tests.networks import population_at, random_bursts, random_convolutions
from tests.reference import scalar_run


def set_timesteps(content):
    content["timesteps"] -= 1


def set_input_bits(content):
    content["input"]["bits"] -= 1


def set_leak(content):
    content["layers"][0]["leak"] = [1, 2]


def set_reset(content):
    content["layers"][0]["reset"] = "hard"


def set_ceiling(content):
    content["layers"][0]["burst_ceiling"] -= 2


def set_some_weights(content):
    weights = content["layers"][-1]["projections"][0]["weights"]
    weights[:, ::2] = torch.where(weights[:, ::2] > 0, weights[:, ::2] - 1, weights[:, ::2])


def set_a_sample(content):
    content["references"]["samples"][0] = 255 - content["references"]["samples"][0]


def set_a_logit(content):
    content["references"]["logits"][3, 0] += 1


EDITS = [
    set_timesteps, set_input_bits, set_leak, set_reset, set_ceiling, set_some_weights, set_a_sample, set_a_logit,
]  # fmt: skip


@pytest.fixture
def edited(digits_checkpoint, tmp_path):
    def edit(change):
        content = torch.load(digits_checkpoint, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "edited.pt")
        return tmp_path / "edited.pt"

    return edit


@pytest.mark.parametrize("change", EDITS)
def test_an_edited_checkpoint_is_not_read(edited, change):
    with pytest.raises(UserError, match=r"edited\.pt: \d+ of 16 reference inputs give other logits"):
        read_network(edited(change))


@pytest.mark.parametrize("main", [plan.main, build.main])
def test_nothing_is_planned_or_built_of_it(edited, main, tmp_path, fails):
    out = tmp_path / "out"
    options = ["--out", str(out)] if main is build.main else []
    line = fails(main, "--board", "ulx3s_85f", "--ckpt", edited(set_timesteps), *options)
    assert "reference inputs" in line
    assert not out.exists()


def test_a_trained_checkpoint_has_references(edited):
    def remove(content):
        content["references"] = {key: value[:0] for key, value in content["references"].items()}

    with pytest.raises(UserError, match="no reference inputs"):
        read_network(edited(remove))


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_is_the_integer_form(seed):
    network = random_convolutions(seed)
    bursts = random_bursts(network, 3, seed)
    if network.input.coding == "direct":
        # A byte for every burst, by the rule of the coding: n = floor(x * ceiling / 255 + 1/2).
        samples = (bursts[:, 0] * 255 // network.input.burst_ceiling).astype(np.uint8)
    else:
        samples = bursts.astype(np.uint8)
    logits = [scalar_run(network, inference).logits for inference in bursts]
    none = np.zeros(3, dtype=np.int64)
    known = ReferenceVectors(samples=samples, logits=np.array(logits), labels=none)
    assert golden.replay(network, known).tolist() == logits


def test_windows_in_parts_give_the_same_sums(monkeypatch):
    network = random_convolutions(2)
    bursts = random_bursts(network, 5, 2)
    whole = golden.run(network, bursts).logits
    monkeypatch.setattr(golden, "COLUMNS_AT_ONCE", 1)
    assert (golden.run(network, bursts).logits == whole).all()


def test_a_network_too_large_to_replay_is_refused_at_once():
    spec = InputSpec(shape=(1, 4096, 4096), coding="direct", bits=1)
    none = np.zeros(1, dtype=np.int64)
    readout = Readout(fraction_bits=1, bias=none, exponent=none)
    wide = Conv2d(source="input", target="hidden", weights=np.ones((1, 1, 2, 2), dtype=np.int64), weight_bits=2)
    small = dense_chain(1, sizes=(1, 1, 1))
    hidden = dataclasses.replace(population_at(small, 0), name="hidden", shape=(1, 4095, 4095))
    pooled = Pooling(name="pooled", source="hidden", kind="sum", kernel=4095)
    last = Dense(source="pooled", target="readout", weights=np.ones((1, 1), dtype=np.int64), weight_bits=2)
    network = dataclasses.replace(
        dense_chain(1, sizes=(1, 1, 1)),
        input=spec,
        nodes=(hidden, pooled),
        projections=(wide, last),
        readout=readout,
    )
    known = ReferenceVectors(samples=np.zeros((1, 1, 4096, 4096), dtype=np.uint8), logits=none[None], labels=none)
    with pytest.raises(NetworkError, match="hidden: windows of 67,076,100 bursts are too large"):
        golden.replay(network, known)


def test_a_pooling_that_would_take_hours_is_refused():
    """A file of some kilobytes could ask for it."""
    builder = NetworkBuilder(random=np.random.default_rng(1), shape=(1, 2048, 2048), neurons=lambda _: {})
    builder.pool("pool", "sum", 1024, stride=1)
    builder.pool("rest", "sum", builder.at[1:])
    builder.classify(2)
    none = np.zeros(2, dtype=np.int64)
    readout = Readout(fraction_bits=4, bias=none, exponent=none)
    network = builder.network(timesteps=1, coding="direct", input_bits=1, readout=readout)
    references = ReferenceVectors(
        samples=np.zeros((1, 1, 2048, 2048), dtype=np.uint8), logits=none[np.newaxis], labels=none[:1]
    )
    with pytest.raises(NetworkError, match="per inference"):
        golden.replay(network, references)
