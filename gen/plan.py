"""The planner: chooses lanes, folds, neuron cores and stream groups of every layer for a board.

Each layer gets all its lanes at once unless the estimated LUTs of the network exceed 80 % of the board; then the
layer with the most lanes is folded until they do not. Neuron cores are as few as keep them well ahead of the
synapse array. Widths come from :mod:`gen.widths` and are proved, not chosen.
"""

import math
from dataclasses import dataclass

from boards.board import Board
from gen.estimate import LayerEstimate, estimate_layer
from gen.widths import LayerBounds, layer_bounds
from hw.configuration import configure
from hw.errors import UserError
from hw.network import Dense, Network, Population, Readout, Skip
from hw.plan import LayerPlan, MemoryStyle, Plan

SHARE_OF_BOARD = 0.8
WIDEST_GROUP = 8
SMALL_MEMORY_BITS = 8192
NARROWEST = 4


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """Expected cycles an inference: ``array`` to accumulate all events, ``neurons`` to update all neurons."""

    array: float
    neurons: float

    @property
    def bottleneck(self) -> float:
        return max(self.array, self.neurons)


def make_plan(network: Network, board: Board, clock_mhz: float, sha256: str, activity: dict[str, list[float]]) -> Plan:
    """The plan for ``network`` on ``board``.

    Args:
        network: the network, a chain of dense layers.
        board: where it shall run.
        clock_mhz: at which clock.
        sha256: of the network file.
        activity: mean set bit-planes a node sends, per timestep; half of all are assumed where it is missing.

    Raises:
        UserError: no plan fits; the message names the resource, by how much, the layer, and ways out.
    """
    targets = {target.name: target for target in network.targets}
    bounds = {name: layer_bounds(network, target) for name, target in targets.items()}
    folds = dict.fromkeys(targets, 1)
    check_weights_fit(network, board)
    while True:
        layers = tuple(
            plan_layer(network, board, target, folds[name], bounds[name], activity) for name, target in targets.items()
        )
        group = input_group(network, activity)
        plan = Plan(board=board.name, clock_mhz=clock_mhz, network_sha256=sha256, input_group=group, layers=layers)
        config = configure(network, plan)
        estimates = [estimate_layer(board.family, layer) for layer in config.layers]
        fits = sum(estimate.bram for estimate in estimates) <= board.budget.bram
        if fits and sum(estimate.lut for estimate in estimates) <= SHARE_OF_BOARD * board.budget.lut:
            return plan
        # Folding narrows a layer: fewer LUTs, and weight memories deep enough to fill their block RAMs.
        widest = max(layers, key=lambda layer: layer.lanes)
        if widest.lanes <= NARROWEST:
            raise UserError(too_big(board, estimates))
        folds[widest.name] = narrower(targets[widest.name].shape[0], widest)


def check_weights_fit(network: Network, board: Board) -> None:
    """Raise UserError when the weights alone exceed the board's block RAM, however they are laid out."""
    needed = {
        projection.target: math.ceil(projection.weights.size * projection.weight_bits / board.family.block_ram_bits)
        for projection in network.projections
        if not isinstance(projection, Skip)
    }
    total = sum(needed.values())
    if total > board.budget.bram:
        worst = max(needed, key=lambda name: needed[name])
        raise UserError(
            f"the network is too big for {board.name}: its weights need at least {total} {board.family.bram_unit} of "
            f"{board.budget.bram:g}, {total - board.budget.bram:g} too many, of them {needed[worst]} in layer {worst}; "
            "take fewer neurons, fewer weight bits or a bigger board"
        )


def too_big(board: Board, estimates: list[LayerEstimate]) -> str:
    """Why the narrowest plan does not fit: the resource, by how much, and the layer that takes most of it."""
    excess = []
    for unit, key, limit in (
        ("LUT", "lut", SHARE_OF_BOARD * board.budget.lut),
        (board.family.bram_unit, "bram", board.budget.bram),
    ):
        needed = sum(getattr(estimate, key) for estimate in estimates)
        worst = max(estimates, key=lambda estimate: getattr(estimate, key))
        if needed > limit:
            excess.append(f"{needed:g} {unit} of {limit:g}, {needed - limit:g} too many, most in layer {worst.name}")
    return (
        f"the network is too big for {board.name} even at its narrowest: it needs an estimated {'; '.join(excess)}; "
        "take fewer neurons, fewer weight bits or a bigger board"
    )


def narrower(channels: int, layer: LayerPlan) -> int:
    """The next number of folds with which ``layer`` really has fewer lanes."""
    spiking = layer.name != Readout.name
    folds = layer.folds + 1
    while spiking and lanes_and_group(math.ceil(channels / folds))[0] >= layer.lanes:
        folds += 1
    return folds


def plan_layer(
    network: Network,
    board: Board,
    target: Population | Readout,
    folds: int,
    bounds: LayerBounds,
    activity: dict[str, list[float]],
) -> LayerPlan:
    """One layer in ``folds`` passes."""
    projection = next(network.projections_into(target.name))
    if not isinstance(projection, Dense):
        raise UserError(
            f"layer {target.name}: hardware for {projection.kind} projections is not generated yet; dense layers are"
        )
    channels = target.shape[0]
    lanes, group, cores = math.ceil(channels / folds), 1, 1
    if isinstance(target, Population):
        lanes, group = lanes_and_group(lanes)
        cores = core_count(network, lanes, group, math.ceil(channels / lanes), projection, activity)
    return LayerPlan(
        name=target.name,
        lanes=lanes,
        folds=math.ceil(channels / lanes),
        cores=cores,
        group=group,
        weight_memory="block",
        membrane_memory=small_memory(board, lanes // cores, cores * bounds.membrane.bits),
        **proved_widths(bounds),
    )


def proved_widths(bounds: LayerBounds) -> dict[str, int]:
    """The least width of each register that a :class:`LayerPlan` names."""
    return {
        "accumulator_bits": bounds.partial.bits,
        "current_bits": bounds.current.bits,
        "potential_bits": bounds.potential.bits,
        "membrane_bits": bounds.membrane.bits,
    }


def lanes_and_group(lanes: int) -> tuple[int, int]:
    """The least number of lanes, from ``lanes`` on, that divides into groups of 4 to 8, and the widest such group."""
    if lanes <= 4:
        return lanes, lanes
    total = next(total for total in range(lanes, lanes + 4) if any(total % group == 0 for group in range(4, 9)))
    return total, max(group for group in range(4, WIDEST_GROUP + 1) if total % group == 0)


def core_count(
    network: Network, lanes: int, group: int, folds: int, projection: Dense, activity: dict[str, list[float]]
) -> int:
    """The fewest neuron cores that need at most half the cycles of the synapse array."""
    target = folds * events(network, projection, activity) / 2
    divisors = [cores for cores in range(1, group + 1) if group % cores == 0]
    fast_enough = [cores for cores in divisors if network.timesteps * folds * max(lanes // cores, 4) <= target]
    return min(fast_enough, default=divisors[-1])


def events(network: Network, projection: Dense, activity: dict[str, list[float]]) -> float:
    """Expected events of one pass over the source, all timesteps; each timestep closes with at least one."""
    source, steps = projection.source, network.steps(projection.source)
    half = projection.weights.shape[1] * network.burst_ceiling(source).bit_length() / 2
    return sum(max(1.0, value) for value in activity.get(source, [half] * steps))


def input_group(network: Network, activity: dict[str, list[float]]) -> int:
    """The narrowest input beat, a power of two up to 16, with which beats are at most an eighth of the events."""
    size = math.prod(network.input.shape)
    first = next(p for p in network.projections if p.source == network.input.name)
    if not isinstance(first, Dense):
        return 1
    limit = events(network, first, activity) / network.steps(network.input.name) / 8
    return next((group for group in (1, 2, 4, 8) if size / group <= limit), min(16, size))


def small_memory(board: Board, depth: int, width: int) -> MemoryStyle:
    """Where the membranes are kept: LUT RAM where the family has it and they are small, else block RAM."""
    return "distributed" if board.family.has_lut_ram and depth * width <= SMALL_MEMORY_BITS else "block"


def expected_cycles(network: Network, plan: Plan, activity: dict[str, list[float]]) -> dict[str, LayerCycles]:
    """Expected cycles of every layer, from the checkpoint's activity."""
    result = {}
    for layer in plan.layers:
        projection = next(network.projections_into(layer.name))
        assert isinstance(projection, Dense)
        steps = network.timesteps if layer.name != network.readout.name else 1
        result[layer.name] = LayerCycles(
            array=layer.folds * events(network, projection, activity),
            neurons=float(steps * layer.folds * max(layer.lanes // layer.cores, 4)),
        )
    return result
