"""The shipped networks, by name."""

from pathlib import Path

ZOO = Path(__file__).resolve().parent.parent / "snn" / "zoo"
"""Their checkpoints, beside the packages, installed or not."""


def checkpoint(text: str) -> Path:
    """What ``--ckpt`` names: a file, or else the shipped network of that name."""
    path, shipped = Path(text), ZOO / f"{text}.pt"
    return shipped if path.name == text and not path.exists() and shipped.is_file() else path
