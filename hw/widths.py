"""How wide every register and constant of a layer must be, proved from the integers (:mod:`qblif.network.bounds`)."""

from dataclasses import asdict, dataclass

from qblif.network.bounds import MOST_BITS, LayerBounds

WIDEST_REGISTER = MOST_BITS
"""Bits; more than any sum of a network needs, 51, so that a patchable design may have a margin."""
MOST_EXPONENT_BITS = 6
"""Enough for the largest exponent of a network, 32."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of the registers and constants of a layer, signed but for the exponent.

    Attributes:
        bias: of a bias (the readout: of all timesteps together).
        exponent: of an exponent; 0 where all are 0.
        accumulator: no partial sum of a synapse array leaves it.
        current: of ``(sum << e) + bias`` and skips (the readout: of a logit).
        potential: of M, before reset (the readout: of a logit).
        membrane: of V, after reset (the readout: of a logit).
    """

    bias: int
    exponent: int
    accumulator: int
    current: int
    potential: int
    membrane: int

    def __post_init__(self) -> None:
        for field, bits in asdict(self).items():
            least, most = (0, MOST_EXPONENT_BITS) if field == "exponent" else (1, WIDEST_REGISTER)
            if type(bits) is not int or not least <= bits <= most:
                raise ValueError(f"a width of {bits!r} bits for {field} is not {least} to {most}")


def proved_widths(bounds: LayerBounds, margin: int = 0) -> Widths:
    """The least widths, and ``margin`` bits more.

    An exponent that is larger by one makes a sum longer by a bit, so an exponent may be larger by the margin.
    """
    return Widths(
        bias=bounds.bias.bits + margin,
        exponent=(bounds.largest_exponent + margin).bit_length(),
        accumulator=bounds.partial.bits + margin,
        current=bounds.current.bits + margin,
        potential=bounds.potential.bits + margin,
        membrane=bounds.membrane.bits + margin,
    )
