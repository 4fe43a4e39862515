"""Why a network does not fit a board, and what helps: only ways out that were tried and work."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from boards.board import Part
from boards.catalogue import CATALOGUE
from boards.parts import PARTS
from gen.planning.planner import Planner
from gen.planning.resources import StageResources
from qblif.errors import UserError
from qblif.network.checks import MOST_WEIGHT_BITS
from qblif.network.graph import Network
from qblif.network.projections import Conv2d, Dense

FEWEST_WEIGHT_BITS = 2
KINDS: Mapping[str, Mapping[str, Part]] = {"board": CATALOGUE, "part": PARTS}
"""Where a network may fit instead, by :attr:`boards.board.Part.kind`."""


def weighted(network: Network) -> list[Dense | Conv2d]:
    """The projections that have weights."""
    return [part for target in network.targets for part in network.weighted_projections(target.name)]


def weight_bits(network: Network, widest: int = MOST_WEIGHT_BITS) -> int:
    """Bits of all weights of a network together, the zeros between groups included, if none had more than ``widest``
    bits."""
    return sum(part.weights.size * part.groups * min(part.weight_bits, widest) for part in weighted(network))


def block_ram_bits(board: Part) -> float:
    """Bits of all block RAMs of a board's chip together."""
    return board.budget.bram * board.family.block_ram_bits


def capacity(board: Part, *, patchable: bool) -> float:
    """Bits of weights that a board's chip could hold if it held nothing else; a patchable design keeps its weights in
    block RAM only."""
    return block_ram_bits(board) + (0 if patchable else board.budget.lut * board.family.lut_bits)


def too_many_weights(planner: Planner) -> str:
    """The message that the weights alone exceed what the chip can hold, whatever the plan."""
    held = capacity(planner.board, patchable=planner.forms.patch_margin is not None)
    return (
        f"the network is too big for {planner.board.name}: its weights are {weight_bits(planner.network):,} bits, and "
        f"all that the chip could keep them in holds {held:,.0f}"
    )


def needs(board: Part, resources: Sequence[StageResources], circumstance: str = "", share: float = 1.0) -> str:
    """The message for a design that does not fit: which resources it exceeds, which stage needs most of each, and what
    the chip has; ``share``: share of the chip's logic that an estimate may take."""
    parts = []
    for key, limit in board.budget.limits.items():
        total = sum(getattr(stage, key) for stage in resources)
        if total > limit * (1.0 if key == "bram" else share):
            most = max(resources, key=lambda stage: getattr(stage, key)).name
            close = "" if total > limit else ", too many for an estimate to be relied on"
            parts.append(
                f"{math.ceil(total)} {board.family.unit(key)} of the {limit:g} that the chip has{close}, most in {most}"
            )
    where = f"{board.name} {circumstance}".strip()
    return f"the network is too big for {where}: it needs an estimated {' and '.join(parts)}"


def too_big(planner: Planner, reason: str, fits: Callable[[Network, Part], bool]) -> UserError:
    """The error for a network that does not fit, with ways out.

    Args:
        planner: the planner of the network on its board.
        reason: the beginning of the line.
        fits: tells whether another network, or the same on another board, has a plan.
    """
    network, board = planner.network, planner.board
    held = capacity(board, patchable=planner.forms.patch_margin is not None)
    possible = (bits for bits in fewer_bits(network) if weight_bits(network, bits) <= held)
    bits = next((bits for bits in possible if fits(with_narrower_weights(network, bits), board)), None)
    bigger = next((other.name for other in bigger_boards(planner) if fits(network, other)), None)
    ways = [f"weights of {bits} bits"] if bits else []
    ways += ["a smaller network"] + ([f"the {board.kind} {bigger}"] if bigger else [])
    return UserError(f"{reason}; take {' or '.join(ways)}")


def fewer_bits(network: Network) -> range:
    """Weight widths below the network's widest, descending."""
    return range(max(part.weight_bits for part in weighted(network)) - 1, FEWEST_WEIGHT_BITS - 1, -1)


def with_narrower_weights(network: Network, bits: int) -> Network:
    """A network of the same shape whose weights have at most ``bits`` bits."""

    def narrow(part: Dense | Conv2d) -> Dense | Conv2d:
        limit = 2 ** (min(bits, part.weight_bits) - 1)
        return dataclasses.replace(
            part, weights=np.clip(part.weights, -limit, limit - 1), weight_bits=min(bits, part.weight_bits)
        )

    wide = weighted(network)
    projections = (narrow(part) if part in wide else part for part in network.projections)
    return dataclasses.replace(network, projections=tuple(projections))


def bigger_boards(planner: Planner) -> Iterator[Part]:
    """One board for each chip that has more block RAM than the planner's, and enough for all weights; boards of the
    same family first, smaller ones first."""
    network, board = planner.network, planner.board
    chips = {(other.family.name, other.budget): other for other in reversed(list(KINDS[board.kind].values()))}
    least = max(weight_bits(network), block_ram_bits(board) + 1)
    bigger = [
        other
        for other in chips.values()
        if block_ram_bits(other) >= least and (planner.forms.patch_margin is None or other.family.block_ram_format)
    ]
    yield from sorted(bigger, key=lambda one: (one.family.name != board.family.name, block_ram_bits(one)))
