"""What ``python -m studies.wrapper`` does: the synthesis of a core whose network is a black box."""

import argparse
import json
import tempfile
from pathlib import Path

from boards.board import Family, Resources
from gen.design import design_of
from gen.emit.core import MODULE, core_config, core_rtlil
from gen.emit.toolrun import run_tool
from hw.ports.core import NETWORK, CoreConfig

BLACK_BOX = f"""\
read_rtlil {MODULE}.il
hierarchy -top {MODULE}
setattr -mod -set keep_hierarchy 1 {MODULE}.{NETWORK}
blackbox {MODULE}.{NETWORK}
delete =A:blackbox %n {MODULE}.{NETWORK}.* %i
"""


def wrapper_resources(config: CoreConfig, family: Family) -> Resources:
    """The resources of a core without its network."""
    script = family.synthesis_script(MODULE)
    read, _, rest = script.partition("\n")
    assert read.startswith("read_")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / f"{MODULE}.il").write_text(core_rtlil(config))
        (folder / f"{MODULE}.ys").write_text(BLACK_BOX + rest)
        run_tool(family.synthesis(MODULE), folder)
        cells = json.loads((folder / f"{MODULE}.stat.json").read_text())["design"]["num_cells_by_type"]
        return family.resources(cells)


def run(options: argparse.Namespace) -> int:
    """Synthesise and print; returns the exit code. Raises UserError."""
    design = design_of(options)
    family = design.board.family
    found = wrapper_resources(core_config(design), family)
    figures = ", ".join(f"{count:g} {family.unit(name)}" for name, count in found.counts.items())
    print(f"{options.ckpt.stem}, {options.target}, {design.board.name}: {figures}")
    return 0
