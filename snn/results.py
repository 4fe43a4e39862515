"""The files of a finished training: the checkpoint, and a record beside it."""

import json
from pathlib import Path
from typing import Any

from qblif.files import whole_file
from snn import checkpoint
from snn.training import resume_file


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
