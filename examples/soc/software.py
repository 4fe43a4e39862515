"""The firmware: its headers, and the words of the ROM."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gen.design import Design
from gen.emit.packets import packet_beats
from qblif.errors import UserError

SOURCES = Path(__file__).with_name("firmware")
COMPILER = "riscv64-unknown-elf-gcc"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu99", "-ffreestanding", "-nostdlib", "-fno-builtin")


def find_compiler() -> str:
    """The path of the compiler; raises UserError that says how to get it."""
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise UserError(f"{COMPILER} is not on PATH; install it (apt-get install gcc-riscv64-unknown-elf)")
    return compiler


def images_header(design: Design, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> str:
    """Images (count, C, H, W) as a C header, the bytes of each in the order in which the core takes them."""
    beats = packet_beats(design.config, images[:, None].astype(np.int64)).reshape(len(images), -1)
    rows = ",\n".join(f"  {{{', '.join(map(str, row))}}}" for row in beats.tolist())
    return (
        f"#define IMAGES {len(images)}u\n"
        f"static const uint8_t images[IMAGES][{beats.shape[1]}] = {{\n{rows}\n}};\n"
        f"static const uint16_t labels[IMAGES] = {{{', '.join(map(str, labels.tolist()))}}};\n"
    )


def compile_firmware(sources: list[Path], includes: list[Path], linker_script: Path, flags: str, folder: Path) -> Path:
    """Compile the firmware in ``folder``; returns the file that belongs into the ROM.

    Args:
        sources: C and assembler files.
        includes: folders of headers, and of what the linker script includes.
        linker_script: the linker script.
        flags: the CPU's flags.
        folder: for ``firmware.elf`` and ``firmware.bin``.

    Raises:
        UserError: there is no compiler, or the firmware does not fit into the memories.
    """
    compiler = find_compiler()
    elf, binary = folder / "firmware.elf", folder / "firmware.bin"
    paths = [word for path in includes for word in (f"-I{path}", f"-L{path}")]
    # LiteX's linker script makes one segment of code and data.
    command = [compiler, *flags.split(), *FLAGS, *paths, f"-T{linker_script}", "-Wl,--no-warn-rwx-segments"]
    run([*command, *map(str, sources), "-lgcc", "-o", str(elf)])
    run([compiler.removesuffix("gcc") + "objcopy", "-O", "binary", str(elf), str(binary)])
    return binary


def run(command: list[str]) -> None:
    """Run one tool; raises UserError if the firmware is too large, and any other failure is a fault of the sources."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if "overflowed by" in finished.stderr:
        raise UserError("the firmware and its images do not fit into the system's memory; try a lower --count")
    if finished.returncode:
        raise RuntimeError(f"{command[0]} failed: {finished.stderr}")
