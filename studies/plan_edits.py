"""Plans with single fields replaced, for networks that are to be built in a certain way."""

import dataclasses
import math
from typing import Any, TypeVar

from boards.catalogue import find_board
from gen.planning.plans import make_plan
from hw.engines.event.engine import EventPlan, QueuedPlan
from hw.engines.window.engine import WindowPlan
from hw.neurons.plans import UnrolledPlan
from hw.plan import Plan
from hw.stages.stage import StagePlan
from qblif.network.graph import Network

AnyPlan = TypeVar("AnyPlan", bound=StagePlan)


def engine_plan(stage: StagePlan) -> EventPlan:
    """How the engine of a layer is built; of several the first."""
    return next(part for part in parts_of(stage) if isinstance(part, EventPlan))


def plan_for(network: Network, board: str = "arty_a7", /, **changes: dict[str, Any]) -> Plan:
    """The planner's plan, with fields of single layers replaced: ``plan_for(net, hidden_0={"lanes": 4})``.

    Where anything is replaced, layers have one bank unless ``changes`` says otherwise.
    """
    plan = make_plan(network, find_board(board), 100.0, "0" * 64, {})
    if not changes:
        return plan
    channels = {target.name: target.shape[0] for target in network.targets}
    stages = []
    for stage in plan.stages:
        if stage.name in channels:
            fields = {"banks": 1, **changes.get(stage.name, {})}
            lanes = fields.get("lanes", engine_plan(stage).lanes)
            stage = altered(stage, **fields, folds=math.ceil(channels[stage.name] / lanes))
        stages.append(stage)
    return dataclasses.replace(plan, stages=tuple(stages))


def altered(stage: AnyPlan, **fields: object) -> AnyPlan:
    """The plan of a layer with some fields replaced, those of its parts as well."""
    plan: Any = stage
    own = {name for part in parts_of(stage) for name in fields if hasattr(part, name)}
    replaced = {name: value for name, value in fields.items() if name not in own and hasattr(stage, name)}
    for field in ("engine", "engines", "neurons"):
        part = vars(stage).get(field)
        if isinstance(part, tuple):
            replaced[field] = tuple(with_fields(one, fields) for one in part)
        elif part is not None:
            replaced[field] = with_fields(part, fields)
    return dataclasses.replace(plan, **replaced)


def queued(plan: Plan) -> Plan:
    """The same plan with a queue for each bank of every event engine."""
    return dataclasses.replace(plan, stages=tuple(map(with_queues, plan.stages)))


def with_queues(part: Any) -> Any:
    """A plan of a layer, or of an engine, with queues."""
    if isinstance(part, EventPlan):
        return QueuedPlan(**vars(part))
    found = {field: vars(part)[field] for field in ("engine", "engines") if vars(part).get(field) is not None}
    changed = {
        field: tuple(map(with_queues, one)) if isinstance(one, tuple) else with_queues(one)
        for field, one in found.items()
    }
    return dataclasses.replace(part, **changed)


def parts_of(stage: StagePlan) -> list[Any]:
    """The parts that a plan of a layer has."""
    found = [vars(stage).get(field) for field in ("engine", "engines", "neurons")]
    return [one for part in found if part is not None for one in (part if isinstance(part, tuple) else (part,))]


def with_fields(part: Any, fields: dict[str, object]) -> Any:
    """A part of a plan with those of the fields replaced that it has."""
    return dataclasses.replace(part, **{name: value for name, value in fields.items() if hasattr(part, name)})


def windowed(
    stage: AnyPlan,
    *,
    channels: int,
    steps: int,
    lanes: int,
    planes: int,
    slides: bool,
    row_queue: bool = False,
    lut_inputs: int = 6,
    table_inputs: int = 6,
    cores: int = 0,
    group: int = 0,
) -> AnyPlan:
    """The plan of a layer with a window engine.

    Args:
        stage: the plan of a population or readout with one projection.
        channels, steps: of the layer.
        lanes, planes, slides, row_queue, lut_inputs, table_inputs: as in :class:`hw.engines.window.engine.WindowPlan`.
        cores, group: of a population, if its neurons are to be unrolled; otherwise they are as they were.
    """
    engine = WindowPlan(
        lanes=lanes,
        folds=math.ceil(channels / lanes),
        planes=planes,
        lut_inputs=lut_inputs,
        table_inputs=table_inputs,
        slides=slides,
        row_queue=row_queue,
        field_memory="distributed",
    )
    plan: Any = stage
    if "engine" in vars(stage):
        return dataclasses.replace(plan, engine=engine, constants_memory="logic")
    neurons = UnrolledPlan(cores=cores, steps=steps, group=group) if cores else plan.neurons
    return dataclasses.replace(plan, engines=(engine,), neurons=neurons)
