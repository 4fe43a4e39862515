// The network's testbench without Python: the clock and reset of bench.py, edge by edge, so that every log is the same.
// Without +bench=cpp, cocotb runs as always.
#define main cocotb_main
#include "verilator.cpp"
#undef main

constexpr int EDGES_IN_RESET = 5;

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    if (!*Verilated::commandArgsPlusMatch("bench=cpp")) return cocotb_main(argc, argv);
    Vtop testbench;
    testbench.rst = 1;
    testbench.clk = 0;
    testbench.eval();
    for (int edge = 1; !testbench.done; ++edge) {
        testbench.clk = 1;
        testbench.eval();
        testbench.clk = 0;
        if (edge == EDGES_IN_RESET) testbench.rst = 0;
        testbench.eval();
    }
    testbench.final();
    return testbench.timed_out;
}
