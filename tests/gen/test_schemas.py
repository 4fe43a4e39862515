"""docs/schemas: real reports and plans are valid, and nothing unknown is."""

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema
import pytest

from boards.catalogue import find_board
from boards.families.nextpnr import TIMING
from gen import build
from gen.facts.netlist import floorplan, used_by_part, utilisation
from hw.plan import VERSION, Plan, part_kinds
from hw.stages.registry import PLANS

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {name: json.loads((ROOT / f"docs/schemas/{name}.schema.json").read_text()) for name in ("report", "plan")}
MAPS = {"tools", "files", "utilisation", "used_by_part", "parts"}
"""Keys of a report whose values have keys of their own choice."""
BUILDS = (
    ("digits_mlp", ("--board", "ulx3s_12f", "--patchable")),
    ("digits_mlp", ("--board", "icebreaker", "--target-fps", "20000")),
    ("digits_resnet", ("--board", "arty_a7")),
    ("nmnist_cnn", ("--board", "tang_primer_20k", "--schedule", "time_major")),
    ("digits_mlp", ("--board", "arty_a7", "--objective", "latency")),
    ("digits_mlp", ("--target", "axi", "--part", "xc7a35t")),
)
OPTIONAL = {"latency_cycles_expected"}


@pytest.fixture(scope="module", params=BUILDS, ids=lambda one: f"{one[0]} {one[1][1]}")
def built(request, zoo, tmp_path_factory):
    network, options = request.param
    out = tmp_path_factory.mktemp("schemas") / "out"
    arguments = ["--ckpt", str(zoo / f"{network}.pt"), *options, "--out", str(out)]
    assert build.main([*arguments, "--until", "rtl"]) == 0
    return out


def objects(value, key=""):
    """Every object below a value, with the key that it has."""
    if isinstance(value, dict):
        yield key, value
        for name, one in value.items():
            yield from objects(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one, key)


@pytest.mark.parametrize("name", SCHEMAS)
def test_real_files_are_valid_and_a_key_more_or_less_is_not(name, built):
    schema, content = SCHEMAS[name], json.loads((built / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(content)
    for key in set(content) - OPTIONAL:
        assert not validator.is_valid({other: value for other, value in content.items() if other != key}), key
    places = [key for key, _ in objects(content)]
    for place, key in enumerate(places):
        if key in MAPS:
            continue
        changed = copy.deepcopy(content)
        list(objects(changed))[place][1]["unknown"] = 1
        assert not validator.is_valid(changed), key


def test_what_later_steps_add_is_valid(built, tmp_path):
    content = json.loads((built / "report.json").read_text())
    cell = '        "device.network.readout_x": {\n          "hide_name": 0,\n          "type": "LUT4",\n'
    (tmp_path / "netlist").write_text(cell)
    (tmp_path / "placed").write_text(f'{cell}            "NEXTPNR_BEL": "X1/Y0/A"\n')
    (tmp_path / TIMING).write_text(json.dumps({"utilization": {"LUT4": {"used": 1, "available": 9}}}))
    end = {"signal": "a.b", "source": "hw/top.py:1"}
    content |= {
        "fmax_mhz": 81.5,
        "critical_paths": [
            {"clocks": ["posedge clk", "<async>"], "begins": end, "ends": end, "logic_ns": 1.0, "routing_ns": 2.5}
        ],
        "missed": {"clock_mhz": 80.0, "fmax_mhz": 70.1},
        "resources": {"lut": 1, "ff": 0, "bram": 0.5, "dsp": 0},
        "used_by_part": used_by_part(tmp_path / "netlist", ["readout"], find_board("ulx3s_12f").family),
        "utilisation": utilisation(tmp_path / TIMING),
        "floorplan": floorplan(tmp_path / "placed", ["readout"]),
    }
    assert content["used_by_part"]
    assert content["floorplan"]
    jsonschema.Draft202012Validator(SCHEMAS["report"]).validate(content)


def test_the_schema_knows_every_kind_of_stage_and_engine():
    defined = SCHEMAS["plan"]["$defs"]
    assert {name for name in defined if "name" in defined[name].get("properties", {})} == set(PLANS)
    assert SCHEMAS["plan"]["properties"]["version"]["const"] == VERSION
    assert set(SCHEMAS["plan"]["properties"]) == {"version", *(field.name for field in fields(Plan))}
    kinds: set[Any] = set()
    left: list[Any] = list(PLANS.values())
    while left:
        kind = left.pop()
        kinds.add(kind)
        left += [one for hint in get_type_hints(kind).values() for one in part_kinds(hint) if one not in kinds]
    types = [one["properties"].get("type", {}) for one in defined.values() if "properties" in one]
    stated = {name for one in types for name in one.get("enum", [one["const"]] if "const" in one else [])}
    assert stated == {kind.type for kind in kinds if hasattr(kind, "type")}
    known = {frozenset(set(one["properties"]) - {"type"}) for one in defined.values() if "properties" in one}
    assert {frozenset(field.name for field in fields(kind)) for kind in kinds} == known
