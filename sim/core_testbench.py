"""Writes the Verilog around a simulated core: its ports, with access for Python."""

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from gen.emit.core import MODULE
from hw.ports.core import CoreConfig, core_ports

TEMPLATE = """\
`default_nettype none
module testbench (
{ports}
);
  {module} core (
{connections});
endmodule
`default_nettype wire
"""


def verilog_ports(config: CoreConfig) -> list[tuple[str, str, int]]:
    """Every port of a core: direction as in Verilog, name, and bits."""
    return [
        ("input" if member.flow == In else "output", name, Shape.cast(member.shape).width)
        for name, member in core_ports(config).items()
    ]


def core_testbench(config: CoreConfig) -> str:
    """The module ``testbench``: the core, whose ports are its own."""
    ports, connections = [], []
    for direction, name, bits in verilog_ports(config):
        access = "rw" if direction == "input" else "rd"
        ports.append(f"  {direction} wire [{bits - 1}:0] {name} /*verilator public_flat_{access}*/")
        connections.append(f"    .{name}({name})")
    return TEMPLATE.format(ports=",\n".join(ports), module=MODULE, connections=",\n".join(connections))
