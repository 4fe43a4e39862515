"""What the LUTs of a chip can be."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LutShape:
    """What one LUT of a chip can be, and several that fixed multiplexers join.

    Attributes:
        inputs: inputs of a LUT.
        most: inputs of the largest table that LUTs and the multiplexers beside them make.
    """

    inputs: int
    most: int
