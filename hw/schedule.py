"""The two orders in which a network's timesteps pass through the hardware, and what each of them means for a network.

``position_major``: position -> fold -> timestep -> beat. The T timesteps of a position are finished before the next
position begins, so only the states of P neurons are stored at a time.

``time_major``: timestep -> position -> fold -> beat. Every timestep is a frame of its own, and the states of all
neurons are stored. A frame needs no other frame's bursts, except the previous one's in recurrent projections.
"""

from typing import Literal, get_args

from qblif.network.bounds import LayerBounds, layer_bounds, merged_bounds
from qblif.network.graph import Network
from qblif.network.nodes import Readout, Target

Schedule = Literal["position_major", "time_major"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)


def needs_time_major(network: Network) -> str | None:
    """Why only the time-major schedule can run a network; None if both can."""
    if network.mode == "stream":
        return "its timesteps come without end"
    if any(projection.recurrent for projection in network.projections):
        return "it has recurrent projections"
    return None if network.readout.plain else "its readout does more than sum"


def frames_per_result(network: Network, schedule: Schedule) -> int:
    """Frames that enter the hardware for each result; a position-major sample is one frame."""
    return network.timesteps if schedule == "time_major" and network.mode == "window" else 1


def steps_per_frame(network: Network, node: str, schedule: Schedule) -> int:
    """Timesteps of a node in each frame."""
    return 1 if schedule == "time_major" else network.steps(node)


def bounds_under(network: Network, target: Target, schedule: Schedule) -> LayerBounds:
    """Bounds of a layer: a position-major readout adds up all timesteps in its engine."""
    if isinstance(target, Readout) and schedule == "position_major":
        return merged_bounds(network, target)
    return layer_bounds(network, target)
