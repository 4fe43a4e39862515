"""The plan: how parallel each layer is built and how wide its registers are. Pure data; gen.plan decides it."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from qblif.errors import UserError
from qblif.network.bounds import MOST_BITS
from qblif.reading import brief, read_json, shown

VERSION = 4
WIDEST_REGISTER = MOST_BITS
"""Bits; more than any sum of a network needs, 51, so that a patchable design may have a margin."""
MOST_EXPONENT_BITS = 6
"""Enough for the largest exponent of a network, 32."""
LONGEST_NAME = 100
MOST_PARTS = 1024
MOST_SELF_TEST_SAMPLES = 16
MemoryStyle = Literal["block", "distributed", "logic"]


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """How one layer is built.

    Attributes:
        name: the population, or ``readout``.
        lanes: P, neurons that accumulate at the same time; a multiple of ``group`` and of ``cores``.
        folds: passes over the source that cover all channels, ``ceil(channels / lanes)``.
        cores: M, neuron cores; each updates one neuron a cycle.
        group: G, channels a beat of the stream that leaves the layer; a multiple of ``cores`` (the readout: 1).
        banks: E, events a cycle; the channels of every incoming beat are dealt out to as many weight memories.
        weight_memory: what the weights are kept in.
        field_memory: what the receptive field's line buffer, if there is one, is kept in.
        membrane_memory: what the membranes are kept in.
        constants_memory: what biases and exponents are kept in.
        bias_bits: signed width of a bias (the readout: of all timesteps together).
        exponent_bits: width of an exponent; 0 where all are 0.
        accumulator_bits: signed width that no partial sum of the synapse array leaves.
        current_bits: signed width of ``(sum << e) + bias`` (the readout: of a logit).
        potential_bits: signed width of M, before reset.
        membrane_bits: signed width of V, after reset.
    """

    name: str
    lanes: int
    folds: int
    cores: int
    group: int
    banks: int
    weight_memory: MemoryStyle
    field_memory: MemoryStyle
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    current_bits: int
    potential_bits: int
    membrane_bits: int

    def __post_init__(self) -> None:
        check_name(self.name)
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "exponent_bits" else 1
            if field.type in (int, "int") and (type(value) is not int or not least <= value < 2**20):
                raise ValueError(
                    f"layer {self.name}: {field.name} {shown(value)} is not a whole number from {least} upward"
                )
            if field.name.endswith("_bits") and value > WIDEST_REGISTER:
                raise ValueError(f"layer {self.name}: {field.name} {value} is more than {WIDEST_REGISTER}")
        if self.exponent_bits > MOST_EXPONENT_BITS:
            raise ValueError(f"layer {self.name}: exponent_bits {self.exponent_bits} is more than {MOST_EXPONENT_BITS}")
        for kind, table in (("weights", self.weight_memory), ("constants", self.constants_memory)):
            if table not in ("block", "logic"):
                raise ValueError(f"layer {self.name}: {kind} are kept in block or logic, not in {shown(table)}")
        for memory in (self.field_memory, self.membrane_memory):
            check_writable(self.name, memory)


@dataclass(frozen=True, kw_only=True)
class PoolingPlan:
    """How a pooling is built: ``memory`` holds one row of unfinished windows."""

    name: str
    memory: MemoryStyle

    def __post_init__(self) -> None:
        check_name(self.name)
        check_writable(self.name, self.memory)


def check_name(name: object) -> None:
    """Raise ValueError unless ``name`` can be that of a node."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"{shown(name)} is not the name of a layer")


def check_writable(name: str, memory: str) -> None:
    """Raise ValueError unless ``memory`` is one that can be written."""
    if memory not in ("block", "distributed"):
        raise ValueError(f"{name}: what is written is kept in block or distributed memory, not in {shown(memory)}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a whole network, for one board and clock.

    Attributes:
        input_group: channels per beat of the input stream.
        self_test_samples: reference inputs that the self-test on the chip holds; 0 for none.
    """

    board: str
    clock_mhz: float
    network_sha256: str
    input_group: int
    layers: tuple[LayerPlan, ...]
    poolings: tuple[PoolingPlan, ...] = ()
    self_test_samples: int = MOST_SELF_TEST_SAMPLES

    def __post_init__(self) -> None:
        for text in (self.board, self.network_sha256):
            if not isinstance(text, str) or len(text) > LONGEST_NAME:
                raise ValueError(f"{shown(text)} is not the name of a board or of a network")
        if type(self.input_group) is not int or not 1 <= self.input_group <= 256:
            raise ValueError(f"input_group {shown(self.input_group)} is not 1 to 256")
        if type(self.clock_mhz) not in (int, float) or not 0 < self.clock_mhz < 1000:
            raise ValueError(f"clock_mhz {shown(self.clock_mhz)} is not a frequency")
        samples = self.self_test_samples
        if type(samples) is not int or not 0 <= samples <= MOST_SELF_TEST_SAMPLES:
            raise ValueError(f"self_test_samples {shown(samples)} is not 0 to {MOST_SELF_TEST_SAMPLES}")

    def to_json(self) -> str:
        """Canonical text; equal plans give equal texts."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=2) + "\n"

    @property
    def patchable(self) -> bool:
        """Whether everything that training decides is kept in block RAM, where other weights can be put later."""
        return all(layer.weight_memory == layer.constants_memory == "block" for layer in self.layers)

    @property
    def sha256(self) -> str:
        """The name by which every report knows this plan."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def layer(self, name: str) -> LayerPlan:
        """The plan of the layer called ``name``; raises KeyError."""
        return {layer.name: layer for layer in self.layers}[name]

    def pooling(self, name: str) -> PoolingPlan:
        """The plan of the pooling called ``name``; raises KeyError."""
        return {pooling.name: pooling for pooling in self.poolings}[name]


def plan_from(content: dict[str, Any]) -> Plan:
    """The plan that :meth:`Plan.to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
    fields_left = {key: value for key, value in content.items() if key != "version"}
    for key in ("layers", "poolings"):
        if not isinstance(fields_left[key], list) or len(fields_left[key]) > MOST_PARTS:
            raise ValueError(f"{key!r} is not a list of at most {MOST_PARTS} parts")
    layers = tuple(LayerPlan(**layer) for layer in fields_left.pop("layers"))
    poolings = tuple(PoolingPlan(**pooling) for pooling in fields_left.pop("poolings"))
    samples = fields_left.pop("self_test_samples")
    return Plan(layers=layers, poolings=poolings, self_test_samples=samples, **fields_left)


def load_plan(path: Path) -> Plan:
    """Read a plan that was saved as JSON; raises UserError when it is missing, damaged or of another version."""
    content = read_json(path, "plan")
    try:
        if type(content["version"]) is not int or content["version"] != VERSION:
            raise UserError(f"{path} is a plan of another version; make it again with gen.plan")
        return plan_from(content)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a plan, or is damaged: {brief(error)}") from error
