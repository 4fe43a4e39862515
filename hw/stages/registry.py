"""The kinds of stages: which stage a node of the network becomes, and what its plan is called."""

from typing import Any

from hw.stages.pooling import PoolingPlan, PoolingStage
from hw.stages.population import PopulationPlan, PopulationStage
from hw.stages.readout import ReadoutPlan, ReadoutStage
from hw.stages.stage import Stage, StagePlan
from qblif.network.nodes import Pooling, Population, Readout

StagedNode = Pooling | Population | Readout
"""What becomes a stage."""
STAGES: dict[type[Any], type[Stage]] = {
    Pooling: PoolingStage,
    Population: PopulationStage,
    Readout: ReadoutStage,
}
"""By the type of the node."""
PLANS: dict[str, type[StagePlan]] = {plan.type: plan for plan in (PoolingPlan, PopulationPlan, ReadoutPlan)}
"""By the name of its type in JSON."""


def stage_of(node: StagedNode) -> type[Stage]:
    """The kind of stage that a node becomes."""
    return STAGES[type(node)]
