"""From network and plan to the configuration of every component: derived once, checked once."""

import math
from dataclasses import replace

from hw.configuration import (
    LayerConfig,
    NeuronConfig,
    PoolingConfig,
    ProjectionConfig,
    ReadoutConfig,
    SkipConfig,
    TopConfig,
    WindowConfig,
    padded,
)
from hw.plan import LayerPlan, Plan, PoolingPlan
from hw.skip_depth import rows_ahead
from hw.weights import stream_order
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population, Readout, Target
from qblif.network.projections import Conv2d, Dense, Skip
from qblif.streams import BurstStream

MOST_IDLE_LANES = 64
"""Lanes that no neuron uses; more would be a mistake in a plan."""
SLACK_ROWS = 2
"""Rows that a skip holds beyond those without which all would stand still, so that its source can go on meanwhile."""


def configure(network: Network, plan: Plan) -> TopConfig:
    """Derive the hardware of ``network`` under ``plan``.

    Raises:
        UserError: the network has connections that no hardware is generated for, or the plan is not one for it.
    """
    poolings = [node.name for node in network.nodes if isinstance(node, Pooling)]
    named = [layer.name for layer in plan.layers], [pooling.name for pooling in plan.poolings]
    if named != ([target.name for target in network.targets], poolings):
        raise UserError("the plan's layers are not those of this network; leave out --plan to make a new one")
    check_readers(network)
    streams = {network.input.name: input_stream(network, plan.input_group)}
    stages: list[LayerConfig | PoolingConfig] = []
    for node in (*network.nodes, network.readout):
        if isinstance(node, Pooling):
            stages.append(pooling_config(node, plan.pooling(node.name), streams[node.source], network))
        else:
            stages.append(layer_config(node, plan.layer(node.name), streams, network, stages))
        output = stages[-1].output
        if output is not None:
            streams[node.name] = output
    return TopConfig(input=streams[network.input.name], stages=tuple(stages))


def check_readers(network: Network) -> None:
    """Raise UserError where the bursts of a node lead nowhere, or a skip begins at the input."""
    read = {projection.source for projection in network.projections}
    read |= {node.source for node in network.nodes if isinstance(node, Pooling)}
    for node in (network.input, *network.nodes):
        if node.name not in read:
            raise UserError(f"nothing reads the bursts of {node.name}; take it out of the network")
    for projection in network.projections:
        if isinstance(projection, Skip) and network.origin(projection.source) == network.input.name:
            raise UserError(
                f"layer {projection.target}: no hardware is generated for a skip that begins at the input; "
                f"put a layer between"
            )


def main_projection(network: Network, target: str) -> Dense | Conv2d:
    """The one projection with weights that leads into the layer ``target``; raises UserError where there are more."""
    found = [projection for projection in network.projections_into(target) if not isinstance(projection, Skip)]
    if len(found) != 1:
        raise UserError(
            f"layer {target}: hardware is generated for one dense or convolutional projection and identity skips "
            f"into each layer, and here are {len(found)} with weights"
        )
    return found[0]


def input_stream(network: Network, group: int) -> BurstStream:
    """The network's input: one flat position where only dense layers read it, else position by position."""
    spec = network.input
    readers = [p for p in network.projections if p.source == spec.name]
    pooled = any(isinstance(node, Pooling) and node.source == spec.name for node in network.nodes)
    flat = not pooled and all(isinstance(reader, Dense) for reader in readers)
    channels, height, width = (math.prod(spec.shape), 1, 1) if flat else spec.shape
    return BurstStream(
        height=height,
        width=width,
        steps=network.steps(spec.name),
        beats=math.ceil(channels / group),
        group=group,
        burst_bits=spec.bits,
    )


def pooling_config(pooling: Pooling, plan: PoolingPlan, stream: BurstStream, network: Network) -> PoolingConfig:
    """One pooling stage; its beats are those of its source."""
    _, height, width = network.shape(pooling.name)
    return PoolingConfig(
        name=pooling.name,
        source=pooling.source,
        kind=pooling.kind,
        kernel=pooling.kernel,
        stream=stream,
        output=BurstStream(
            height=height,
            width=width,
            folds=stream.folds,
            steps=stream.steps,
            beats=stream.beats,
            group=stream.group,
            burst_bits=network.burst_ceiling(pooling.name).bit_length(),
        ),
        memory=plan.memory,
    )


def layer_config(
    target: Target,
    plan: LayerPlan,
    streams: dict[str, BurstStream],
    network: Network,
    before: list[LayerConfig | PoolingConfig],
) -> LayerConfig:
    """One layer behind the stages ``before`` it."""
    projection = main_projection(network, target.name)
    source = streams[projection.source]
    check_plan(plan, len(projection.weights), source)
    population = target if isinstance(target, Population) else None
    projected = projection_config(projection, plan, source, network.timesteps, spiking=population is not None)
    if population is None:
        return LayerConfig(name=plan.name, projection=projected, target=readout_config(network, plan), output=None)
    output = BurstStream(
        height=population.shape[1],
        width=population.shape[2],
        folds=plan.folds,
        steps=network.timesteps,
        beats=plan.lanes // plan.group,
        group=plan.group,
        burst_bits=population.burst_ceiling.bit_length(),
    )
    skips = tuple(
        skip_config(skip, plan, output, streams[skip.source], [*before, projected])
        for skip in network.projections_into(target.name)
        if isinstance(skip, Skip)
    )
    neurons = neuron_config(population, plan, network.timesteps, skips)
    return LayerConfig(name=plan.name, projection=projected, target=neurons, output=output)


def check_plan(plan: LayerPlan, channels: int, source: BurstStream) -> None:
    """Raise UserError unless the plan's divisors fit together and cover ``channels``."""
    fits = plan.lanes % plan.group == 0 and plan.group % plan.cores == 0
    if plan.name == Readout.name:
        fits = plan.group == plan.cores == 1
    if not fits or plan.folds != math.ceil(channels / plan.lanes):
        raise UserError(
            f"layer {plan.name}: a plan of {plan.lanes} lanes, {plan.folds} folds, {plan.cores} cores and groups of "
            f"{plan.group} does not divide {channels} channels evenly"
        )
    if plan.lanes >= channels + MOST_IDLE_LANES:
        raise UserError(f"layer {plan.name}: a plan of {plan.lanes} lanes for {channels} channels leaves them idle")
    if source.group % plan.banks:
        raise UserError(f"layer {plan.name}: beats of {source.group} channels cannot be dealt to {plan.banks} banks")


def window_config(projection: Dense | Conv2d, plan: LayerPlan, source: BurstStream) -> WindowConfig:
    """The windows of a projection, and how many source rows are kept for them."""
    kernel, stride, padding = (source.height, source.width), 1, 0
    if isinstance(projection, Conv2d):
        kernel = (projection.weights.shape[2], projection.weights.shape[3])
        stride, padding = projection.stride, projection.padding
    window = WindowConfig(
        source=source,
        kernel=kernel,
        stride=stride,
        padding=padding,
        folds=plan.folds,
        rows_kept=0,
        memory=plan.field_memory,
    )
    passes = source.height * source.width == 1 and window.height * window.width == 1 and kernel == (1, 1)
    if passes and plan.folds == 1 and (source.folds == 1 or source.steps == 1):
        return window
    # What the largest window needs stays; meanwhile as many rows can arrive as will be released at once.
    return replace(window, rows_kept=max(window.needed) + max(window.released))


def projection_config(
    projection: Dense | Conv2d, plan: LayerPlan, source: BurstStream, timesteps: int, *, spiking: bool
) -> ProjectionConfig:
    """One layer's projection."""
    window = window_config(projection, plan, source)
    return ProjectionConfig(
        source=projection.source,
        window=window,
        lanes=plan.lanes,
        folds=plan.folds,
        cores=plan.cores,
        banks=plan.banks,
        merged_steps=1 if spiking else source.steps,
        repeats=timesteps // source.steps if spiking else 1,
        weight_bits=projection.weight_bits,
        weights=stream_order(projection.weights, source),
        weight_memory=plan.weight_memory,
        accumulator_bits=plan.accumulator_bits,
    )


def skip_config(
    skip: Skip,
    plan: LayerPlan,
    output: BurstStream,
    stream: BurstStream,
    stages: list[LayerConfig | PoolingConfig | ProjectionConfig],
) -> SkipConfig:
    """An identity connection: its beats come in the order of the target's neurons, and wait for them."""
    shape = (stream.height, stream.width, stream.folds, stream.steps, stream.beats * stream.group)
    if shape != (output.height, output.width, output.folds, output.steps, plan.lanes) or stream.group % plan.cores:
        raise UserError(
            f"layer {plan.name}: the skip from {skip.source} needs a source with the same lanes and folds in groups "
            f"that {plan.cores} cores divide; make a new plan"
        )
    ahead = rows_ahead(skip.source, stages)
    if ahead is None:
        raise UserError(
            f"layer {plan.name}: the skip comes from {skip.source}, which the layer's own projection does not depend on"
        )
    lead = max(ahead(row) - row for row in range(output.height))
    depth = (lead + SLACK_ROWS) * stream.width * stream.beats_per_position
    return SkipConfig(source=skip.source, stream=stream, weight=skip.weight, depth=depth, memory=plan.field_memory)


def neuron_config(
    population: Population, plan: LayerPlan, timesteps: int, skips: tuple[SkipConfig, ...]
) -> NeuronConfig:
    """One layer's neurons, padded to whole folds."""
    channels = plan.lanes * plan.folds
    return NeuronConfig(
        lanes=plan.lanes,
        folds=plan.folds,
        cores=plan.cores,
        group=plan.group,
        timesteps=timesteps,
        fraction_bits=population.fraction_bits,
        burst_ceiling=population.burst_ceiling,
        leak=population.leak,
        reset=population.reset,
        bias=padded(population.bias, channels),
        exponent=padded(population.exponent, channels),
        skips=skips,
        membrane_memory=plan.membrane_memory,
        constants_memory=plan.constants_memory,
        bias_bits=plan.bias_bits,
        exponent_bits=plan.exponent_bits,
        accumulator_bits=plan.accumulator_bits,
        current_bits=plan.current_bits,
        potential_bits=plan.potential_bits,
        membrane_bits=plan.membrane_bits,
    )


def readout_config(network: Network, plan: LayerPlan) -> ReadoutConfig:
    """The readout; its bias counts once a timestep."""
    readout = network.readout
    source = main_projection(network, readout.name).source
    return ReadoutConfig(
        classes=len(readout.bias),
        repeats=network.timesteps // network.steps(source),
        bias=tuple((readout.bias * network.timesteps).tolist()),
        exponent=tuple(readout.exponent.tolist()),
        constants_memory=plan.constants_memory,
        bias_bits=plan.bias_bits,
        exponent_bits=plan.exponent_bits,
        accumulator_bits=plan.accumulator_bits,
        logit_bits=plan.current_bits,
    )
