"""The runs of the study: those that a grid file describes, as options of ``python -m snn.train``.

::

    [base]                      # options of every run
    data = "fashion_mnist"
    timesteps = 2

    [arms.qblif_3]              # options of one kind of neuron
    burst_bits = 2

    [series.timesteps]          # every arm, with every value, under every seed
    arms = ["binary", "qblif_3"]
    seeds = [1, 2, 3]
    set = { no_affine = true }  # options of the whole series
    vary = { timesteps = [1, 4] }
"""

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qblif.errors import UserError
from snn.command import command_of, option_words, parse, read_toml
from snn.recipe import recipe_of

Options = dict[str, Any]
"""Names and values, as in a recipe file of ``snn.train``."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        series: the series that it belongs to; a run in several series is a separate Run in each.
        arm: the kind of neuron.
        varied: what else distinguishes it in its series, as text; empty if nothing does.
        seed: seed of weights and order.
        words: options of ``snn.train``, without ``--out``.
        command: the command of this training, for people and as the run's identity.
    """

    series: str
    arm: str
    varied: str
    seed: int
    words: tuple[str, ...]
    command: str

    @property
    def key(self) -> str:
        """Name of the run's folder: runs with the same training have the same key."""
        return hashlib.sha256(self.command.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.series, self.arm, self.varied, f"seed {self.seed}") if part)


def read_grid(path: Path) -> list[Run]:
    """Every run of a grid file, series by series.

    Raises:
        UserError: the file cannot be read, or asks for something that does not exist.
    """
    content = read_toml(path)
    try:
        runs = [run for name, series in content["series"].items() for run in series_runs(content, name, series)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a grid of runs: {error}") from error
    if not runs:
        raise UserError(f"{path} asks for no runs")
    return runs


def series_runs(content: Options, name: str, series: Options) -> list[Run]:
    """The runs of one series; raises KeyError for an unknown arm."""
    vary: dict[str, list[Any]] = series.get("vary", {})
    runs = []
    for arm, values, seed in itertools.product(
        series["arms"], itertools.product(*vary.values()), series.get("seeds", [1])
    ):
        varied = dict(zip(vary, values, strict=True))
        options = content["base"] | content["arms"][arm] | series.get("set", {}) | varied | {"seed": seed}
        words = tuple(option_words(options, f"series {name}"))
        parsed = parse([*words, "--out", "model.pt"])
        recipe_of(parsed)
        runs.append(
            Run(
                series=name,
                arm=arm,
                varied=" ".join(f"{key} {json.dumps(value)}" for key, value in varied.items()),
                seed=seed,
                words=words,
                command=command_of(parsed),
            )
        )
    return runs
