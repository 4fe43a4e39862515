"""The cocotb test: provides clock and reset, and waits for the testbench to finish. Runs inside the simulator."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

PERIOD_NS = 10


@cocotb.test()
async def replay(testbench) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Replay the inferences of the source file; the logs are compared when the simulator has ended."""
    testbench.rst.value = 1
    testbench.clk.value = 0
    # No edge comes before all initial values have settled, and reset changes between edges, so there are no races.
    await Timer(PERIOD_NS, unit="ns")
    Clock(testbench.clk, PERIOD_NS, unit="ns", impl="gpi").start()
    await Timer(4 * PERIOD_NS + PERIOD_NS * 3 // 4, unit="ns")
    testbench.rst.value = 0
    await RisingEdge(testbench.done)
    await Timer(1, unit="ns")
    assert not int(testbench.timed_out.value), "the network hung: its cycle limit passed before all results were out"
