"""The product in one command: build the shipped Fashion-MNIST network for a board, simulate it, print the results.

python -m studies.demo
"""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from boards.catalogue import find_board
from gen import build
from gen.reported import fmax
from qblif.errors import Arguments, UserError, command_line
from qblif.zoo import ZOO
from sim import golden, run
from snn.datasets.data import check_source

Figures = dict[str, Any]


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code of the first step that failed, or 0."""
    parser = Arguments(
        prog="python -m studies.demo",
        description="Build the shipped Fashion-MNIST network for a board, simulate it on test images against the "
        "golden model, and show accuracy, cycles, resources and the bitstream.",
    )
    parser.add_argument("--board", default="ulx3s_85f", help="board name (default ulx3s_85f)")
    parser.add_argument("--target-fps", type=float, default=100_000, help="inferences per second (default 100,000)")
    parser.add_argument("--count", type=int, default=100, help="images to simulate (default 100)")
    parser.add_argument("--data-dir", type=Path, help="folder with Fashion-MNIST's files")
    options = parser.parse_args(arguments)
    if options.count < 2:
        raise UserError(f"--count must be at least 2, not {options.count}: cycles are counted between images")
    find_board(options.board)
    check_source("fashion_mnist", options.data_dir)
    checkpoint = str(ZOO / "fashion_mnist_mlp.pt")
    folder = Path("build") / options.board
    data = ["--data", "fashion_mnist"] + (["--data-dir", str(options.data_dir)] if options.data_dir else [])
    design = ["--ckpt", checkpoint, "--board", options.board, "--target-fps", str(options.target_fps)]
    steps = (
        (golden.main, ["--ckpt", checkpoint, *data, "--json", str(folder / "golden.json")]),
        (run.main, [*design, *data, "--count", str(options.count), "--json", str(folder / "simulation.json")]),
    )
    code = build.main([*design, "--out", str(folder)])
    for step, step_arguments in steps:
        code = code or step(step_arguments)
    if code:
        return code
    report, whole, simulated = (
        json.loads((folder / name).read_text()) for name in ("report.json", "golden.json", "simulation.json")
    )
    print_table(report, whole, simulated, folder)
    return 0


def print_table(report: Figures, whole: Figures, simulated: Figures, folder: Path) -> None:
    """The table at the end of the demo."""
    used = report["resources"]
    table = Table(title=f"784-128-10, Fashion-MNIST, on {report['board']}", show_header=False)
    for name, value in (
        ("accuracy, integer golden model", f"{whole['accuracy']:.2%} of {whole['images']} images"),
        ("RTL against golden, every beat", f"{simulated['mismatches']} mismatches on {simulated['images']} images"),
        ("cycles per image", f"{simulated['cycles_mean']:.1f} (mean), {simulated['cycles_max']} (max)"),
        (
            "images per second",
            f"{report['clock_mhz'] * 1e6 / simulated['cycles_mean']:,.0f} at {report['clock_mhz']:g} MHz",
        ),
        ("LUT / FF", f"{used['lut']} / {used['ff']}"),
        (f"{report['bram_unit']} / DSP", f"{used['bram']:g} / {used['dsp']}"),
        ("Fmax after routing", fmax(report)),
        ("bitstream", str(folder / report["bitstream"])),
    ):
        table.add_row(name, value)
    Console(width=100).print(table)


if __name__ == "__main__":
    sys.exit(main())
