"""The command line of ``python -m snn.train``, and recipe files.

A recipe file is TOML with the options' names (``learning_rate = 0.003``, ``channels = [16, 32]``, ``flip = true``);
options on the command line override it.
"""

import argparse
import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from qblif.errors import Arguments, UserError
from qblif.network.nodes import Leak
from qblif.reading import brief, read_whole, shown
from snn.datasets import data
from snn.models import MODELS
from snn.recipe import Recipe
from snn.surrogate import SURROGATES
from snn.workers import DEVICES

MOST_RECIPE = 2**16
"""Bytes; the longest shipped recipe has 700."""
LARGEST_NUMBER = 2**63
NOT_OF_THE_TRAINING = ("recipe", "data_dir", "device", "resume", "help")
"""Options that say where and how a training runs, without effect on its result."""
FINEST_LEAK = 16
"""The largest P of a leak A / 2^P (:class:`qblif.network.nodes.Leak`)."""


def parser() -> argparse.ArgumentParser:
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
    add_training_options(result)
    return result


def add_model_options(to: argparse.ArgumentParser) -> None:
    """Add the options of the model."""
    add = to.add_argument_group("model").add_argument
    add("--model", default="mlp", help=f"model: {', '.join(MODELS)} (default %(default)s)")
    add("--hidden", type=int, nargs="*", default=None, help="neurons of each hidden dense layer (default the model's)")
    add("--channels", type=int, nargs="*", default=None, help="channels of each stage (default the model's)")
    add("--convolutions", type=int, nargs="*", default=[], help="convolutions of each stage (cnn; default one in each)")
    add(
        "--pooling",
        choices=("sum", "max"),
        default="sum",
        help="2x2 pooling behind each stage (cnn) (default %(default)s)",
    )
    add(
        "--timesteps",
        type=int,
        default=4,
        help="T; frames that the events of a recording are binned into (default %(default)s)",
    )
    add("--burst-bits", type=int, default=2, help="b; a burst counts to 2^b - 1 (default %(default)s)")
    add("--burst-ceiling", type=int, help="largest burst count K, if it is not 2^b - 1")
    add(
        "--leak",
        type=leak_of,
        default=LeakOption(),
        help="share of the membrane that a timestep leaves: A/2^P, A/B or a decimal (default %(default)s)",
    )
    add("--weight-bits", type=int, default=4, help="signed bits of a weight (default %(default)s)")
    add("--first-weight-bits", type=int, help="weight bits of the layer that reads the input (default --weight-bits)")
    add("--input-bits", type=int, default=4, help="bits of an input burst (default %(default)s)")
    add(
        "--reset",
        choices=("soft", "hard"),
        default="soft",
        help="what a burst leaves of the membrane (default %(default)s)",
    )
    add("--fixed-scale", action="store_true", help="keep each layer's first-batch scale instead of learning it")
    add("--no-affine", action="store_true", help="BatchNorm without trained gain and shift")
    add(
        "--surrogate",
        choices=tuple(SURROGATES),
        default="relsg_et",
        help="gradient of the burst count (default %(default)s)",
    )
    add("--alpha", type=float, default=2.0, help="steepness of that gradient (default %(default)s)")
    add(
        "--threshold",
        type=float,
        default=0.5,
        help="potential of the first burst, in scales: 0.5 for QB-LIF, 1 for LIF neurons (default %(default)s)",
    )


def add_training_options(to: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    default = Recipe()
    add = to.add_argument_group("training").add_argument
    add("--float-epochs", type=int, default=default.float_epochs, help="epochs in floats (default %(default)s)")
    add(
        "--qat-epochs",
        type=int,
        default=default.qat_epochs,
        help="epochs on integers; 0 writes a float checkpoint (default %(default)s)",
    )
    add("--batch", type=int, default=default.batch, help="images per step (default %(default)s)")
    add(
        "--learning-rate",
        type=float,
        default=default.learning_rate,
        help="peak of the float phase (default %(default)s)",
    )
    add(
        "--qat-learning-rate",
        type=float,
        default=default.qat_learning_rate,
        help="peak of the integer phase (default %(default)s)",
    )
    add("--weight-decay", type=float, default=default.weight_decay, help="on weights only (default %(default)s)")
    add(
        "--label-smoothing",
        type=float,
        default=default.label_smoothing,
        help="of the cross-entropy (default %(default)s)",
    )
    add("--flip", action="store_true", help="augment: mirror training images left to right at random")
    add(
        "--shift",
        type=int,
        default=default.shift,
        help="augment: shift training images by up to so many pixels (default %(default)s)",
    )
    add(
        "--rotate",
        type=float,
        default=default.rotate,
        help="augment: turn them by up to so many degrees (default %(default)s)",
    )
    add(
        "--stretch",
        type=float,
        default=default.stretch,
        help="augment: stretch or shrink them by up to this share (default %(default)s)",
    )
    add("--teacher", type=Path, default=None, help="checkpoint of a trained network to learn from as well")
    add(
        "--distillation",
        type=float,
        default=default.distillation,
        help="with --teacher: share of the loss that follows the teacher's answers (default %(default)s)",
    )
    add(
        "--average",
        type=float,
        default=default.average,
        help="decay a step of a moving average of the weights, which is then what is tested and written (default "
        "%(default)s)",
    )
    add(
        "--like",
        type=Path,
        default=None,
        help="checkpoint of the same architecture whose fraction bits are kept, so that gen.build --patch can put this "
        "network into its hardware",
    )
    add("--seed", type=int, default=default.seed, help="seed of weights and order (default %(default)s)")
    add(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto: a GPU where torch finds one (default %(default)s)",
    )
    add("--resume", action="store_true", help="continue from OUT.resume")


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
    return options


@dataclass(frozen=True, kw_only=True)
class LeakOption(Leak):
    """A leak in its command-line form."""

    def __str__(self) -> str:
        return str(Fraction(self.multiplier, 2**self.shift))


def leak_of(text: str) -> LeakOption:
    """A leak in lowest terms; ``3/2^2``, ``3/4`` and ``0.75`` are the same. Raises ArgumentTypeError."""
    number = r"\d{1,9}"
    if match := re.fullmatch(rf"({number})/2\^(\d{{1,2}})", text):
        beta = Fraction(int(match[1]), 2 ** int(match[2]))
    elif re.fullmatch(rf"{number}(/0*[1-9]\d{{0,8}}|\.\d{{0,20}})?|\.\d{{1,20}}", text):
        beta = Fraction(text)
    else:
        raise argparse.ArgumentTypeError(f"{text!r} is not A/2^P, A/B or a decimal")
    if beta > 1:
        raise argparse.ArgumentTypeError(f"{text} is more than 1")
    if 2**FINEST_LEAK % beta.denominator:
        near = round(beta * 2**FINEST_LEAK)
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of 2^-{FINEST_LEAK}; take {near}/2^{FINEST_LEAK}")
    return LeakOption(multiplier=beta.numerator, shift=beta.denominator.bit_length() - 1)


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
        elif known[name].nargs == "*":
            if any(type(one) is not int or abs(one) > LARGEST_NUMBER for one in values):
                raise UserError(f"{where}: {name} is not {shown(value)}, but a list of whole numbers")
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
    words = ["python", "-m", "snn.train"]
    for action in parser()._actions:
        value = getattr(options, action.dest, None)
        if value == action.default or action.dest in (*NOT_OF_THE_TRAINING, *without):
            continue
        words.append(action.option_strings[0])
        if value is not True:
            words += [str(part) for part in value] if isinstance(value, list) else [str(value)]
    return shlex.join(words)
