"""Other weights for a design that is already placed and routed: new contents for its block RAMs, and nothing else.

Everything that training decides is in the tables of a patchable design (:mod:`gen.emit.memory_images`). All other
differences between two networks are detected by comparison with the build, and refused with the reason.
"""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from boards.block_ram import BlockRamFormat
from boards.parts import find_place
from gen.built import built_hardware
from gen.design import Design, Hardware, too_narrow
from gen.emit.block_rams import MEMORIES, NETLIST, MemoryBlocks, block_contents, fill_netlist, load_blocks
from gen.emit.memory_images import MemoryImage
from gen.frontend.origin import read_network
from gen.reported import read_report
from hw.configure import configure
from qblif.errors import UserError
from qblif.network.file import network_sha256
from qblif.network.graph import Network
from qblif.network.nodes import Readout

COPIED = ("top.il", "top.ys", "top.lpf", "top.pcf", "top.stat.json", "timing.json", "yosys.log", "nextpnr.log")
"""Files that do not depend on the weights. The network's Verilog holds weights; gen.build --until rtl makes it."""


def patched_files(built: Path) -> tuple[str, ...]:
    """The files of a build that a patch reads; raises UserError if there is no build."""
    place = find_place(read_report(built, ("board",))["board"])
    form = place.family.block_ram_format
    texts = () if form is None or place.kind == "part" else (form.text,)
    return ("plan.json", "network.safetensors", MEMORIES, NETLIST, *texts, *COPIED)


def patched_design(built: Path, checkpoint: Path) -> Design:
    """The design of another checkpoint in the hardware of an earlier build.

    Raises:
        UserError: ``built`` is not a patchable build, or its hardware does not suit the checkpoint's network.
    """
    hardware = built_hardware(built)
    plan, core = hardware.plan, hardware.board.kind == "part"
    if not (plan.patchable and (core or (built / MEMORIES).is_file())):
        raise UserError(f"--patch {built}: not a patchable design with a bitstream; build it with --patchable")
    found = fitting_design(hardware, checkpoint, f"the hardware of {built}")
    if core:
        return dataclasses.replace(found, target=read_report(built, ("target",))["target"])
    references = found.references
    counts = [min(plan.self_test_samples, len(one.samples)) for one in (references, hardware.references)]
    if counts[0] != counts[1]:
        raise UserError(
            f"{checkpoint} does not fit the hardware of {built}: it has {counts[0]} reference inputs for the "
            f"self-test, and {counts[1]} were built; build it anew"
        )
    return found


def fitting_design(hardware: Hardware, checkpoint: Path, name: str = "this hardware") -> Design:
    """The design of another checkpoint in the same hardware, called ``name`` in messages; raises UserError if its
    network does not fit."""
    origin, network, references = read_network(checkpoint)
    for difference in differences(hardware.network, network):
        raise UserError(f"{checkpoint} does not fit {name}: {difference}; build it anew")
    for layer, field, has, needed in too_narrow(hardware.plan, network):
        raise UserError(
            f"{checkpoint} does not fit {name}: layer {layer} needs {needed} bits for {field}, and it has {has}; build "
            "it anew with --patchable --width-margin to leave room"
        )
    sha256 = network_sha256(network, references)
    plan = dataclasses.replace(hardware.plan, network_sha256=sha256)
    return Design(
        origin=origin,
        board=hardware.board,
        network=network,
        references=references,
        sha256=sha256,
        plan=plan,
        config=configure(network, plan),
        target=hardware.target if isinstance(hardware, Design) else "board",
    )


def built_report(built: Path) -> dict[str, Any]:
    """The part of the build's report that holds for the patched design too: hardware and timing are the same."""
    origin = ("network_sha256", "plan_sha256", "checkpoint_sha256")
    return {
        **read_report(built, ("resources", "fmax_mhz", "tools")),
        "patched_from": read_report(built, origin),
    }


def differences(old: Network, new: Network) -> Iterator[str]:
    """Differences between two networks that would need other hardware: all except weights, biases and exponents."""
    if old.timesteps != new.timesteps:
        yield f"it has {new.timesteps} timesteps, and {old.timesteps} were built"
    ours, theirs = ([one.input, *one.nodes, *one.projections, one.readout] for one in (new, old))
    if [type(part) for part in ours] != [type(part) for part in theirs]:
        yield "it has other layers or connections"
        return
    for part, before in zip(ours, theirs, strict=True):
        yield from part_differences(part, before)


def part_differences(part: Any, before: Any) -> Iterator[str]:
    """Differences between two parts of a network, apart from the values in arrays."""
    name = part.name if hasattr(part, "name") else f"{part.source} -> {part.target}"
    for field in dataclasses.fields(part):
        if isinstance(part, Readout) and field.name == "fraction_bits":
            continue  # It only scales the logits, and the hardware does not use it.
        new, old = getattr(part, field.name), getattr(before, field.name)
        if isinstance(new, np.ndarray):
            new, old = new.shape, old.shape
        if new != old:
            yield f"{name}: {field.name} is {new}, and {old} was built"


def patch_files(built: Path, folder: Path, form: BlockRamFormat, images: list[MemoryImage]) -> list[MemoryBlocks]:
    """Put the tables of ``images`` into copies of netlist and placed design in ``folder``; returns their blocks."""
    memories = load_blocks(built / MEMORIES)
    if {memory.path for memory in memories} != {image.path for image in images}:
        raise UserError(f"{built / MEMORIES} is of another version of this program; build the design again")
    contents = list(block_contents(memories, form, images))
    try:
        for name in (*COPIED, MEMORIES):
            if (built / name).is_file():
                shutil.copyfile(built / name, folder / name)
        netlist, placed = (built / NETLIST).read_text(), (built / form.text).read_text()
    except OSError as error:
        raise UserError(f"cannot read the build folder {built}: {error.strerror}") from error
    (folder / NETLIST).write_text(fill_netlist(netlist, form, {block.cell: held for block, held in contents}))
    (folder / form.text).write_text(form.with_blocks(placed, {block.place: held for block, held in contents}))
    return memories
