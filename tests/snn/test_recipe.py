import pytest

from hw.errors import UserError
from snn import train
from snn.command import command_of, parse
from snn.data import load
from snn.recipe import Recipe, model_options_of, recipe_of

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
