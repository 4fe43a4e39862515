"""The kinds of stages: which one a node of the network becomes, and what its plan is called."""

from hw.stages.pooling import PoolingPlan, PoolingStage
from hw.stages.population import PopulationPlan, PopulationStage
from hw.stages.readout import ReadoutPlan, ReadoutStage
from hw.stages.sliding_pooling import SlidingPoolingPlan, SlidingPoolingStage
from hw.stages.stage import Stage, StagePlan
from qblif.network.nodes import Pooling, Population, Readout

StagedNode = Pooling | Population | Readout
"""What becomes a stage."""
STAGES: tuple[type[Stage], ...] = (PoolingStage, SlidingPoolingStage, PopulationStage, ReadoutStage)
PLANS: dict[str, type[StagePlan]] = {
    plan.type: plan for plan in (PoolingPlan, SlidingPoolingPlan, PopulationPlan, ReadoutPlan)
}
"""By the name of its type in JSON."""


def stage_of(node: StagedNode) -> type[Stage]:
    """The kind of stage that a node becomes."""
    return next(stage for stage in STAGES if stage.builds(node))
