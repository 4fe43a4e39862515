"""How wide every accumulator, current, potential and membrane must be, proved from the integers.

The proofs are those of :mod:`qblif.network.bounds`. Nothing is estimated, and nothing needs to saturate.
"""

from dataclasses import dataclass

from qblif.network.bounds import Interval, current, neuron_bounds, partial_sums
from qblif.network.graph import Network
from qblif.network.nodes import Population, Readout


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerBounds:
    """Bounds inside one layer, per channel, and the widths of its constants.

    ``partial``: sums of the events of one accumulation, after any of them in any order;
    ``current``: ``(sum << e) + bias`` and skips (the readout: L); ``potential``: M at any timestep; ``membrane``: V.
    The readout has no potential and no membrane of its own; both repeat its current.
    ``bias``: that of a timestep (the readout: of all); ``largest_exponent``: of all channels.
    """

    partial: Interval
    current: Interval
    potential: Interval
    membrane: Interval
    bias: Interval
    largest_exponent: int


def layer_bounds(network: Network, target: Population | Readout) -> LayerBounds:
    """All bounds of one layer."""
    partial, entering, bias = partial_sums(network, target), current(network, target), target.bias
    largest_exponent = int(target.exponent.max())
    if isinstance(target, Readout):
        # The array sums up what comes at different timesteps, and once what is the same at all of them.
        steps = max(network.steps(projection.source) for projection in network.projections_into(target.name))
        partial = Interval(low=partial.low * steps, high=partial.high * steps)
        bias = bias * network.timesteps
        logits = Interval(low=entering.low * network.timesteps, high=entering.high * network.timesteps)
        return LayerBounds(
            partial=partial,
            current=logits,
            potential=logits,
            membrane=logits,
            bias=Interval(low=bias, high=bias),
            largest_exponent=largest_exponent,
        )
    neurons = neuron_bounds(entering, target, network.timesteps)
    return LayerBounds(
        partial=partial,
        current=entering,
        potential=neurons.potential,
        membrane=neurons.membrane,
        bias=Interval(low=bias, high=bias),
        largest_exponent=largest_exponent,
    )
