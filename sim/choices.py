"""The names that options of a simulation can have, for command lines, which do not import what they name."""

SIMULATORS = ("verilator", "icarus")
NETLISTS = ("ecp5", "ice40", "xilinx")
"""The keys of :data:`sim.netlist.NETLISTS`."""
BENCHES = ("cocotb", "cpp")
"""The keys of :data:`sim.simulator.BENCHES`."""
BENCH_HELP = "clock and reset come from a cocotb test, or from a C++ loop without Python; both record the same"
