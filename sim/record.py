"""Records of finished work, which an interrupted command goes on from."""

import json
from pathlib import Path
from typing import Any

from qblif.files import write_whole


def keep(path: Path, content: Any) -> None:
    """Write ``content`` as JSON to ``path``, whole, or the file stays as it was; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1) + "\n")
