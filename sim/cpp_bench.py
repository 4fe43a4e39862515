"""The C++ bench of a simulated network, bench.cpp: built together with the cocotb bench, and run without Python."""

import os
from collections.abc import Container, Mapping
from pathlib import Path

import cocotb_tools.config

from gen.emit.toolrun import run_in_group

CPP_BENCH = "bench.cpp"


def cpp_sources() -> dict[str, str]:
    """Files by name: the bench, and cocotb's program for Verilator, which it contains."""
    cocotb = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    return {CPP_BENCH: Path(__file__).with_name(CPP_BENCH).read_text(), cocotb.name: cocotb.read_text()}


def own_program(sources: Container[str], folder: Path) -> list[str]:
    """Verilator's argument for the bench in ``folder``, if it is among the sources."""
    return [str(folder.resolve() / CPP_BENCH)] if CPP_BENCH in sources else []


def one_program(command: list[str]) -> list[str]:
    """Verilator's command without the second of its C++ files: cocotb's program, if the bench is there."""
    programs = [word for word in command if word.endswith(".cpp")]
    return [word for word in command if word not in programs[1:]]


def run_cpp(program: Path, plusargs: Mapping[str, object], log: Path) -> bool:
    """Run a built testbench, its output in ``log``; returns whether all results came within its limit of cycles."""
    command = [str(program.resolve()), "+bench=cpp", *(f"+{name}={value}" for name, value in plusargs.items())]
    with log.open("w") as output:
        return run_in_group(command, cwd=log.parent, output=output, environment=os.environ) == 0
