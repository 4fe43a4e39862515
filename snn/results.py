"""The files of a finished training: the checkpoint, and a record beside it."""

import json
from pathlib import Path
from typing import Any

from qblif.errors import UserError, check_output_file
from qblif.files import whole_file
from snn import checkpoint
from snn.training import resume_file


def check_out(path: Path) -> None:
    """Raise UserError unless a checkpoint can be written there, with log and record beside it."""
    check_output_file(path, "--out")
    if path.suffix in (".csv", ".json", ".lock") or path.name == "":
        raise UserError(f"--out {path}: that suffix is the log's, the record's or the lock's; take model.pt, say")


def write_results(content: dict[str, Any], record: dict[str, Any], out: Path) -> None:
    """Write a checkpoint and its record, or leave both as they were; on success remove the training's state.

    Args:
        content: of the checkpoint.
        record: what OUT.json holds.
        out: the checkpoint.

    Raises:
        UserError: one of the files cannot be written.
    """
    with whole_file(out.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n")
        checkpoint.save_atomically(content, out)
    resume_file(out).unlink(missing_ok=True)
