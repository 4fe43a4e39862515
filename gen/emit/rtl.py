"""From configuration to Verilog, and the memory images read back out of it."""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from boards.tools import use_yosys
from hw.configuration import TopConfig
from hw.top import NetworkTop

MEMORY_WORD = re.compile(r"^\s*(\w+)\[(\d+)\] = \d+'([hd])([0-9a-f]+);$", re.MULTILINE)
BASE = {"h": 16, "d": 10}
SLICE_ASSIGNMENT = re.compile(
    r"  assign (?P<target>\S+ ?)\[(?P<high>\d+):(?P<low>\d+)\] = "
    r"(?P<source>\S+ ?\[(?P<source_high>\d+):(?P<source_low>\d+)\]);"
)

TRIGGER = re.compile(r"^  reg (\\\$auto\$verilog_backend\.cc:\S+)  = 0;$", re.MULTILINE)
"""The register that yosys makes every ``always @*`` of a module read, so that it is evaluated at time 0."""


class Standalone(NetworkTop):
    """The network with its clock as a port, ``clk``. The clock domain has no reset: ``rst`` restarts the network."""

    def __init__(self, config: TopConfig, *, taps: bool = False) -> None:
        super().__init__(config, taps=taps)
        self.clk = Signal()

    @property
    def signature(self) -> wiring.Signature:
        return wiring.Signature({**super().signature.members, "clk": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.domains.sync = domain = ClockDomain(reset_less=True)
        domain.clk = self.clk
        return m


def network_verilog(config: TopConfig, *, taps: bool = False) -> str:
    """Verilog of the network; the same configuration gives the same text, byte for byte.

    With ``taps`` the top has additional outputs (see :class:`hw.top.NetworkTop`); its layers are unchanged.
    """
    use_yosys()
    with no_collector():
        text = verilog.convert(Standalone(config, taps=taps), name="network", emit_src=False, strip_internal_attrs=True)
    return join_slices(awake(text))


def network_rtlil(config: TopConfig) -> str:
    """RTLIL of the network, the input of synthesis for families whose builds start from RTLIL."""
    with no_collector():
        return rtlil.convert(Standalone(config), name="network", emit_src=False)


@contextmanager
def no_collector() -> Iterator[None]:
    """Stop Python's search for unreachable cycles in the block.

    Amaranth makes millions of objects that all stay until the text is written; looking through them again and again
    takes up to half of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def awake(text: str) -> str:
    """Make simulators evaluate every ``always @*`` at time 0, even if its inputs keep their initial values.

    Such a block waits for a change. Yosys therefore makes it read an extra register, declared with the value 0. But a
    declared value exists before anything waits, and simulators need not treat it as a change (IEEE 1800-2017, 6.8;
    Icarus does not). A nonblocking assignment takes effect after every process that runs at time 0 has started to wait.
    For synthesis both forms are the initial value of a register that nothing depends on.
    """
    return TRIGGER.sub(r"  reg \1 ;\n  initial \1 <= 0;", text)


def join_slices(text: str) -> str:
    """Join assignments that drive a vector slice by slice, from its top bit down to bit 0, into one.

    Only slices that are driven by slices of the same width are joined. Icarus resolves a vector with many drivers bit
    by bit, which makes a network of 128 lanes a thousand times slower.
    """
    joined: list[str] = []
    run: list[re.Match[str]] = []

    def close() -> None:
        if len(run) > 1 and run[-1]["low"] == "0":
            slices = ",\n    ".join(match["source"] for match in run)
            joined.append(f"  assign {run[0]['target'].strip()}  = {{\n    {slices} }};")
        else:
            joined.extend(match[0] for match in run)
        run.clear()

    for line in text.splitlines():
        match = SLICE_ASSIGNMENT.fullmatch(line)
        if match is None or slice_width(match, "") != slice_width(match, "source_"):
            close()
            joined.append(line)
            continue
        if run and not continues(run[-1], match):
            close()
        run.append(match)
    close()
    return "\n".join(joined) + "\n"


def slice_width(match: re.Match[str], prefix: str) -> int:
    """Bits of the slice whose bounds are the groups ``prefix`` + high and low."""
    return int(match[f"{prefix}high"]) - int(match[f"{prefix}low"]) + 1


def continues(upper: re.Match[str], lower: re.Match[str]) -> bool:
    """Whether ``lower`` drives the bits directly below those of ``upper``."""
    return upper["target"] == lower["target"] and int(upper["low"]) == int(lower["high"]) + 1


def modules(text: str) -> dict[str, str]:
    """The text of every module of a Verilog file, by name."""
    return {
        match.group(1).strip("\\ "): match.group(0)
        for match in re.finditer(r"^module (\\\S+ |\w+)\(.*?^endmodule$", text, re.MULTILINE | re.DOTALL)
    }


def check_tables(text: str, config: TopConfig, top: str = "network") -> None:
    """Read every table of weights and constants out of the Verilog and compare it with the configuration; ``top``: the
    module of the network.

    Raises:
        RuntimeError: a word or a whole table differs or is missing: the lowering is wrong.
    """
    found = modules(text)
    for stage in config.stages:
        for path, memory in stage.memories():
            if memory.words is None:
                continue
            owner, _, name = path.rpartition(".")
            body = found.get(f"{top}.{owner}", "")
            words = {
                int(row): int(word, BASE[base]) for one, row, base, word in MEMORY_WORD.findall(body) if one == name
            }
            expected = memory.contents()
            if [words.get(row) for row in range(len(expected))] != list(expected):
                raise RuntimeError(f"layer {stage.name}: the Verilog's table {name} is not the network's")
