"""The figures of all runs that are done: one JSON file, which grows with every run."""

import json
from pathlib import Path

from qblif.errors import UserError
from sim.record import keep
from studies.burst.grid import Run
from studies.burst.measure import Figures

FILE = "runs.json"


class Results:
    """Figures by the training that they are of.

    Args:
        folder: of the report; its runs.json is read, and written anew with every run.

    Raises:
        UserError: the file is there but damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._figures = self._kept()

    def _kept(self) -> dict[str, Figures]:
        try:
            every = json.loads(self.path.read_text()) if self.path.is_file() else []
            return {figures["command"]: figures for figures in every}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path} is not a record of runs ({error}); move it away to begin anew") from error

    def of(self, run: Run) -> Figures | None:
        """What was found of a run, or None where it is not done."""
        return self._figures.get(run.command)

    def add(self, figures: Figures) -> None:
        """Keep what one run found, beside what another study has kept there meanwhile."""
        self._figures |= self._kept() | {figures["command"]: figures}
        keep(self.path, list(self._figures.values()))
