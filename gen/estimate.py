"""Resources of a layer before synthesis: block RAMs counted, LUTs and flip-flops estimated from widths."""

from dataclasses import dataclass

from boards.board import Family
from hw.configuration import LayerConfig, NeuronConfig

MEMBRANE_LUT_RAM_BITS_PER_LUT = 16


@dataclass(frozen=True, kw_only=True)
class LayerEstimate:
    """``bram``, in the family's unit, is counted; ``lut`` and ``ff`` are estimates."""

    name: str
    lut: int
    ff: int
    bram: float


def estimate_layer(family: Family, layer: LayerConfig) -> LayerEstimate:
    """Estimate one layer.

    A lane has an adder, a plane shifter and a place in the hand-over ring, each about a LUT a bit; a neuron core
    has two adders, a clamp and a reset; the scanner selects one of its beat's bits.
    """
    projection, target = layer.projection, layer.target
    source, accumulator = projection.source, projection.accumulator_bits
    shifter = (projection.weight_bits + source.burst_bits - 1) * (source.burst_bits - 1)
    lut = projection.lanes * (2 * accumulator + shifter) + 4 * source.group * source.burst_bits + 80
    ff = projection.lanes * (2 * accumulator + projection.weight_bits) + 2 * source.group * source.burst_bits + 80
    bram = family.block_rams(len(projection.weight_words), projection.weight_bits * projection.lanes)
    if projection.replayed:
        bram += family.block_rams(2 * source.beats * source.folds * source.steps, source.group * source.burst_bits)
    if isinstance(target, NeuronConfig):
        lut += target.cores * 5 * target.potential_bits
        ff += target.cores * (accumulator + 3 * target.potential_bits) + 60
        slots = target.lanes // target.cores
        if target.membrane_memory == "block":
            bram += family.block_rams(slots, target.cores * target.membrane_bits)
        else:
            lut += slots * target.cores * target.membrane_bits // MEMBRANE_LUT_RAM_BITS_PER_LUT
    else:
        lut += 5 * target.logit_bits
        ff += 4 * target.logit_bits
    return LayerEstimate(name=layer.name, lut=lut, ff=ff, bram=bram)
