"""The command line of ``python -m snn.train``, and recipe files.

A recipe file is TOML with the options' names (``learning_rate = 0.003``, ``channels = [16, 32]``, ``flip = true``);
options on the command line override it.
"""

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qblif.errors import Arguments, UserError, check_output_file
from qblif.reading import brief, check_file, read_whole, shown
from snn.choices import MODELS, NEURONS
from snn.datasets import data
from snn.options import add_model_options, add_neuron_options, add_training_options
from snn.ranges import check_choice
from snn.recipe import recipe_of

MOST_RECIPE = 2**16
"""Bytes; the longest shipped recipe has 700."""
LARGEST_NUMBER = 2**63
NOT_OF_THE_TRAINING = ("recipe", "data_dir", "device", "resume", "help")
"""Options that say where and how a training runs, without effect on its result."""


def parser() -> Arguments:
    """The command line of ``python -m snn.train``."""
    result = Arguments(
        prog="python -m snn.train",
        description="Train a QB-LIF network: a float phase, then quantization-aware training on the integer form "
        "that the hardware computes. The checkpoint carries the integers; gen.build turns it into hardware.",
        epilog="Ctrl-C is safe: after every epoch OUT.resume is saved, and --resume continues from it. With torchrun "
        "(torchrun --nproc-per-node 4 -m snn.train ...) every batch is shared out to the processes.",
    )
    add = result.add_argument
    add("--recipe", type=Path, help="TOML file with these options' names and values")
    add("--data", required=True, help=f"data set: {', '.join(data.NAMES)}")
    add("--data-dir", type=Path, default=None, help="folder with the data set's files")
    add(
        "--out",
        type=Path,
        required=True,
        help="checkpoint to write; beside it a .csv log of every epoch and a .json record of the run",
    )
    add_model_options(result)
    add_neuron_options(result)
    add_training_options(result)
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of a command line and the recipe file that it names; raises UserError."""
    only_recipe = Arguments(prog="python -m snn.train", add_help=False, allow_abbrev=False)
    only_recipe.add_argument("--recipe", type=Path)
    path = only_recipe.parse_known_args(arguments)[0].recipe
    words = [] if path is None else option_words(read_toml(path), str(path))
    options = parser().parse_args([*words, *arguments])
    # One training has one command, however its options were given.
    if options.first_weight_bits == options.weight_bits:
        options.first_weight_bits = None
    ceiling = options.burst_ceiling
    if ceiling is not None and ceiling > 0 and ceiling & (ceiling + 1) == 0:
        options.burst_bits, options.burst_ceiling = ceiling.bit_length(), None
    for name, usual in NEURONS[options.neuron].items():
        if getattr(options, name) == usual:
            setattr(options, name, None)
    return options


def check_out(path: Path) -> None:
    """Raise UserError unless a checkpoint can be written there, with log and record beside it."""
    check_output_file(path, "--out")
    if path.suffix in (".csv", ".json", ".lock") or path.name == "":
        raise UserError(f"--out {path}: that suffix is the log's, the record's or the lock's; take model.pt, say")


def check(options: argparse.Namespace) -> None:
    """Raise UserError for what is wrong with the options before anything is read."""
    recipe_of(options)
    check_choice("model", options.model, MODELS)
    check_out(options.out)
    data.check_source(options.data, options.data_dir)
    for path in (options.teacher, options.like):
        if path is not None:
            check_file(path, "checkpoint")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file; raises UserError."""
    content = read_whole(path, "recipe", MOST_RECIPE)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError, IndexError) as error:
        raise UserError(f"{path} is not TOML: {brief(error)}") from error


def option_words(content: dict[str, Any], where: str) -> list[str]:
    """Options by name as words of a command line; raises UserError, which names ``where`` they come from."""
    known = {action.dest: action for action in parser()._actions}
    words: list[str] = []
    for name, value in content.items():
        if name not in known or name in NOT_OF_THE_TRAINING:
            raise UserError(f"{where}: a recipe has no {shown(name)}; see python -m snn.train --help")
        values = value if isinstance(value, list) else [value]
        if isinstance(known[name].const, bool):
            if not isinstance(value, bool):
                raise UserError(f"{where}: {name} is true or false, not {shown(value)}")
            words += [known[name].option_strings[0]] if value else []
        elif known[name].nargs is not None:
            # Widths such as 36r are text.
            kinds = (int, float) if known[name].nargs == 2 else (int, str) if name == "hidden" else (int,)
            if any(type(one) not in kinds or (type(one) is int and abs(one) > LARGEST_NUMBER) for one in values):
                numbers = "numbers" if float in kinds else "whole numbers"
                raise UserError(f"{where}: {name} is not {shown(value)}, but a list of {numbers}")
            words += [known[name].option_strings[0], *map(str, values)]
        elif isinstance(value, bool) or not isinstance(value, int | float | str):
            raise UserError(f"{where}: {name} is not {shown(value)}, but a number or a text")
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise UserError(f"{where}: {name} is {shown(value)}")
        else:
            # As one word, so that no value is mistaken for an option.
            words += [f"{known[name].option_strings[0]}={value}"]
    return words


def command_of(options: argparse.Namespace, *, without: Sequence[str] = ()) -> str:
    """The command that repeats this training, without this machine's own settings and the options ``without``."""
    return parser().command(options, without=(*NOT_OF_THE_TRAINING, *without))
