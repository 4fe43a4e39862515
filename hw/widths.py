"""Widths of every register and constant of a layer, proved from the integers (:mod:`qblif.network.bounds`)."""

from dataclasses import dataclass

from hw.schedule import Schedule, bounds_under
from qblif.network.bounds import MOST_BITS
from qblif.network.graph import Network
from qblif.network.nodes import Target

WIDEST_REGISTER = MOST_BITS
"""Bits. Any sum of a network needs at most 51; the rest is margin for patchable designs."""
MOST_EXPONENT_BITS = 6
"""Enough for the largest exponent of a network, 32."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of the registers and constants of a layer; all are signed except the exponent.

    Attributes:
        bias: a bias (position-major readout: of all timesteps together).
        exponent: an exponent; 0 bits if all are 0.
        accumulator: every partial sum of a synapse array.
        current: ``(sum << e) + bias`` plus skips (position-major readout: a logit).
        summed: J before its limits, where there is a synaptic current.
        synaptic: J.
        potential: M, before reset (readout: L before its limits).
        membrane: V, after reset (readout: L, a logit).
    """

    bias: int
    exponent: int
    accumulator: int
    current: int
    summed: int
    synaptic: int
    potential: int
    membrane: int

    def __post_init__(self) -> None:
        for field, bits in vars(self).items():
            least, most = (0, MOST_EXPONENT_BITS) if field == "exponent" else (1, WIDEST_REGISTER)
            if type(bits) is not int or not least <= bits <= most:
                raise ValueError(f"a width of {bits!r} bits for {field} is not {least} to {most}")


def proved_widths(network: Network, target: Target, schedule: Schedule, margin: int = 0) -> Widths:
    """The smallest widths of a layer, plus ``margin`` bits.

    An exponent that is larger by one makes a sum one bit wider, so an exponent may be larger by the margin.
    """
    bounds = bounds_under(network, target, schedule)
    return Widths(
        bias=bounds.bias.bits + margin,
        exponent=(bounds.largest_exponent + margin).bit_length(),
        accumulator=bounds.partial.bits + margin,
        current=bounds.current.bits + margin,
        summed=bounds.summed.bits + margin,
        synaptic=bounds.synaptic.bits + margin,
        potential=bounds.potential.bits + margin,
        membrane=bounds.membrane.bits + margin,
    )
