"""Values in the forms in which a command line writes them: leaks and the widths of layers."""

import argparse
import re
from dataclasses import dataclass
from fractions import Fraction

from qblif.network.nodes import Leak

FINEST_LEAK = 16
"""The largest P of a leak A / 2^P (:class:`qblif.network.nodes.Leak`)."""


@dataclass(frozen=True, kw_only=True)
class LeakOption(Leak):
    """A leak in its command-line form."""

    def __str__(self) -> str:
        return str(Fraction(self.multiplier, 2**self.shift))


def leak_of(text: str) -> LeakOption:
    """A leak in lowest terms; ``3/2^2``, ``3/4`` and ``0.75`` are the same. Raises ArgumentTypeError."""
    number = r"\d{1,9}"
    if match := re.fullmatch(rf"({number})/2\^(\d{{1,2}})", text):
        beta = Fraction(int(match[1]), 2 ** int(match[2]))
    elif re.fullmatch(rf"{number}(/0*[1-9]\d{{0,8}}|\.\d{{0,20}})?|\.\d{{1,20}}", text):
        beta = Fraction(text)
    else:
        raise argparse.ArgumentTypeError(f"{text!r} is not A/2^P, A/B or a decimal")
    if beta > 1:
        raise argparse.ArgumentTypeError(f"{text} is more than 1")
    if 2**FINEST_LEAK % beta.denominator:
        near = round(beta * 2**FINEST_LEAK)
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of 2^-{FINEST_LEAK}; take {near}/2^{FINEST_LEAK}")
    return LeakOption(multiplier=beta.numerator, shift=beta.denominator.bit_length() - 1)


class Width(int):
    """The number of neurons of a layer that reads its own bursts."""

    def __str__(self) -> str:
        return f"{int(self)}r"


def width_of(text: str) -> int:
    """Neurons of a dense layer; ``36r`` is a :class:`Width`. Raises ArgumentTypeError."""
    if not re.fullmatch(r"-?\d{1,18}r?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of neurons, such as 36, or 36r")
    return Width(text[:-1]) if text.endswith("r") else int(text)
