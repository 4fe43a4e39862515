"""Our models of block RAMs against what the vendors document, stated here bit by bit.

ECP5: FPGA-TN-02204 (memory usage guide) and Project Trellis (layout of INITVAL, the pins of 36 bits).
Xilinx 7: UG473 (7 series memory resources), tables of port widths, INIT layout, write modes and conflicts.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sim.netlist import CELLS
from sim.simulator import SimulationError, build_sources
from tests.sim.test_run import needs_icarus

CYCLES = 300
READ_FIRST, WRITE_FIRST, NO_CHANGE = "READ_FIRST", "WRITE_FIRST", "NO_CHANGE"
LATTICE = {READ_FIRST: "READBEFOREWRITE", WRITE_FIRST: "WRITETHROUGH", NO_CHANGE: "NORMAL"}
BUSES = {"enable": 2, "write": 16, "address": 32, "data": 144, "reset": 1}
"""What the testbench reads in every cycle: two ports' fields, port A's lowest."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """Bits that a port reads and writes, 0 for none, and what it reads while it writes."""

    read: int = 0
    write: int = 0
    mode: str = READ_FIRST


@dataclass(frozen=True, kw_only=True)
class Ram:
    """A block RAM in one mode; ``cell`` is its name, ``simple`` Xilinx's SDP or ECP5's pseudo dual port."""

    cell: str
    a: Port
    b: Port
    simple: bool = False
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def is_lattice(self) -> bool:
        return self.cell == "DP16KD"

    @property
    def bytes(self) -> int:
        return 4096 if self.cell == "RAMB36E1" else 2048

    @property
    def lanes(self) -> int:
        """Bytes that a port's pins carry."""
        return self.bytes // 1024


RAMS = [
    Ram(cell="DP16KD", a=Port(read=1, write=1), b=Port(read=1, write=1)),
    Ram(cell="DP16KD", a=Port(read=2, write=2, mode=NO_CHANGE), b=Port(read=4, write=4, mode=WRITE_FIRST)),
    Ram(cell="DP16KD", a=Port(read=4, write=4), b=Port(read=18, write=18)),
    Ram(cell="DP16KD", a=Port(read=9, write=9, mode=WRITE_FIRST), b=Port(read=9, write=9, mode=NO_CHANGE)),
    Ram(cell="DP16KD", a=Port(read=18, write=18, mode=WRITE_FIRST), b=Port(read=18, write=18)),
    Ram(cell="DP16KD", a=Port(write=36), b=Port(read=36), simple=True),
    Ram(cell="DP16KD", a=Port(write=36), b=Port(read=18), simple=True),
    Ram(cell="DP16KD", a=Port(write=36), b=Port(read=9), simple=True),
    Ram(cell="DP16KD", a=Port(write=36), b=Port(read=2), simple=True),
    Ram(cell="RAMB18E1", a=Port(read=1, write=1), b=Port(read=2, write=2, mode=NO_CHANGE)),
    Ram(cell="RAMB18E1", a=Port(write=9), b=Port(read=9)),
    Ram(cell="RAMB18E1", a=Port(read=9, write=9, mode=WRITE_FIRST), b=Port(read=4, write=4, mode=WRITE_FIRST)),
    Ram(cell="RAMB18E1", a=Port(read=18, write=18, mode=NO_CHANGE), b=Port(read=18, write=18)),
    Ram(cell="RAMB18E1", a=Port(read=36), b=Port(write=36), simple=True),
    Ram(cell="RAMB18E1", a=Port(read=36), b=Port(write=9, mode=WRITE_FIRST), simple=True),
    Ram(cell="RAMB18E1", a=Port(read=4), b=Port(write=36, mode=WRITE_FIRST), simple=True),
    Ram(cell="RAMB36E1", a=Port(read=36, write=36), b=Port(read=18, write=18, mode=WRITE_FIRST)),
    Ram(cell="RAMB36E1", a=Port(read=4, write=4), b=Port(read=36, write=36, mode=NO_CHANGE)),
    Ram(cell="RAMB36E1", a=Port(read=72), b=Port(write=72), simple=True),
    Ram(cell="RAMB36E1", a=Port(read=18), b=Port(write=72, mode=WRITE_FIRST), simple=True),
    Ram(cell="RAMB36E1", a=Port(read=72), b=Port(write=36), simple=True),
]


def word(width: int, address: int) -> list[int]:
    """The bits of a word, as the data sheets draw it: (byte, bit) as 9 * byte + bit, the ninth bit being the parity.

    ``address`` counts data bits, eight to a byte; a word of 1, 2 or 4 bits lies within the low eight of its byte.
    """
    if width < 9:
        low = address % 8 // width * width
        return [address // 8 * 9 + low + bit for bit in range(width)]
    first = address // 8 // (width // 9) * (width // 9)
    return [9 * first + bit for bit in range(width)]


def initial_bits(ram: Ram, parameters: dict[str, int]) -> list[int]:
    """The memory's bits after configuration, at ``9 * byte + bit``."""
    bits = []
    for byte in range(ram.bytes):
        for bit in range(9):
            if ram.is_lattice:
                line, place = divmod(byte // 2, 16)
                value = parameters[f"INITVAL_{line:02X}"] >> (20 * place + 9 * (byte % 2) + bit)
            elif bit == 8:
                value = parameters[f"INITP_{byte // 256:02X}"] >> byte % 256
            else:
                value = parameters[f"INIT_{byte // 32:02X}"] >> (byte % 32 * 8 + bit)
            bits.append(value & 1)
    return bits


def parameters_of(ram: Ram, generator: random.Random) -> dict[str, int]:
    """Random contents; bits of INITVAL that no word has are random too."""
    if ram.is_lattice:
        return {f"INITVAL_{line:02X}": generator.getrandbits(320) for line in range(64)}
    data = {f"INIT_{line:02X}": generator.getrandbits(256) for line in range(ram.bytes // 32)}
    return data | {f"INITP_{line:02X}": generator.getrandbits(256) for line in range(ram.bytes // 256)}


def byte_enables(ram: Ram, port: Port, write: int) -> int:
    """Which bytes of its word a port writes, from the testbench's eight write bits (see :func:`instance`)."""
    if ram.is_lattice:
        if port.write not in (18, 36):
            return write >> 7
        return write & (1 << port.write // 9) - 1 if port.write == 36 or write >> 7 else 0
    return write & 1 if port.write < 18 else write & (1 << port.write // 9) - 1


class Memory:
    """What a block RAM does at a rising edge of both clocks."""

    def __init__(self, ram: Ram, parameters: dict[str, int]) -> None:
        self.ram = ram
        self.bits = initial_bits(ram, parameters)
        self.outputs = [0, 0]

    def step(self, stimulus: dict[str, int]) -> list[int]:
        """Advance by one edge; returns what both ports then show, ninth bits in their places."""
        ports = (self.ram.a, self.ram.b)
        writes: list[dict[int, int]] = [{}, {}]
        addresses = [stimulus["address"] >> 16 * index & (8 * self.ram.bytes - 1) for index in range(2)]
        for index, port in enumerate(ports):
            if port.write and stimulus["enable"] >> index & 1:
                enables = byte_enables(self.ram, port, stimulus["write"] >> 8 * index & 0xFF)
                data = stimulus["data"] >> 72 * index
                for place, cell in enumerate(word(port.write, addresses[index])):
                    if enables >> place // 9 & 1:
                        writes[index][cell] = data >> place & 1
        for index, port in enumerate(ports):
            if port.read and stimulus["enable"] >> index & 1 and not (port.mode == NO_CHANGE and writes[index]):
                own = writes[index] if port.mode == WRITE_FIRST else {}
                # Xilinx promises the old data where the other port writes READ_FIRST, Lattice promises nothing. What
                # nobody promises is, by our models, the complement of the byte.
                promised = not self.ram.is_lattice and ports[1 - index].mode == READ_FIRST
                spoilt = set() if promised else {cell // 9 for cell in writes[1 - index]}
                self.outputs[index] = sum(
                    own.get(cell, self.bits[cell] ^ (cell // 9 in spoilt)) << place
                    for place, cell in enumerate(word(port.read, addresses[index]))
                )
        for written in writes:
            for cell, bit in written.items():
                self.bits[cell] = bit
        return list(self.outputs)


def stimuli(generator: random.Random) -> list[dict[str, int]]:
    """Accesses to a few words, so that the ports often meet; both never write at once, for that is an error."""
    result = []
    for _ in range(CYCLES):
        values = {name: generator.getrandbits(width) for name, width in BUSES.items()}
        near = generator.getrandbits(3) << 12
        values["address"] = sum((near | generator.getrandbits(6)) << 16 * index for index in range(2))
        values["write"] &= generator.choice((0x00FF, 0xFF00, 0x0000))
        values["enable"] |= generator.getrandbits(2)
        values["reset"] = 0
        result.append(values)
    return result


def instance(ram: Ram, name: str, parameters: dict[str, int]) -> str:
    """The cell ``name`` behind the testbench's buses; ``name_q`` is what its ports show, 72 bits each."""
    width = 320 if ram.is_lattice else 256
    settings: dict[str, object] = {key: f"{width}'h{value:x}" for key, value in parameters.items()}
    lines, pins = [f"  wire [143:0] {name}_q;"], {}
    if ram.is_lattice:
        for index, (side, port) in enumerate((("A", ram.a), ("B", ram.b))):
            enables = {18: 2, 36: 4}.get(port.write, 0)
            settings |= {f"DATA_WIDTH_{side}": port.write or port.read, f"WRITEMODE_{side}": f'"{LATTICE[port.mode]}"'}
            for bit in range(14):
                source = f"write[{8 * index + bit}]" if bit < enables else f"address[{16 * index + bit}]"
                pins[f"AD{side}{bit}"] = source
            for bit in range(18):
                source = f"data[{18 + bit}]" if ram.simple and side == "B" else f"data[{72 * index + bit}]"
                pins[f"DI{side}{bit}"] = source
                place = 72 + bit + (18 if side == "B" else 0) if ram.b.read == 36 else 72 * index + bit
                pins[f"DO{side}{bit}"] = f"{name}_q[{place}]"
            write = "1'b1" if port.write == 36 else f"write[{8 * index + 7}]" if port.write else "1'b0"
            pins |= {f"CE{side}": f"enable[{index}]", f"WE{side}": write, f"CLK{side}": "clk", f"OCE{side}": "1'b1"}
            pins |= {f"RST{side}": "reset", **{f"CS{side}{bit}": "1'b0" for bit in range(3)}}
    else:
        both = 9 * ram.lanes * 2
        settings["RAM_MODE"] = '"SDP"' if ram.simple else '"TDP"'
        for side, port in (("A", ram.a), ("B", ram.b)):
            settings |= {f"READ_WIDTH_{side}": port.read, f"WRITE_WIDTH_{side}": port.write}
            settings[f"WRITE_MODE_{side}"] = f'"{port.mode}"'
        start = {"A": 72, "B": 72 + both // 2} if ram.b.write == both else {"A": 0, "B": 72}
        shown = {"A": 0, "B": both // 2 if ram.a.read == both else 72}
        for side, plain, parity in (("A", "ADI", "PADIP"), ("B", "BDI", "PBDIP")):
            bytes_in = [f"data[{start[side] + 9 * lane} +: 8]" for lane in reversed(range(ram.lanes))]
            ninths_in = [f"data[{start[side] + 9 * lane + 8}]" for lane in reversed(range(ram.lanes))]
            pins |= {f"DI{plain}": f"{{{', '.join(bytes_in)}}}", f"DI{parity}": f"{{{', '.join(ninths_in)}}}"}
            bytes_out = [f"{name}_q[{shown[side] + 9 * lane} +: 8]" for lane in reversed(range(ram.lanes))]
            ninths_out = [f"{name}_q[{shown[side] + 9 * lane + 8}]" for lane in reversed(range(ram.lanes))]
            pins |= {f"DO{side}DO": f"{{{', '.join(bytes_out)}}}", f"DOP{side}DOP": f"{{{', '.join(ninths_out)}}}"}
        a_writes, b_writes = (
            f"{{{lanes}{{write[{8 * index}]}}}}" if port.write < 18 else f"write[{8 * index} +: {lanes}]"
            for index, (port, lanes) in enumerate(((ram.a, ram.lanes), (ram.b, 2 * ram.lanes)))
        )
        top = 14 if ram.cell == "RAMB18E1" else 15
        cascade = "" if ram.cell == "RAMB18E1" else "1'b1, "
        pins |= {"CLKARDCLK": "clk", "CLKBWRCLK": "clk", "ENARDEN": "enable[0]", "ENBWREN": "enable[1]"}
        pins |= {
            "ADDRARDADDR": f"{{{cascade}address[0 +: {top}]}}",
            "ADDRBWRADDR": f"{{{cascade}address[16 +: {top}]}}",
        }
        pins |= {"WEA": a_writes, "WEBWE": b_writes, "RSTRAMARSTRAM": "reset", "RSTRAMB": "reset"}
        pins |= dict.fromkeys(("RSTREGARSTREG", "RSTREGB", "REGCEAREGCE", "REGCEB"), "1'b0")
    settings |= ram.changes
    chosen = ", ".join(f".{key}({value})" for key, value in settings.items())
    connected = ", ".join(f".{pin}({net})" for pin, net in pins.items())
    return "\n".join([*lines, f"  {ram.cell} #({chosen}) {name} ({connected});"])


def bench_verilog(rams: list[Ram], contents: list[dict[str, int]]) -> str:
    """A testbench that plays the file ``stimulus`` and writes a line a cycle for each RAM, its outputs, to ``log``."""
    width = sum(BUSES.values())
    low = 0
    buses = []
    for name, bits in BUSES.items():
        buses.append(f"  wire [{bits - 1}:0] {name} = now[{low} +: {bits}];")
        low += bits
    cells = [instance(ram, f"ram_{index}", contents[index]) for index, ram in enumerate(rams)]
    writes = "\n".join(f'      $fwrite(log, "%b\\n", ram_{index}_q);' for index in range(len(rams)))
    return f"""
module testbench (
  input wire clk /*verilator public_flat_rw*/, input wire rst /*verilator public_flat_rw*/,
  output reg done /*verilator public_flat_rd*/, output reg timed_out /*verilator public_flat_rd*/
);
  reg [8*1024-1:0] name;
  reg [{width - 1}:0] stimulus [0:{CYCLES}];
  reg [{width - 1}:0] now;
  integer log, cycle;
{chr(10).join(buses)}
{chr(10).join(cells)}
  initial begin
    done = 0; timed_out = 0; cycle = 0; now = 0;
    if (!$value$plusargs("stimulus=%s", name)) $fatal;
    $readmemh(name, stimulus);
    if (!$value$plusargs("log=%s", name)) $fatal;
    log = $fopen(name, "w");
  end
  always @(posedge clk) if (!rst && !done) begin
    now <= cycle < {CYCLES} ? stimulus[cycle] : 0;
    cycle <= cycle + 1;
    if (cycle >= 2) begin
{writes}
    end
    if (cycle == {CYCLES} + 1) begin
      $fclose(log);
      done <= 1;
    end
  end
endmodule
"""


def play(rams: list[Ram], contents: list[dict[str, int]], stimulus, simulator: str, folder: Path) -> list[list[str]]:
    """What the simulator says of every RAM, cycle by cycle."""
    sources = {"testbench.v": bench_verilog(rams, contents)}
    sources |= {name: (CELLS / name).read_text() for name in ("block_ram.v", "ecp5.v", "xilinx.v")}
    simulation = build_sources(sources, simulator, folder, waves=False)
    lines = []
    for values in stimulus:
        packed, low = 0, 0
        for name, width in BUSES.items():
            packed |= values[name] << low
            low += width
        lines.append(f"{packed:x}")
    (folder / "stimulus.hex").write_text("\n".join([*lines, "0"]) + "\n")
    plusargs = {"stimulus": folder / "stimulus.hex", "log": folder / "outputs.log"}
    simulation.run(plusargs, folder / "simulation.log")
    outputs = (folder / "outputs.log").read_text().split()
    return [outputs[index :: len(rams)] for index in range(len(rams))]


def shown_by(output: str, index: int, bits: int) -> str:
    """The lowest bits of a port's 72, out of a line of the log; those above may be pins that are not connected."""
    end = len(output) - 72 * index
    return output[end - bits : end]


@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("icarus", marks=[needs_icarus, pytest.mark.icarus]),
        pytest.param("verilator", marks=pytest.mark.slow),
    ],
)
def test_block_rams_do_what_is_documented(simulator, tmp_path):
    generator = random.Random(1)
    contents = [parameters_of(ram, generator) for ram in RAMS]
    stimulus = stimuli(generator)
    shown = play(RAMS, contents, stimulus, simulator, tmp_path)
    for ram, parameters, outputs in zip(RAMS, contents, shown, strict=True):
        memory = Memory(ram, parameters)
        assert len(outputs) == CYCLES
        for cycle, (values, output) in enumerate(zip(stimulus, outputs, strict=True)):
            for index, (port, expected) in enumerate(zip((ram.a, ram.b), memory.step(values), strict=True)):
                if port.read:
                    assert shown_by(output, index, port.read) == f"{expected:0{port.read}b}", (ram, cycle, "AB"[index])


TRUE_DUAL = Ram(cell="DP16KD", a=Port(read=9, write=9), b=Port(read=9, write=9))
XILINX = Ram(cell="RAMB18E1", a=Port(read=9, write=9), b=Port(read=9, write=9))
FULL = Ram(cell="RAMB36E1", a=Port(read=9, write=9), b=Port(read=9, write=9))


@needs_icarus
@pytest.mark.icarus
@pytest.mark.parametrize(
    ("ram", "change"),
    [
        (TRUE_DUAL, {"REGMODE_A": '"OUTREG"'}),
        (XILINX, {"RAM_MODE": '"SDP"'}),
        (FULL, {"RAM_EXTENSION_A": '"UPPER"'}),
        *(
            pytest.param(ram, {name: value}, marks=pytest.mark.slow)
            for ram, name, value in (
                (TRUE_DUAL, "CLKBMUX", '"INV"'),
                (TRUE_DUAL, "CSDECODE_A", '"0b001"'),
                (TRUE_DUAL, "DATA_WIDTH_B", "36"),
                (TRUE_DUAL, "DATA_WIDTH_A", "8"),
                (XILINX, "DOA_REG", "1"),
                (XILINX, "INIT_A", "18'h1"),
                (XILINX, "READ_WIDTH_A", "36"),
            )
        ),
    ],
)
def test_an_unknown_mode_stops_the_simulation(ram, change, tmp_path):
    ram = Ram(cell=ram.cell, a=ram.a, b=ram.b, changes=change)
    with pytest.raises(SimulationError):
        play([ram], [parameters_of(ram, random.Random(0))], stimuli(random.Random(0)), "icarus", tmp_path)


@needs_icarus
@pytest.mark.icarus
@pytest.mark.parametrize(
    ("ram", "fault"), [(TRUE_DUAL, {"reset": 1}), (XILINX, {"reset": 1}), (FULL, {"enable": 3, "write": 0xFFFF})]
)
def test_a_reset_and_two_writes_to_one_byte_stop_the_simulation(ram, fault, tmp_path):
    stimulus = [dict.fromkeys(BUSES, 0) for _ in range(CYCLES)]
    contents = [parameters_of(ram, random.Random(0))]
    play([ram], contents, stimulus, "icarus", tmp_path)
    stimulus[20] |= fault
    with pytest.raises(SimulationError):
        play([ram], contents, stimulus, "icarus", tmp_path)
