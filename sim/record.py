"""Records of finished work, which an interrupted command goes on from."""

import json
from pathlib import Path
from typing import Any


def keep(path: Path, content: Any) -> None:
    """Write ``content`` as JSON to ``path``, whole, or the file stays as it was; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)
