"""Reference vectors: samples and the logits that the training framework printed for them."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from qblif.network.checks import IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceVectors:
    """Samples with the logits that the training framework printed for them; every later model replays them.

    ``samples``: as :func:`encode` takes them; ``logits``: int64, (count, classes); ``labels``: int64, (count,).
    """

    samples: NDArray[Any]
    logits: IntArray
    labels: IntArray
