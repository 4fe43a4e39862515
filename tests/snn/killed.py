"""A training of few images that dies at a chosen moment: ``python -m tests.snn.killed MOMENT OPTIONS``.

Moments are the beginnings and ends of all that a training does outside its steps, and its steps, counted from 0.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from snn import checkpoint, quantization, run, train, training
from snn.datasets.data import Images, load
from snn.training import Training

PLACES = (
    (Training, "run_epoch"),
    (Training, "_loss"),
    (quantization, "begin"),
    (checkpoint, "save_atomically"),
    (training, "write_log"),
    (run, "train"),
    (run, "content_of"),
    (run, "write_results"),
)
OPTIONS = "--data digits --hidden 6 --timesteps 2 --float-epochs 2 --qat-epochs 2 --batch 48 --out model.pt"
WORDS = OPTIONS.split()


def few(*arguments: Any) -> Images:
    """A few of the digits."""
    return load(*arguments).first(96)


def with_moments(patch: Callable[[Any, str, Any], None], at: Callable[[int], None]) -> list[str]:
    """Call ``at`` with the number of every moment; returns the names of those so far, a list that grows."""
    passed: list[str] = []

    def moment(name: str) -> None:
        passed.append(name)
        at(len(passed) - 1)

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*arguments: Any, **more: Any) -> Any:
            moment(f"before {original.__name__}")
            result = original(*arguments, **more)
            moment(f"after {original.__name__}")
            return result

        return call

    for owner, name in PLACES:
        patch(owner, name, watched(getattr(owner, name)))
    patch(run.data, "load", few)
    return passed


if __name__ == "__main__":
    last = int(sys.argv[1])

    def die(number: int) -> None:
        """Without a word, as a process does that the system kills."""
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    with_moments(setattr, die)
    sys.exit(train.main(sys.argv[2:]))
