"""What models and trainings can be asked for: refused where it is made, in one line, or reachable from everywhere."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch

from gen.frontend.origin import read_network
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec, Leak
from snn import run, train
from snn.architecture import ModelOptions
from snn.bursts import Encoder, MaxPool2d, SumPool2d
from snn.command import command_of, parse
from snn.datasets.data import load
from snn.models import make_model, model_options_of
from snn.neuron import QBLIF
from snn.projections import QuantConv2d, QuantLinear
from snn.recipe import Recipe
from snn.surrogate import Surrogate
from snn.values import leak_of
from tests.networks import population_at, weighted_at
from tests.snn.killed import few

SPEC = InputSpec(shape=(1, 8, 8), coding="direct", bits=4)


def odd(value: Any) -> Any:
    """A value of another type than the one that is asked for."""
    return value


WRONG = {
    "weight_bits 1 ": lambda: QuantLinear(4, 4, weight_bits=1),
    "weight_bits 0 ": lambda: QuantLinear(4, 4, weight_bits=0),
    "weight_bits 17 ": lambda: QuantConv2d(1, 4, 3, weight_bits=17),
    "weight_bits 4.0 ": lambda: QuantLinear(4, 4, weight_bits=odd(4.0)),
    "weight_bits True ": lambda: QuantLinear(4, 4, weight_bits=True),
    "neurons 0 ": lambda: QuantLinear(4, 0),
    "kernel 0 ": lambda: QuantConv2d(1, 4, 0),
    "kernel (3, 3) ": lambda: QuantConv2d(1, 4, odd(((3, 3),))),
    "stride 0 ": lambda: QuantConv2d(1, 4, 3, stride=0),
    "padding -1 ": lambda: QuantConv2d(1, 4, 3, padding=-1),
    "padding 'same' ": lambda: QuantConv2d(1, 4, 3, padding=odd("same")),
    "burst_bits 0 ": lambda: QBLIF(0),
    "burst_bits 9 ": lambda: QBLIF(9),
    "burst_ceiling 0 ": lambda: QBLIF(burst_ceiling=0),
    "burst_ceiling 256 ": lambda: QBLIF(burst_ceiling=256),
    "reset 'none'": lambda: QBLIF(reset=odd("none")),
    "threshold nan ": lambda: QBLIF(threshold=math.nan),
    "leak 0.5 is not a Leak": lambda: QBLIF(leak=cast(Leak, 0.5)),
    "leak 5/2^2": lambda: QBLIF(leak=Leak(multiplier=5, shift=2)),
    "leak -1/2^2": lambda: ModelOptions(input_shape=(1, 8, 8), leak=(-1, 2)).neuron(),
    "surrogate 'relu'": lambda: Surrogate(name="relu"),
    "alpha nan ": lambda: Surrogate(alpha=math.nan),
    "alpha 0 ": lambda: Surrogate(alpha=0),
    "coding 'rate'": lambda: InputSpec(shape=(1, 8, 8), coding=odd("rate"), bits=4),
    "bits must be 1 to 8, not 9": lambda: InputSpec(shape=(1, 8, 8), coding="direct", bits=9),
    "timesteps 0 ": lambda: Encoder(SPEC, 0),
    "timesteps 4097 ": lambda: Encoder(SPEC, 4097),
    "timesteps 2.5 ": lambda: Encoder(SPEC, odd(2.5)),
    "kernel 1 and stride 1": lambda: SumPool2d(1),
    "MaxPool2d kernel 0 ": lambda: MaxPool2d(0),
    "kernel 2.0 ": lambda: MaxPool2d(odd(2.0)),
    "more than half": lambda: SumPool2d((3, 2), padding=(1, 2)),
    "stride 0": lambda: SumPool2d(2, stride=0),
    "groups 2 ": lambda: QuantConv2d(3, 4, 3, groups=2),
    "groups 0 ": lambda: QuantConv2d(3, 4, 3, groups=0),
    "dilation 0 ": lambda: QuantConv2d(3, 4, 3, dilation=(1, 0)),
    "two such numbers": lambda: QuantConv2d(3, 4, odd((3, 3, 3))),
    "float_epochs -1 ": lambda: Recipe(float_epochs=-1),
    "qat_epochs 1.5 ": lambda: Recipe(qat_epochs=odd(1.5)),
    "at least one epoch": lambda: Recipe(float_epochs=0, qat_epochs=0),
    "batch 0 ": lambda: Recipe(batch=0),
    "learning_rate nan ": lambda: Recipe(learning_rate=math.nan),
    "qat_learning_rate inf ": lambda: Recipe(qat_learning_rate=math.inf),
    "learning_rate -1 ": lambda: Recipe(learning_rate=-1),
    "weight_decay nan ": lambda: Recipe(weight_decay=math.nan),
    "label_smoothing 1 ": lambda: Recipe(label_smoothing=1),
    "average 1 ": lambda: Recipe(average=1),
    "seed -1 ": lambda: Recipe(seed=-1),
    "pooling 'average'": lambda: ModelOptions(input_shape=(1, 8, 8), pooling=odd("average")),
    "classes 1 ": lambda: ModelOptions(input_shape=(1, 8, 8), classes=1),
    "hidden 0 ": lambda: ModelOptions(input_shape=(1, 8, 8), hidden=(4, 0)),
    "input_bits 9 ": lambda: ModelOptions(input_shape=(1, 8, 8), input_bits=9),
    "first_weight_bits 1 ": lambda: ModelOptions(input_shape=(1, 8, 8), first_weight_bits=1),
}  # fmt: skip


@pytest.mark.parametrize("line", WRONG)
def test_refused_where_it_is_made(line):
    with pytest.raises(UserError) as refusal:
        WRONG[line]()
    assert line in str(refusal.value).replace(":", "") + " "
    assert "\n" not in str(refusal.value)


def test_the_ends_of_the_ranges_can_be_made():
    for bits in (2, 16):
        assert QuantLinear(4, 4, weight_bits=bits).weight_bits == bits
    for ceiling in (1, 255):
        assert QBLIF(burst_ceiling=ceiling).burst_ceiling == ceiling
    assert QBLIF(8, leak=Leak(multiplier=0, shift=0), threshold=1.0).burst_ceiling == 255
    assert Encoder(SPEC, odd(np.int64(1024))).timesteps == 1024
    assert Recipe(batch=2, learning_rate=1, float_epochs=0).epochs == 30


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--weight-bits", (0, 1, 17, "four")), ("--first-weight-bits", (1, 17)), ("--burst-bits", (0, 9)),
        ("--burst-ceiling", (0, -1, 256)), ("--input-bits", (0, 9)), ("--timesteps", (0, 4097)),
        ("--reset", ("none",)), ("--surrogate", ("relu",)), ("--pooling", ("average",)), ("--alpha", ("nan", 0)),
        ("--leak", ("1.5", "0.9", "3/5", "-0.5", "1/2^17", "9" * 40, "nan", "1e999999999", "half", "1/0")),
        ("--threshold", ("nan", 2)), ("--float-epochs", (-1,)), ("--qat-epochs", (-1, "1.5")), ("--batch", (0, 1)),
        ("--learning-rate", ("nan", "inf", 0, -1)), ("--qat-learning-rate", ("nan",)), ("--weight-decay", ("nan", 2)),
        ("--seed", (-1,)), ("--hidden", (0,)), ("--average", (1,)), ("--nonsense", (1,)),
    ],
)  # fmt: skip
def test_refused_at_the_command_line(option, values, tmp_path, fails):
    for value in values:
        assert option in fails(train.main, "--data", "digits", "--out", tmp_path / "model.pt", f"{option}={value}")
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_integer_form_is_refused_before_it_is_trained(tmp_path, fails, monkeypatch):
    monkeypatch.setattr(run, "train", None)
    words = ["--data", "digits", "--out", tmp_path / "model.pt", "--hidden", 6]
    assert "exact below" in fails(train.main, *words, "--weight-bits", 16, "--input-bits", 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/2", (1, 1)), ("0.5", (1, 1)), ("3/4", (3, 2)), ("3/2^2", (3, 2)), ("12/16", (3, 2)), ("0.75", (3, 2)),
        (".75", (3, 2)), ("0", (0, 0)), ("1", (1, 0)), ("1.0", (1, 0)), ("8/8", (1, 0)), ("65535/2^16", (65535, 16)),
        ("0.9000091552734375", (58983, 16)),
    ],
)  # fmt: skip
def test_a_leak_is_a_fraction_of_a_power_of_two_however_it_is_written(text, expected):
    leak = leak_of(text)
    assert (leak.multiplier, leak.shift) == expected
    assert leak_of(str(leak)) == leak


def test_the_nearest_leak_is_named(fails, tmp_path):
    line = fails(train.main, "--data", "digits", "--out", tmp_path / "model.pt", "--leak", "0.9")
    assert "58982/2^16" in line
    assert abs(0.9 * 2**16 - 58982) < 0.5


def test_one_training_has_one_command():
    def command(*words):
        return command_of(parse(["--data", "digits", "--out", "model.pt", *words]))

    assert command("--burst-ceiling", "7") == command("--burst-bits", "3")
    assert command("--burst-ceiling", "5") != command("--burst-bits", "3")
    assert command("--leak", "6/8") == command("--leak", "0.75") == command("--leak", "3/2^2") != command()
    assert command("--leak", "0.5") == command()
    assert command("--burst-bits", "2") == command("--threshold", "0.5") == command("--burst-ceiling", "3") == command()
    lif = command("--neuron", "lif")
    assert command("--neuron", "lif", "--burst-bits", "1", "--threshold", "1") == lif
    assert len({lif, command(), command("--neuron", "lif", "--burst-bits", "2"), command("--threshold", "1")}) == 4


def test_neurons_from_the_command_line_and_from_a_recipe(tmp_path, monkeypatch):
    """Leak, ceiling and reset arrive in the integers, and these compute what the trained model computes."""
    monkeypatch.setattr(run.data, "load", few)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('data = "digits"\nhidden = [6]\nleak = 0.75\nburst_ceiling = 5\nreset = "hard"\nbatch = 48\n')
    short = ["--float-epochs", "1", "--qat-epochs", "1"]
    said = ["--data", "digits", "--hidden", "6", "--leak", "3/4", "--burst-ceiling", "5", "--reset", "hard"]
    for name, words in (("written.pt", ["--recipe", str(recipe)]), ("said.pt", [*said, "--batch", "48"])):
        assert train.main([*words, *short, "--out", str(tmp_path / name)]) == 0
    networks = [read_network(tmp_path / name)[1:] for name in ("written.pt", "said.pt")]
    for network, vectors in networks:
        neurons = population_at(network, 0)
        assert (neurons.leak, neurons.burst_ceiling, neurons.reset) == (Leak(multiplier=3, shift=2), 5, "hard")
        assert (golden.run(network, encode(vectors.samples, network.input)).logits.numpy() == vectors.logits).all()
    first, second = (network for network, _ in networks)
    assert len(first.projections) == len(second.projections) == 2
    for place in range(2):
        assert (weighted_at(first, place).weights == weighted_at(second, place).weights).all()


def test_a_ceiling_and_a_leak_are_those_of_every_layer():
    words = ["--data", "digits", "--out", "x.pt", "--burst-ceiling", "5", "--leak", "0.25", "--model", "cnn"]
    model = make_model("cnn", model_options_of(parse(words), load("digits", "test")))
    neurons = [module for module in model.modules() if isinstance(module, QBLIF)]
    assert len(neurons) == 3
    assert {neuron.burst_ceiling for neuron in neurons} == {5}
    assert {neuron.leak for neuron in neurons} == {Leak(multiplier=1, shift=2)}
    assert torch.get_default_dtype() == torch.float32
