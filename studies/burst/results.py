"""The figures of all finished runs: one JSON file, which grows with every run."""

import json
from pathlib import Path

from qblif.errors import UserError
from sim.record import keep
from studies.burst.grid import Run
from studies.burst.measure import Figures

FILE = "runs.json"


class FinishedRuns:
    """Figures by the command of their training.

    Args:
        folder: folder of the report; its runs.json is read, and rewritten with every run.

    Raises:
        UserError: the file exists but is damaged.
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
        """The figures of a run; None if it is not done."""
        return self._figures.get(run.command)

    def add(self, figures: Figures) -> None:
        """Save the figures of one run, together with those that another study has saved there in the meantime."""
        self._figures |= self._kept() | {figures["command"]: figures}
        keep(self.path, list(self._figures.values()))
