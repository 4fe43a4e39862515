"""Finding the tools: beside the running Python first (a virtual environment need not be activated), then on PATH."""

import os
import shutil
import sys
from pathlib import Path


def search_path() -> str:
    """PATH with the running Python's own folder in front."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def find_tool(name: str) -> str | None:
    """Where the program ``name`` is, or None."""
    return shutil.which(name, path=search_path())
