"""Projects of other tools: FuseSoC's core file, a script that packages the core for Vivado, and clock constraints."""

from gen.emit.core import MODULE
from gen.package.contents import Contents
from hw.ports.registers import RegisterMap

FUSESOC = """\
CAPI=2:
name: "qblif:cores:{module}:1.0.0"
description: "{description}"

filesets:
  rtl:
    files:
      - rtl/{module}.v
    file_type: verilogSource
  testbench:
    files:
      - tb/{module}_tb.v: {{file_type: verilogSource}}
      - tb/samples.hex: {{file_type: user, copyto: samples.hex}}
      - tb/results.hex: {{file_type: user, copyto: results.hex}}

targets:
  default:
    filesets: [rtl]
    toplevel: {module}

  lint:
    description: "Lint the core with Verilator"
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wno-fatal, -Wno-INITIALDLY]
    filesets: [rtl]
    toplevel: {module}

  verilate:
    description: "Build and run the self-checking testbench with Verilator"
    flow: sim
    flow_options:
      tool: verilator
      mode: binary
      verilator_options: [--timing, -CFLAGS, -std=c++20, -Wno-fatal, -Wno-lint, -Wno-style, -Wno-TIMESCALEMOD]
    filesets: [rtl, testbench]
    toplevel: {module}_tb

  icarus:
    description: "Build and run the self-checking testbench with Icarus Verilog"
    flow: sim
    flow_options:
      tool: icarus
    filesets: [rtl, testbench]
    toplevel: {module}_tb
"""

VIVADO = """\
# Packages the core for Vivado's IP catalog:  vivado -mode batch -source vivado/package_ip.tcl [-tclargs PART]
# The result is the folder vivado/ip with component.xml; add it to a project with
#   set_property ip_repo_paths {{PATH/vivado/ip}} [current_project]; update_ip_catalog
set root [file normalize [file join [file dirname [info script]] ..]]
set part [expr {{[llength $argv] > 0 ? [lindex $argv 0] : "{part}"}}]
set candidates [get_parts -quiet "${{part}}*"]
if {{[llength $candidates] == 0}} {{ error "no part $part in this Vivado" }}
create_project -in_memory -part [lindex $candidates 0]
read_verilog [file join $root rtl {module}.v]
set_property top {module} [current_fileset]
ipx::package_project -root_dir [file join $root vivado ip] -vendor qblif -library cores -taxonomy /UserIP \\
  -import_files -force
set core [ipx::current_core]
set_property name {module} $core
set_property version 1.0 $core
set_property display_name "{title}" $core
set_property description "{description}" $core
ipx::infer_bus_interfaces xilinx.com:interface:axis_rtl:1.0 $core
{control}\
ipx::infer_bus_interface aclk xilinx.com:signal:clock_rtl:1.0 $core
ipx::infer_bus_interface aresetn xilinx.com:signal:reset_rtl:1.0 $core
foreach bus {{{buses}}} {{
  ipx::associate_bus_interfaces -busif $bus -clock aclk $core
}}
ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
"""

VIVADO_AXI_LITE = """\
ipx::infer_bus_interfaces xilinx.com:interface:aximm_rtl:1.0 $core
ipx::infer_bus_interface irq xilinx.com:signal:interrupt_rtl:1.0 $core
set map [ipx::add_memory_map s_axi $core]
set_property slave_memory_map_ref s_axi [ipx::get_bus_interfaces s_axi -of_objects $core]
set block [ipx::add_address_block registers $map]
set_property range {range} $block
set_property width 32 $block
set_property usage register $block
"""

CONSTRAINTS = """\
# Clock of the core if it is the top; in a design of your own the clock comes from there. All ports belong to the rising
# edge of aclk, and there is no path from an input to an output without a register between them, so no other constraint
# is needed. Drive aresetn from a register of the same clock.
create_clock -name aclk -period {period:.3f} [get_ports aclk]
"""


def project_files(contents: Contents) -> dict[str, str]:
    """The files of other tools, by path."""
    registers = contents.config.registers
    axi = contents.config.control == "axi"
    buses = ["s_axis", "m_axis", *(["s_axi"] if axi else [])]
    words = {"module": MODULE, "description": description(contents), "title": "Spiking neural network"}
    control = VIVADO_AXI_LITE.format(range=vivado_range(registers)) if axi and registers is not None else ""
    return {
        f"{MODULE}.core": FUSESOC.format(**words),
        "vivado/package_ip.tcl": VIVADO.format(
            **words, part=contents.design.board.part, control=control, buses=" ".join(buses)
        ),
        f"constraints/{MODULE}.xdc": CONSTRAINTS.format(period=contents.clock_ns),
        f"constraints/{MODULE}.sdc": CONSTRAINTS.format(period=contents.clock_ns),
    }


def vivado_range(registers: RegisterMap) -> int:
    """Size of the address range; Vivado wants at least 4 KiB."""
    return max(4096, registers.bytes)


def description(contents: Contents) -> str:
    """What the core is, in one line."""
    network = contents.design.network
    shape = " x ".join(map(str, network.input.shape))
    return f"Spiking neural network {shape} to {contents.config.top.readout.classes} classes, T = {network.timesteps}"
