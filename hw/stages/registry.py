"""The kinds of stages: which kind a node of the network becomes, and the name of its plan."""

from hw.schedule import Schedule
from hw.stages.frame_readout import FrameReadoutPlan, FrameReadoutStage
from hw.stages.pooling import PoolingPlan, PoolingStage
from hw.stages.population import PopulationPlan, PopulationStage
from hw.stages.readout import ReadoutPlan, ReadoutStage
from hw.stages.sliding_pooling import SlidingPoolingPlan, SlidingPoolingStage
from hw.stages.stage import Stage, StagePlan
from qblif.network.nodes import Pooling, Population, Readout

StagedNode = Pooling | Population | Readout
"""The nodes that become stages."""
STAGES: tuple[type[Stage], ...] = (PoolingStage, SlidingPoolingStage, PopulationStage, ReadoutStage, FrameReadoutStage)
PLANS: dict[str, type[StagePlan]] = {
    plan.type: plan for plan in (PoolingPlan, SlidingPoolingPlan, PopulationPlan, ReadoutPlan, FrameReadoutPlan)
}
"""Each plan class, by the name of its type in JSON."""


def stage_of(node: StagedNode, schedule: Schedule) -> type[Stage]:
    """The kind of stage that a node becomes under a schedule."""
    return next(stage for stage in STAGES if stage.builds(node, schedule))
