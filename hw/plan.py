"""The plan: the parallelism of each stage. Pure data, with a part for each stage; gen.plan creates it."""

import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hw.memory import MemoryStyle
from hw.plan_fields import ADDED
from hw.schedule import SCHEDULES, Schedule
from hw.stages.registry import PLANS
from hw.stages.stage import StagePlan
from qblif.errors import UserError
from qblif.reading import brief, read_json, shown

VERSION = 6
LONGEST_NAME = 100
MOST_PARTS = 1024
MOST_SELF_TEST_SAMPLES = 16
MOST_OF_ANYTHING = 2**20
"""Limit of lanes, folds, banks and so on: far more than any board has room for."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a whole network, for one board and clock.

    Attributes:
        schedule: the order of the timesteps.
        input_group: channels per beat of the input stream.
        stages: the plans of all nodes of the network, in order.
        self_test_samples: reference inputs that the self-test on the chip holds; 0 for none.
    """

    board: str
    clock_mhz: float
    network_sha256: str
    schedule: Schedule
    input_group: int
    stages: tuple[StagePlan, ...]
    self_test_samples: int = MOST_SELF_TEST_SAMPLES

    def __post_init__(self) -> None:
        for text in (self.board, self.network_sha256):
            if not isinstance(text, str) or len(text) > LONGEST_NAME:
                raise ValueError(f"{shown(text)} is not the name of a board or of a network")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule {shown(self.schedule)} is not {' or '.join(SCHEDULES)}")
        if type(self.input_group) is not int or not 1 <= self.input_group <= 256:
            raise ValueError(f"input_group {shown(self.input_group)} is not 1 to 256")
        if type(self.clock_mhz) not in (int, float) or not 0 < self.clock_mhz < 1000:
            raise ValueError(f"clock_mhz {shown(self.clock_mhz)} is not a frequency")
        samples = self.self_test_samples
        if type(samples) is not int or not 0 <= samples <= MOST_SELF_TEST_SAMPLES:
            raise ValueError(f"self_test_samples {shown(samples)} is not 0 to {MOST_SELF_TEST_SAMPLES}")

    def to_json(self) -> str:
        """Canonical text; equal plans give equal texts."""
        return json.dumps({"version": VERSION, **described(self)}, indent=2) + "\n"

    @property
    def patchable(self) -> bool:
        """Whether everything that depends on training is in block RAM, so that other weights can replace it later."""
        return all(stage.patchable for stage in self.stages)

    @property
    def sha256(self) -> str:
        """The hash that identifies this plan in every report."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def stage(self, name: str) -> StagePlan:
        """The plan of the stage called ``name``; raises KeyError."""
        return {stage.name: stage for stage in self.stages}[name]


def described(part: Any) -> Any:
    """A plan, or a part of one, as JSON data; a part that can be of several kinds states its ``type``."""
    if isinstance(part, tuple):
        return [described(one) for one in part]
    if not is_dataclass(part):
        return part
    kind = {"type": part.type} if hasattr(part, "type") else {}
    values = {field: getattr(part, field.name) for field in fields(part)}
    left_out = {field for field, value in values.items() if field.metadata == ADDED and value == field.default}
    return {**kind, **{field.name: described(value) for field, value in values.items() if field not in left_out}}


def plan_from(content: dict[str, Any]) -> Plan:
    """The plan that :meth:`Plan.to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
    left = {key: value for key, value in content.items() if key != "version"}
    stages = left.pop("stages")
    if not isinstance(stages, list) or len(stages) > MOST_PARTS:
        raise ValueError(f"'stages' is not a list of at most {MOST_PARTS} parts")
    samples = left.pop("self_test_samples")
    return Plan(stages=tuple(map(stage_plan_from, stages)), self_test_samples=samples, **left)


def stage_plan_from(content: dict[str, Any]) -> StagePlan:
    """The plan of one stage; raises ValueError, KeyError or TypeError for anything else."""
    left = dict(content)
    name, kind = left["name"], left["type"]
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"{shown(name)} is not the name of a stage")
    if not isinstance(kind, str) or kind not in PLANS:
        raise ValueError(f"{name}: {shown(kind)} is not a kind of stage")
    plan: StagePlan = checked(PLANS[kind], left, name)
    for memory, style in plan.memories().items():
        if style == "logic":
            raise ValueError(f"{name}: {memory} are written, so they are kept in block or distributed memory")
    for table, style in plan.tables().items():
        if style == "distributed":
            raise ValueError(f"{name}: {table} are constants, so they are kept in block or logic")
    return plan


def checked(part: type[Any], content: Any, where: str) -> Any:
    """An instance of a dataclass of a plan in which every field has its declared type; raises ValueError, KeyError or
    TypeError for anything else."""
    if not isinstance(content, dict):
        raise TypeError(f"{where}: {shown(content)} is not a part of a plan")
    left = dict(content)
    if hasattr(part, "type") and left.pop("type") != part.type:
        raise ValueError(f"{where}: not a plan of the kind {part.type}")
    hints, counted = get_type_hints(part), not hasattr(part, "__post_init__")
    values = {}
    for field in fields(part):
        if field.metadata == ADDED and field.name not in left:
            continue
        value, hint = left.pop(field.name), hints[field.name]
        choices = get_args(hint)
        kinds = part_kinds(hint)
        if get_origin(hint) is tuple and kinds:
            if not isinstance(value, list) or not 1 <= len(value) <= MOST_PARTS:
                raise ValueError(f"{where}: {field.name} is not a list of 1 to {MOST_PARTS} parts")
            value = tuple(checked(kind_of(kinds, one), one, f"{where}: {field.name}") for one in value)
        elif kinds and not (value is None and type(None) in choices):
            value = checked(kind_of(kinds, value), value, f"{where}: {field.name}")
        elif hint is int and counted and (type(value) is not int or not 1 <= value < MOST_OF_ANYTHING):
            raise ValueError(f"{where}: {field.name} {shown(value)} is not a whole number from 1 upward")
        elif hint is bool and type(value) is not bool:
            raise ValueError(f"{where}: {field.name} {shown(value)} is not true or false")
        elif hint == MemoryStyle and value not in choices:
            raise ValueError(f"{where}: {field.name} {shown(value)} is not one of {', '.join(choices)}")
        values[field.name] = value
    if left:
        raise ValueError(f"{where}: {shown(next(iter(left)))} is not known")
    return part(**values)


def part_kinds(hint: Any) -> list[type[Any]]:
    """The dataclasses that a field of a plan can hold, itself, one of several, or in a tuple."""
    if isinstance(hint, type) and is_dataclass(hint):
        return [hint]
    return [kind for choice in get_args(hint) for kind in part_kinds(choice)]


def kind_of(kinds: list[type[Any]], content: Any) -> type[Any]:
    """Which of several kinds the JSON data of a part is: its ``type`` says so; parts of the first kind may lack it."""
    stated = content.get("type") if isinstance(content, dict) else None
    return next((kind for kind in kinds if getattr(kind, "type", None) == stated), kinds[0])


def load_plan(path: Path) -> Plan:
    """Read a plan that was saved as JSON; raises UserError when it is missing, damaged or of another version."""
    content = read_json(path, "plan")
    try:
        if type(content["version"]) is not int or content["version"] != VERSION:
            raise UserError(f"{path} is a plan of another version; make it again with gen.plan")
        return plan_from(content)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a plan, or is damaged: {brief(error)}") from error
