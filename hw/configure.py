"""From network and plan to the configuration of every stage: derived once, checked once."""

import math

from hw.configuration import TopConfig
from hw.plan import Plan
from hw.stages.registry import stage_of
from hw.stages.stage import Stage, Surroundings
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.streams import BurstStream


def configure(network: Network, plan: Plan) -> TopConfig:
    """Derive the hardware of ``network`` under ``plan``.

    Raises:
        UserError: no hardware is generated for a connection of the network, or the plan does not fit the network.
    """
    nodes = (*network.nodes, network.readout)
    if [stage.name for stage in plan.stages] != [node.name for node in nodes]:
        raise UserError("the plan's stages are not those of this network; leave out --plan to make a new one")
    check_readers(network)
    stages: list[Stage] = []
    streams = {network.input.name: input_stream(network, plan.input_group)}
    for node, planned in zip(nodes, plan.stages, strict=True):
        kind = stage_of(node)
        if planned.type != kind.type:
            raise UserError(f"the plan's stage {node.name} is a {planned.type}; leave out --plan to make a new one")
        stages.append(kind.derived(node, planned, Surroundings(network=network, streams=streams, before=stages)))
        output = stages[-1].output
        if output is not None:
            streams[node.name] = output
    return TopConfig(input=streams[network.input.name], stages=tuple(stages))


def check_readers(network: Network) -> None:
    """Raise UserError if nothing reads the bursts of a node, or a skip begins at the input."""
    for node in (network.input, *network.nodes):
        if not network.is_read(node.name):
            raise UserError(f"nothing reads the bursts of {node.name}; take it out of the network")
    for target in network.targets:
        for skip in network.skips_into(target.name):
            if network.origin(skip.source) == network.input.name:
                raise UserError(
                    f"layer {target.name}: no hardware is generated for a skip that begins at the input; put a layer "
                    f"between"
                )


def input_stream(network: Network, group: int) -> BurstStream:
    """The network's input: one flat position if only dense layers read it, otherwise position by position."""
    spec = network.input
    flat = not network.needs_positions(spec.name)
    channels, height, width = (math.prod(spec.shape), 1, 1) if flat else spec.shape
    return BurstStream(
        height=height,
        width=width,
        steps=network.steps(spec.name),
        beats=math.ceil(channels / group),
        group=group,
        burst_bits=spec.bits,
    )
