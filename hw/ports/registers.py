"""The register map of a core, as data: the hardware's decoder, the C header and the data sheet are made from it."""

from dataclasses import dataclass
from typing import Literal

from hw.configuration import TopConfig
from hw.memory import Inventory
from hw.ports.axi_stream import result_bits, sample_bits
from hw.ports.bus import WORD_BYTES
from hw.shell.activity import counter_widths
from qblif.network.nodes import CODINGS, InputSpec
from qblif.protocol import MAGIC, MODES, Mode

VERSION = 1
"""Version of this register map."""
Access = Literal["read", "write", "read/write", "write 1 to clear"]
COUNTERS_OFFSET = 0x100
PACKET_COUNTERS = {"clock_cycles": 1, "short_packets": 1, "long_packets": 1}
"""Counters of the core itself, and the widths of their increments."""


@dataclass(frozen=True, kw_only=True)
class BitField:
    """Some bits of a register: ``width`` of them from ``bit`` upward."""

    name: str
    bit: int
    text: str
    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Register:
    """One register, or several that follow each other.

    Attributes:
        name: its name, in capitals.
        offset: address of its first byte.
        access: what a host may do with it.
        text: what it means, for people.
        fields: its parts, if it has several.
        values: its value, or one for each of several registers, if it is constant.
        names: names of several registers.
    """

    name: str
    offset: int
    access: Access
    text: str
    fields: tuple[BitField, ...] = ()
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        """How many registers there are."""
        return max(1, len(self.values), len(self.names))

    @property
    def readable(self) -> bool:
        return self.access != "write"

    @property
    def writable(self) -> bool:
        return self.access != "read"

    @property
    def word_address(self) -> int:
        """Address of its first word."""
        return self.offset // WORD_BYTES


@dataclass(frozen=True, kw_only=True)
class Table:
    """A memory whose words a host can replace.

    Attributes:
        name: path of the memory below the network's top level.
        depth, width: its words, and the bits of each.
    """

    name: str
    depth: int
    width: int

    @property
    def chunks(self) -> int:
        """Words of the bus for each word of the memory; the lowest bits come first, and unused bits are ignored."""
        return -(-self.width // (8 * WORD_BYTES))


@dataclass(frozen=True, kw_only=True)
class CoreIdentity:
    """What a core says of itself.

    Attributes:
        network_sha256: hash of the network file, as hexadecimal text.
        input: shape and coding of a sample.
        mode: what a packet of samples is.
        timesteps: T.
        fraction_bits: F of the readout; the unit of a logit is ``2^-F``.
        clock_hz: clock that the core was planned for.
    """

    network_sha256: str
    input: InputSpec
    mode: Mode
    timesteps: int
    fraction_bits: int
    clock_hz: int


def tables_of(memories: Inventory) -> tuple[Table, ...]:
    """The memories of an inventory that hold what training decides, in block RAM."""
    return tuple(
        Table(name=path, depth=memory.shape.depth, width=memory.width)
        for path, memory in memories
        if memory.words is not None and memory.style == "block"
    )


def counters_of(top: TopConfig) -> dict[str, int]:
    """Name of every counter of a core, and the width of its increment.

    They are its own and those of a board, except the bursts of poolings, which follow from those of populations.
    """
    poolings = {f"bursts_{stage.name}" for stage in top.stages if not stage.engines}
    return {**PACKET_COUNTERS, **{name: width for name, width in counter_widths(top).items() if name not in poolings}}


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """All registers, by ascending address."""

    registers: tuple[Register, ...]

    def __getitem__(self, name: str) -> Register:
        """The register called ``name``; raises KeyError."""
        return {register.name: register for register in self.registers}[name]

    @property
    def address_bits(self) -> int:
        """Bits of the address of a word."""
        last = self.registers[-1]
        return (last.word_address + last.words - 1).bit_length()

    @property
    def bytes(self) -> int:
        """Size of the address range."""
        return int(WORD_BYTES << self.address_bits)


def register_map(top: TopConfig, identity: CoreIdentity, tables: tuple[Table, ...]) -> RegisterMap:
    """The registers of a core."""
    known = (*control_registers(), *(table_registers(tables) if tables else ()), *identity_registers(top, identity))
    counters = Register(
        name="COUNTERS",
        offset=COUNTERS_OFFSET,
        access="read",
        text="counters; each starts again from 0 after 2^32 - 1, and a reset of the network sets all to 0",
        names=tuple(counters_of(top)),
    )
    return RegisterMap(registers=(*known, counters))


def control_registers() -> tuple[Register, ...]:
    """The registers that every core has."""
    return (
        constant("MAGIC", 0x00, int.from_bytes(MAGIC, "little"), f'"{MAGIC.decode()}", the first letter lowest'),
        constant("VERSION", 0x04, VERSION, "version of this register map"),
        Register(
            name="CONTROL",
            offset=0x08,
            access="read/write",
            text="control",
            fields=(
                BitField(
                    name="RESET",
                    bit=0,
                    text="write 1 to reset the network and the counters: samples in progress are dropped; reads as 0",
                ),
                BitField(
                    name="HOLD",
                    bit=1,
                    text="begin no further sample; writing 0 after 1 resets the network",
                ),
            ),
        ),
        Register(
            name="STATUS",
            offset=0x0C,
            access="read",
            text="status",
            fields=(
                BitField(name="BUSY", bit=0, text="a sample is in progress, or its result has not left"),
                BitField(name="RESETTING", bit=1, text="the network is being reset"),
                BitField(name="PATCHABLE", bit=2, text="the core has tables that can be written"),
                BitField(
                    name="PATCHED", bit=3, text="a table was written: NETWORK_SHA256 is no longer that of the network"
                ),
                BitField(name="CHECKING", bit=4, text="the checksum of a table is being computed"),
            ),
        ),
        Register(
            name="IRQ_ENABLE",
            offset=0x10,
            access="read/write",
            text="which interrupts raise the line irq",
            fields=INTERRUPTS,
        ),
        Register(
            name="IRQ_STATUS",
            offset=0x14,
            access="write 1 to clear",
            text="which interrupts wait, enabled or not",
            fields=INTERRUPTS,
        ),
    )


INTERRUPTS = (
    BitField(name="RESULT", bit=0, text="the last word of a result was taken"),
    BitField(name="ERROR", bit=1, text="a packet was too short or too long"),
)


def table_registers(tables: tuple[Table, ...]) -> tuple[Register, ...]:
    """The registers of a core whose tables can be written."""
    return (
        constant("TABLE_COUNT", 0x20, len(tables), "number of tables"),
        Register(
            name="TABLE_SELECT",
            offset=0x24,
            access="read/write",
            text="number of the table to write or check; a write also sets TABLE_ADDRESS to 0",
        ),
        Register(
            name="TABLE_ADDRESS",
            offset=0x28,
            access="read/write",
            text="number of the word that is written next; counts on with every whole word",
        ),
        Register(
            name="TABLE_DATA",
            offset=0x2C,
            access="write",
            text="the next 32 bits of a word, the lowest first; refused unless CONTROL.HOLD is 1 and STATUS.BUSY is 0",
        ),
        Register(
            name="TABLE_CHECK",
            offset=0x30,
            access="read/write",
            text="a write reads the whole table selected and computes its CRC-32 (that of zlib, of the words as they "
            "are written to TABLE_DATA, lowest byte first), until STATUS.CHECKING is 0; refused as for TABLE_DATA",
        ),
    )


def identity_registers(top: TopConfig, identity: CoreIdentity) -> tuple[Register, ...]:
    """The registers that say what the core is."""
    channels, height, width = identity.input.shape
    beat = sample_bits(top.input.group * top.input.burst_bits) // 8
    word = result_bits(top.readout.logit_bits) // 8
    listed: tuple[tuple[str, int, str], ...] = (
        ("INPUT_CHANNELS", channels, "channels of a sample"),
        ("INPUT_HEIGHT", height, "its rows"),
        ("INPUT_WIDTH", width, "its columns"),
        ("INPUT_BITS", identity.input.bits, "bits of a burst of the input"),
        ("INPUT_CODING", CODINGS.index(identity.input.coding), numbered(CODINGS)),
        ("INPUT_MODE", MODES.index(identity.mode), f"what gives a result: {numbered(MODES)}"),
        ("TIMESTEPS", identity.timesteps, "timesteps"),
        ("PACKET_BEATS", top.beats_per_result, "beats of s_axis in a packet"),
        ("BEAT_BYTES", beat, "bytes of a beat of s_axis"),
        ("BEAT_CHANNELS", top.input.group, "bursts of a beat of s_axis"),
        ("CLASSES", top.readout.classes, "classes; a packet of m_axis has one more word"),
        ("RESULT_BYTES", word, "bytes of a word of m_axis"),
        ("FRACTION_BITS", identity.fraction_bits, "F: a logit is this integer times 2^-F"),
        ("CLOCK_HZ", identity.clock_hz, "clock that the core was planned for"),
    )
    words = bytes.fromhex(identity.network_sha256)
    return (
        *(constant(name, 0x40 + WORD_BYTES * index, value, text) for index, (name, value, text) in enumerate(listed)),
        Register(
            name="NETWORK_SHA256",
            offset=0x80,
            access="read",
            text="SHA-256 of the network file, its first byte in bits 31 to 24 of the first word",
            values=tuple(int.from_bytes(words[at : at + WORD_BYTES], "big") for at in range(0, 32, WORD_BYTES)),
        ),
    )


def constant(name: str, offset: int, value: int, text: str) -> Register:
    """A register that never changes."""
    return Register(name=name, offset=offset, access="read", text=text, values=(value,))


def numbered(names: tuple[str, ...]) -> str:
    """Names with their numbers."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))
