"""The core of a design: its configuration, its Verilog, and the words that a host writes into its tables."""

from collections.abc import Iterator

from amaranth.back import rtlil, verilog

from boards.tools import use_yosys
from gen.design import Design
from gen.emit.rtl import awake, join_slices, no_collector
from hw.configuration import TopConfig
from hw.link.configuration import link_mode
from hw.ports.bus import WORD_BITS
from hw.ports.core import CONTROL_PORTS, CoreConfig, NetworkCore, network_memories
from hw.ports.registers import CoreIdentity, Table, tables_of

MODULE = "qblif_core"
"""The core's module; those inside it have names that begin with it."""


def core_config(design: Design) -> CoreConfig:
    """The core of a design."""
    network = design.network
    identity = CoreIdentity(
        network_sha256=design.sha256,
        input=network.input,
        mode=link_mode(design.config),
        timesteps=network.timesteps,
        fraction_bits=network.readout.fraction_bits,
        clock_hz=round(design.plan.clock_mhz * 1e6),
    )
    return CoreConfig(
        top=design.config,
        identity=identity,
        control=design.target if design.target in CONTROL_PORTS else None,
        patchable=design.patchable and design.target in CONTROL_PORTS,
        small_memory="distributed" if design.board.family.has_lut_ram else "block",
    )


def core_verilog(config: CoreConfig) -> str:
    """Verilog of a core; the same configuration gives the same text, byte for byte."""
    use_yosys()
    with no_collector():
        text = verilog.convert(NetworkCore(config), name=MODULE, emit_src=False, strip_internal_attrs=True)
    return join_slices(awake(text))


def core_rtlil(config: CoreConfig) -> str:
    """RTLIL of a core, the input of synthesis for families whose builds start from RTLIL."""
    with no_collector():
        return rtlil.convert(NetworkCore(config), name=MODULE, emit_src=False)


def table_words(top: TopConfig) -> Iterator[tuple[Table, list[int]]]:
    """Every table of a network that a host can write, with the words of the bus that fill it."""
    memories = dict(network_memories(top))
    for table in tables_of(network_memories(top)):
        words = memories[table.name].contents()
        yield table, [word >> WORD_BITS * chunk & 2**WORD_BITS - 1 for word in words for chunk in range(table.chunks)]
