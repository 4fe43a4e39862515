"""Trained networks of other frameworks as models of snn layers (docs/from_snntorch.md and the pages beside it).

``from_snntorch``, ``from_spikingjelly`` and ``from_nir`` are those of :mod:`snn.convert.sources`; modules of both
frameworks have one reader. They are imported when they are used, because torch takes seconds.
"""

from typing import Any

SOURCES = {"from_snntorch": "from_modules", "from_spikingjelly": "from_modules", "from_nir": "from_nir"}


def __getattr__(name: str) -> Any:
    if name not in SOURCES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snn.convert import sources

    return getattr(sources, SOURCES[name])
