"""Command line: simulate and synthesise the fastest designs, and write the page docs/performance.md.

    python -m studies.performance                       # cases that are not measured yet: up to an hour each
    python -m studies.performance --only "CASE"         # measures one case again
    python -m studies.performance --page                # only writes the page

Every case is two commands, ``sim.run`` and ``gen.build``, which anyone can run alone. The results are kept in
``studies/performance.json``, so an interrupted run continues where it was.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.reported import REPORT
from qblif.errors import EXIT_NO_BITSTREAM_TOOL, Arguments, UserError, command_line
from qblif.files import sole_writer, write_whole
from qblif.progress import step
from sim.record import keep

MEASURED = Path(__file__).with_name("performance.json")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
REPORTED = ("accuracy", "resources", "budget", "fmax_mhz", "clock_mhz", "tools")
Row = dict[str, Any]
"""The record of a case: figures of ``sim.run`` and of the report of ``gen.build``, and the date."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One design.

    Attributes:
        network, data: the shipped network and its data set.
        board: the board.
        clock_mhz: the clock at which inferences per second are stated.
        count: test images to simulate.
        until: the last step of the build, see ``gen.build --until``.
        target_fps: a rate to plan for, where the fastest plan within 80 % of the board is not enough.
    """

    network: str
    data: str
    board: str
    clock_mhz: float
    count: int
    until: str = "synth"
    target_fps: int | None = None

    @property
    def key(self) -> str:
        """Its name in ``performance.json``."""
        return f"{self.network} {self.board}"

    @property
    def options(self) -> list[str]:
        """The options that both commands share."""
        clock = f"{self.clock_mhz:g}"
        rate = [] if self.target_fps is None else ["--target-fps", str(self.target_fps)]
        return ["--board", self.board, "--ckpt", self.network, "--objective", "fps", "--clock-mhz", clock, *rate]


CASES = (
    Case(network="mnist_mlp75", data="mnist", board="arty_a7", clock_mhz=100, count=10_000),
    Case(network="mnist_mlp75", data="mnist", board="arty_a7_100", clock_mhz=100, count=10_000),
    Case(network="fashion_mnist_cnn", data="fashion_mnist", board="arty_a7_100", clock_mhz=100, count=20),
    Case(
        network="fashion_mnist_cnn",
        data="fashion_mnist",
        board="arty_a7",
        clock_mhz=100,
        count=20,
        target_fps=55_000,
    ),
    Case(
        network="fashion_mnist_cnn",
        data="fashion_mnist",
        board="ulx3s_45f",
        clock_mhz=80,
        count=20,
        until="bitstream",
    ),
    Case(network="cifar10_cnn", data="cifar10", board="arty_a7_100", clock_mhz=100, count=5),
)
PEERS = (
    ("MNIST", "FINN 2017 (arXiv 1612.07119)", "ZC706", "95.8 %", "12.3 M/s, 0.31 us"),
    ("MNIST", "event-driven SNN (arXiv 2604.22179)", "PYNQ-Z2", "87.40 %", "7.27 M/s"),
    ("MNIST", "Syn2Logic (arXiv 2608.25536)", "MAX10", "93.8 %", "1.72 M/s"),
    ("MNIST", "Spiker+ 784-128-10", "Artix-7", "93.85 %", "780 us"),
    ("CIFAR-10", "FINN CNV-w1a1, MLPerf Tiny v0.7", "Arty A7-100T", "84.22 %", "659 /s"),
    ("CIFAR-10", "hls4ml RN07, MLPerf Tiny v0.7", "Arty A7-100T", "83.5 %", "30.3 /s"),
    ("CIFAR-10", "DeepFire (abstract)", "UltraScale+", "81.8 %", "28,300 /s"),
)
"""Published figures: data set, work, device, accuracy, speed."""
HEAD = """\
# Performance

Written by `python -m studies.performance` (`make performance`). Each row is two commands:

    python -m sim.run --board BOARD --ckpt NETWORK --objective fps --clock-mhz MHZ --data DATA --count COUNT --bench cpp
    python -m gen.build --board BOARD --ckpt NETWORK --objective fps --clock-mhz MHZ --until synth

{rates}
Accuracies are those of the checkpoints on their whole test sets. Cycles are those of the simulated RTL, image after
image, and the cycle model predicts each of them exactly; every beat between layers, every membrane and every logit
equals the golden model's. The rate is the core's at the stated clock: no board's link carries it. LUTs are
those of the netlist, with link and self-test; no design uses a DSP block. "Fmax" is after place and route, where an
installed tool can do it; Vivado alone knows that of Xilinx chips. {versions}

| network | board | accuracy | images | mismatches | cycles | images/s | latency | LUT | of | FF | BRAM | Fmax MHz |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
LAYERS_HEAD = """
## Layer by layer

Cycles in which each layer's engine works, per image, and the windows of the layer: no engine can take fewer cycles than
it has windows, and the first layer no fewer than the input has beats.

| network | board | layer | engine cycles | share of the bottleneck |
| --- | --- | --- | --- | --- |
"""
PEERS_HEAD = """
## Published designs

As their authors state them, on other chips and with other networks; nobody else's figures were measured here.

| data set | work | device | accuracy | speed |
| --- | --- | --- | --- | --- |
"""


def measure(case: Case, data_dir: Path | None) -> Row:
    """Run both commands of a case; raises UserError if one of them fails."""
    with tempfile.TemporaryDirectory() as folder:
        figures, out = Path(folder) / "figures.json", Path(folder) / "build"
        data = ["--data", case.data, "--count", str(case.count), "--bench", "cpp", "--json", str(figures)]
        place = [] if data_dir is None else ["--data-dir", str(data_dir / case.data)]
        command("sim.run", *case.options, *data, *place)
        command("gen.build", *case.options, "--until", case.until, "--out", str(out))
        simulated = json.loads(figures.read_text())
        report = json.loads((out / REPORT).read_text())
    if simulated["mismatches"] or not simulated["prediction_exact"]:
        raise UserError(f"{case.key}: the simulation differs from the golden model or from the cycle model")
    if simulated["plan_sha256"] != report["plan_sha256"]:
        raise UserError(f"{case.key}: the two commands made different plans")
    row = {key: report[key] for key in REPORTED if key in report}
    return {"date": time.strftime("%Y-%m-%d"), "simulated": simulated, **row}


def command(module: str, *options: str) -> None:
    """Run one of our commands, its progress on stderr; raises UserError if it fails."""
    done = subprocess.run([sys.executable, "-m", module, *options], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, EXIT_NO_BITSTREAM_TOOL):
        raise UserError(f"python -m {module} {' '.join(options)} ended with exit code {done.returncode}")


def page(rows: dict[str, Row]) -> str:
    """The page."""
    versions = sorted({f"{name} {number}" for row in rows.values() for name, number in row["tools"].items()})
    lines, layers = [], []
    for case in CASES:
        if case.key not in rows:
            continue
        row, found = rows[case.key], rows[case.key]["simulated"]
        used, budget, cycles = row["resources"], row["budget"], found["cycles_mean"]
        fmax = "not known" if row.get("fmax_mhz") is None else f"{row['fmax_mhz']:.1f}"
        lines.append(
            f"| {case.network} | {case.board} | {row['accuracy']:.2%} | {found['images']:,} | "
            f"{found['mismatches']} | {cycles:,.1f} | {case.clock_mhz * 1e6 / cycles:,.0f} at {case.clock_mhz:g} MHz | "
            f"{found['latency_mean']:,.1f} | {used['lut']:,} | {budget['lut']:,} | {used['ff']:,} | {used['bram']:g} | "
            f"{fmax} |"
        )
        for layer, worked in found["layer_cycles"].items():
            layers.append(f"| {case.network} | {case.board} | {layer} | {worked:,.1f} | {worked / cycles:.0%} |")
    peers = ["| " + " | ".join(one) + " |" for one in PEERS]
    rates = [
        f"Both have `--target-fps {case.target_fps}` for `{case.network}` on `{case.board}`."
        for case in CASES
        if case.key in rows and case.target_fps is not None
    ]
    tools = f"Tools: {', '.join(versions)}." if versions else ""
    head = HEAD.format(rates="".join(f"{line}\n" for line in rates), versions=tools)
    parts = ((head, lines), (LAYERS_HEAD, layers), (PEERS_HEAD, peers))
    return "".join(title + "\n".join(body) + "\n" for title, body in parts)


def measured_rows() -> dict[str, Row]:
    """All measurements so far."""
    rows: dict[str, Row] = json.loads(MEASURED.read_text()) if MEASURED.is_file() else {}
    return rows


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    description = (__doc__ or "").partition("\n")[0]
    parser = Arguments(prog="python -m studies.performance", description=description)
    parser.add_argument("--only", metavar="CASE", choices=[case.key for case in CASES], help="measure this case again")
    parser.add_argument("--data-dir", type=Path, help="folder with a folder for each data set; default: fetched once")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args(arguments)
    with sole_writer(MEASURED):
        rows = measured_rows()
        for case in () if options.page else CASES:
            if case.key != options.only if options.only else case.key in rows:
                continue
            with step(case.key):
                rows[case.key] = measure(case, options.data_dir)
            keep(MEASURED, rows)
        write_whole(PAGE, page(rows))
    print(f"{PAGE}: {len(rows)} of {len(CASES)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
