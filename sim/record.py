"""Records of finished work, from which an interrupted command continues."""

import json
from pathlib import Path
from typing import Any

from qblif.files import write_whole


def keep(path: Path, content: Any) -> None:
    """Write ``content`` as JSON to ``path``, or leave the file as it was; its folder is created if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1) + "\n")
