"""What is known of a core when its package is written."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from gen.design import Design
from hw.ports.core import CoreConfig, core_ports


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the core's module: ``direction`` and name as in Verilog, ``bits``, and what it is for."""

    direction: str
    name: str
    bits: int
    text: str

    @property
    def range(self) -> str:
        """Its range in a Verilog declaration, with a blank after it; empty for a single bit."""
        return "" if self.bits == 1 else f"[{self.bits - 1}:0] "


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A core and the report of its build; ``latency``: cycles from the first beat of a sample to the last word of its
    result, expected."""

    design: Design
    config: CoreConfig
    report: dict[str, Any]
    latency: int

    @property
    def ports(self) -> list[Port]:
        """All ports, in the order of the module."""
        return [
            Port(
                direction="input" if member.flow == In else "output",
                name=name,
                bits=Shape.cast(member.shape).width,
                text=port_text(name),
            )
            for name, member in core_ports(self.config).items()
        ]

    @property
    def clock_ns(self) -> float:
        """Period of the clock that the core was planned for."""
        return 1000 / self.design.plan.clock_mhz


TEXTS = {
    "aclk": "clock of everything; all ports belong to its rising edge",
    "aresetn": "reset, active low and synchronous; at least one cycle after power-on",
    "s_axis_tdata": "a beat of the sample",
    "s_axis_tlast": "the last beat of a sample",
    "m_axis_tdata": "a word of the result",
    "m_axis_tlast": "the last word of a result, which holds the class",
    "m_axis_tuser": "with the last word: the packet of the sample had a wrong length, or a reset cut the result off",
    "s_axi_awprot": "ignored",
    "s_axi_arprot": "ignored",
    "s_axi_wstrb": "all bits must be 1, or the write is refused",
    "s_axi_bresp": "00, or 10 (SLVERR) for what is refused",
    "s_axi_rresp": "as bresp",
    "s_wb_adr": "address of a word, not of a byte",
    "s_wb_sel": "all bits must be 1 when writing, or the write is refused",
    "s_wb_err": "instead of ack for what is refused",
    "irq": "high while an enabled interrupt waits",
}
BUSES = {
    "s_axis": "samples, AXI4-Stream",
    "m_axis": "results, AXI4-Stream",
    "s_axi": "registers, AXI4-Lite",
    "s_wb": "registers, Wishbone B4 classic",
}


def port_text(name: str) -> str:
    """What a port is for."""
    bus = next((text for prefix, text in BUSES.items() if name.startswith(f"{prefix}_")), "")
    return TEXTS.get(name, bus)
