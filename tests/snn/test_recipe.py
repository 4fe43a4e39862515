import pytest

from qblif.errors import UserError
from snn import train
from snn.architecture import ModelOptions
from snn.command import command_of, parse
from snn.datasets.data import load
from snn.models import make_model, model_options_of
from snn.projections import QuantProjection
from snn.recipe import Recipe, recipe_of

FILE = """\
data = "digits"
model = "cnn"
channels = [4, 8]
hidden = []
learning_rate = 0.01
flip = true
fixed_scale = false
seed = 7
"""


def test_a_recipe_file_is_the_same_as_its_options(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(FILE)
    words = [
        "--data",
        "digits",
        "--model",
        "cnn",
        "--channels",
        "4",
        "8",
        "--hidden",
        "--learning-rate",
        "0.01",
        "--flip",
        "--seed",
        "7",
        "--out",
        "x.pt",
    ]
    written, said = parse(["--recipe", str(path), "--out", "x.pt"]), parse(words)
    assert recipe_of(written) == recipe_of(said) == Recipe(learning_rate=0.01, flip=True, seed=7)
    assert command_of(written) == command_of(said)
    options = model_options_of(written, load("digits", "test"))
    assert (options.channels, options.hidden, options.learn_scale) == ((4, 8), (), True)


def test_the_command_line_has_the_last_word(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(FILE)
    options = parse(["--recipe", str(path), "--out", "x.pt", "--seed", "9"])
    assert recipe_of(options).seed == 9
    assert "--seed 9" in command_of(options)
    assert "--recipe" not in command_of(options)


@pytest.mark.parametrize(
    ("content", "named"),
    [("speed = 3", "speed"), ("data_dir = 'x'", "data_dir"), ("flip = ", "TOML"), (None, "recipe.toml")],
)
def test_recipe_files_that_are_none(tmp_path, content, named):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=named):
        parse(["--recipe", str(path), "--data", "digits", "--out", "x.pt"])


def test_a_wrong_value_in_a_recipe_file_is_one_line(tmp_path, fails):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = -1")
    assert "--seed" in fails(train.main, "--recipe", path, "--data", "digits", "--out", tmp_path / "x.pt")


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet", "resnet18"])
def test_first_weight_bits_are_those_of_the_layer_that_reads_the_input(model):
    channels = () if model == "mlp" else (4, 4, 4, 4) if model == "resnet18" else (4, 4)
    options = ModelOptions(input_shape=(1, 8, 8), hidden=(6,), channels=channels, weight_bits=2, first_weight_bits=8)
    bits = {
        name: part.weight_bits
        for name, part in make_model(model, options).named_modules()
        if isinstance(part, QuantProjection)
    }
    first, *others = bits
    assert first.startswith("hidden.0" if model == "mlp" else "stages.0")
    assert bits[first] == 8
    assert {bits[name] for name in others} == {2}
