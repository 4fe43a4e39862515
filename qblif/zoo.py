"""The shipped networks, by name."""

from pathlib import Path

from qblif.errors import UserError
from qblif.reading import check_file, shown

ZOO = Path(__file__).resolve().parent.parent / "snn" / "zoo"
"""Their checkpoints, beside the packages, installed or not."""


def checkpoint(text: str) -> Path:
    """What ``--ckpt`` names: a file, or else the shipped network of that name; raises UserError if there is neither."""
    path, shipped = Path(text), ZOO / f"{text}.pt"
    if path.name == text and not path.exists():
        if not shipped.is_file():
            names = ", ".join(sorted(file.stem for file in ZOO.glob("*.pt")))
            raise UserError(f"there is neither a file nor a shipped network {shown(text)}; shipped are {names}")
        return shipped
    check_file(path, "checkpoint")
    return path
