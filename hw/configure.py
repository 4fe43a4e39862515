"""From network and plan to the configuration of every stage: derived once, checked once."""

import math

from hw.configuration import TopConfig
from hw.plan import Plan
from hw.schedule import Schedule, frames_per_result, needs_time_major, steps_per_frame
from hw.stages.registry import StagedNode, stage_of
from hw.stages.stage import Stage, StagePlan, Surroundings
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
    reason = needs_time_major(network)
    if reason is not None and plan.schedule != "time_major":
        raise UserError(
            f"the network needs the time-major schedule, since {reason}; leave out --plan to make a new one"
        )
    stages: list[Stage] = []
    streams = {network.input.name: input_stream(network, plan.input_group, plan.schedule)}
    for node, planned in zip(nodes, plan.stages, strict=True):
        streams |= recurrent_stream(network, node, planned, plan.schedule)
    for node, planned in zip(nodes, plan.stages, strict=True):
        kind = stage_of(node, plan.schedule)
        if planned.type != kind.type:
            raise UserError(f"the plan's stage {node.name} is a {planned.type}; leave out --plan to make a new one")
        around = Surroundings(network=network, schedule=plan.schedule, streams=streams, before=stages)
        stages.append(kind.derived(node, planned, around))
        output = stages[-1].output
        if output is not None:
            streams[node.name] = output
    return TopConfig(
        input=streams[network.input.name],
        stages=tuple(stages),
        mode=network.mode,
        schedule=plan.schedule,
        frames=frames_per_result(network, plan.schedule),
    )


def recurrent_stream(network: Network, node: StagedNode, plan: StagePlan, schedule: Schedule) -> dict[str, BurstStream]:
    """The stream of a node that is the source of a recurrent projection, so that a stage before it can be derived."""
    recurrent = any(one.recurrent and one.source == node.name for one in network.projections)
    return {node.name: stage_of(node, schedule).output_of(node, plan, network, schedule)} if recurrent else {}


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


def input_stream(network: Network, group: int, schedule: Schedule = "position_major") -> BurstStream:
    """The network's input: one flat position if only dense layers read it, otherwise position by position."""
    spec = network.input
    flat = not network.needs_positions(spec.name)
    channels, height, width = (math.prod(spec.shape), 1, 1) if flat else spec.shape
    return BurstStream(
        height=height,
        width=width,
        steps=steps_per_frame(network, spec.name, schedule),
        beats=math.ceil(channels / group),
        group=group,
        burst_bits=spec.bits,
    )
