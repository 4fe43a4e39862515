"""What every part of the project shares, and the Python API (:mod:`qblif.api`)."""

from typing import Any


def __getattr__(name: str) -> Any:
    # The API imports torch and Amaranth, which most users of this package need not have.
    if name not in ("compile", "Compiled"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from qblif import api

    return getattr(api, name)
