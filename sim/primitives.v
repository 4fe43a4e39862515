// Stand-ins for what the families' chips have beside logic and memory. A PLL passes its input clock on, so a simulated
// oscillator runs at the clock of the design; it locks after some cycles.
`default_nettype none
/* verilator lint_off DECLFILENAME */

module pll_lock (input wire clock, output wire locked);
  reg [4:0] count = 0;
  assign locked = count[4];
  always @(posedge clock) if (!locked) count <= count + 1;
endmodule

// ECP5

module IB (input wire I, output wire O);
  assign O = I;
endmodule

module OBZ (input wire I, input wire T, output wire O);
  assign O = T ? 1'bz : I;
endmodule

module EHXPLLL #(
  parameter PLLRST_ENA = "", parameter INTFB_WAKE = "", parameter STDBY_ENABLE = "", parameter DPHASE_SOURCE = "",
  parameter OUTDIVIDER_MUXA = "", parameter OUTDIVIDER_MUXB = "", parameter FEEDBK_PATH = "", parameter CLKI_DIV = 1,
  parameter CLKFB_DIV = 1, parameter CLKOP_ENABLE = "", parameter CLKOP_DIV = 1, parameter CLKOP_CPHASE = 0,
  parameter CLKOP_FPHASE = 0, parameter CLKOS_ENABLE = "", parameter CLKOS_DIV = 1, parameter CLKOS_CPHASE = 0,
  parameter CLKOS_FPHASE = 0
) (
  input wire CLKI, input wire CLKFB, input wire RST, input wire STDBY, input wire PHASESEL0, input wire PHASESEL1,
  input wire PHASEDIR, input wire PHASESTEP, input wire PHASELOADREG, input wire PLLWAKESYNC, input wire ENCLKOP,
  output wire CLKOP, output wire CLKOS, output wire LOCK
);
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
  pll_lock lock (.clock(CLKI), .locked(LOCK));
endmodule

// iCE40

module SB_IO #(
  parameter PIN_TYPE = 6'b0, parameter PULLUP = 1'b0, parameter NEG_TRIGGER = 1'b0, parameter IO_STANDARD = ""
) (
  inout wire PACKAGE_PIN, input wire LATCH_INPUT_VALUE, input wire CLOCK_ENABLE, input wire INPUT_CLK,
  input wire OUTPUT_CLK, input wire OUTPUT_ENABLE, input wire D_OUT_0, input wire D_OUT_1, output wire D_IN_0,
  output wire D_IN_1
);
  // Of the types only what an input or output without a register needs.
  assign PACKAGE_PIN = PIN_TYPE[5:2] == 4'b0110 || (PIN_TYPE[5:2] == 4'b1010 && OUTPUT_ENABLE) ? D_OUT_0 : 1'bz;
  assign D_IN_0 = PACKAGE_PIN;
  assign D_IN_1 = PACKAGE_PIN;
endmodule

module SB_GB_IO #(
  parameter PIN_TYPE = 6'b0, parameter PULLUP = 1'b0, parameter NEG_TRIGGER = 1'b0, parameter IO_STANDARD = ""
) (
  inout wire PACKAGE_PIN, input wire LATCH_INPUT_VALUE, input wire CLOCK_ENABLE, input wire INPUT_CLK,
  input wire OUTPUT_CLK, input wire OUTPUT_ENABLE, input wire D_OUT_0, input wire D_OUT_1, output wire D_IN_0,
  output wire D_IN_1, output wire GLOBAL_BUFFER_OUTPUT
);
  // An input whose pin drives a global network, as clocks do.
  assign D_IN_0 = PACKAGE_PIN;
  assign D_IN_1 = PACKAGE_PIN;
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
endmodule

module SB_PLL40_PAD #(
  parameter FEEDBACK_PATH = "", parameter DIVR = 4'b0, parameter DIVF = 7'b0, parameter DIVQ = 3'b0,
  parameter FILTER_RANGE = 3'b0
) (
  input wire PACKAGEPIN, input wire RESETB, input wire BYPASS, output wire PLLOUTGLOBAL, output wire PLLOUTCORE,
  output wire LOCK
);
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign PLLOUTCORE = PACKAGEPIN;
  pll_lock lock (.clock(PACKAGEPIN), .locked(LOCK));
endmodule

module SB_PLL40_CORE #(
  parameter FEEDBACK_PATH = "", parameter DIVR = 4'b0, parameter DIVF = 7'b0, parameter DIVQ = 3'b0,
  parameter FILTER_RANGE = 3'b0
) (
  input wire REFERENCECLK, input wire RESETB, input wire BYPASS, output wire PLLOUTGLOBAL, output wire PLLOUTCORE,
  output wire LOCK
);
  assign PLLOUTGLOBAL = REFERENCECLK;
  assign PLLOUTCORE = REFERENCECLK;
  pll_lock lock (.clock(REFERENCECLK), .locked(LOCK));
endmodule

// Xilinx 7; Gowin has the same IBUF

module IBUF (input wire I, output wire O);
  assign O = I;
endmodule

module OBUFT (input wire I, input wire T, output wire O);
  assign O = T ? 1'bz : I;
endmodule

module BUFG (input wire I, output wire O);
  assign O = I;
endmodule

module FDPE #(parameter INIT = 1'b1) (input wire C, input wire CE, input wire D, input wire PRE, output reg Q);
  initial Q = INIT;
  always @(posedge C or posedge PRE)
    if (PRE) Q <= 1;
    else if (CE) Q <= D;
endmodule

module PLLE2_BASE #(
  parameter BANDWIDTH = "", parameter STARTUP_WAIT = "", parameter REF_JITTER1 = 0.0, parameter CLKIN1_PERIOD = 0.0,
  parameter DIVCLK_DIVIDE = 1, parameter CLKFBOUT_MULT = 1, parameter CLKFBOUT_PHASE = 0.0, parameter CLKOUT0_DIVIDE = 1,
  parameter CLKOUT0_PHASE = 0.0, parameter CLKOUT0_DUTY_CYCLE = 0.5
) (
  input wire CLKIN1, input wire CLKFBIN, input wire RST, input wire PWRDWN, output wire CLKFBOUT, output wire CLKOUT0,
  output wire LOCKED
);
  assign CLKFBOUT = CLKIN1;
  assign CLKOUT0 = CLKIN1;
  pll_lock lock (.clock(CLKIN1), .locked(LOCKED));
endmodule

// Gowin

module TBUF (input wire I, input wire OEN, output wire O);
  assign O = OEN ? 1'bz : I;
endmodule

module rPLL #(
  parameter FCLKIN = "", parameter DEVICE = "", parameter IDIV_SEL = 0, parameter FBDIV_SEL = 0, parameter ODIV_SEL = 8,
  parameter CLKFB_SEL = ""
) (
  input wire CLKIN, input wire CLKFB, input wire RESET, input wire RESET_P, input wire [5:0] IDSEL,
  input wire [5:0] FBDSEL, input wire [5:0] ODSEL, input wire [3:0] PSDA, input wire [3:0] DUTYDA,
  input wire [3:0] FDLY, output wire CLKOUT, output wire LOCK
);
  assign CLKOUT = CLKIN;
  pll_lock lock (.clock(CLKIN), .locked(LOCK));
endmodule
`default_nettype wire
