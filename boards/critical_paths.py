"""The slowest paths of a routed design, as nextpnr reports them, with the lines of source that their ends come from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class PathEnd:
    """A register, memory or pin: the name of its ``signal`` below the top, and its ``source`` as file and line, empty
    if the netlist does not say."""

    signal: str
    source: str


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The slowest path between two clocks, or between a clock and the pins (``<async>``)."""

    clocks: tuple[str, str]
    begins: PathEnd
    ends: PathEnd
    logic_ns: float
    routing_ns: float


def critical_paths(timing: Mapping[str, Any], netlist: Path) -> list[CriticalPath]:
    """Every path of nextpnr's report ``timing``, slowest first; ``netlist`` is the yosys netlist that it was given."""
    if not timing["critical_paths"]:
        return []
    design = json.loads(netlist.read_text())["modules"]["top"]
    found = []
    for path in timing["critical_paths"]:
        steps = path["path"]
        routing = sum(step["delay"] for step in steps if step["type"] == "routing")
        found.append(
            CriticalPath(
                clocks=(path["from"], path["to"]),
                begins=path_end(design, steps[0]["from"]["cell"]),
                ends=path_end(design, steps[-1]["to"]["cell"]),
                logic_ns=round(sum(step["delay"] for step in steps) - routing, 2),
                routing_ns=round(routing, 2),
            )
        )
    return sorted(found, key=lambda path: -path.logic_ns - path.routing_ns)


def path_end(design: Mapping[str, Any], cell: str) -> PathEnd:
    """What a cell of the netlist is called in the hardware's source: by its output, or, if that has no name there, by
    the component that it is a part of."""
    outputs = {bit for port in ("Q", "O") for bit in design["cells"].get(cell, {}).get("connections", {}).get(port, ())}
    for name, net in named(design):
        if outputs.intersection(net["bits"]):
            return PathEnd(signal=name, source=source_of(net))
    owner = cell
    while "." in owner:
        owner = owner.rpartition(".")[0]
        for name, net in named(design):
            if name.rpartition(".")[0] == owner:
                return PathEnd(signal=cell, source=source_of(net).partition(":")[0])
    return PathEnd(signal=cell, source="")


def named(design: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The nets that are signals of the source."""
    for name, net in design["netnames"].items():
        if "hdlname" in net["attributes"] and ".py:" in net["attributes"].get("src", ""):
            yield name, net


def source_of(net: Mapping[str, Any]) -> str:
    """File and line where a signal is made, the file as seen from the project."""
    path, _, line = net["attributes"]["src"].partition("|")[0].rpartition(":")
    file = Path(path)
    return f"{file.relative_to(PROJECT) if file.is_relative_to(PROJECT) else file.name}:{line}"
