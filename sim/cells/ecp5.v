// ECP5's block RAM DP16KD, in the modes that yosys uses without output registers and without resets, after Lattice's
// memory usage guide (FPGA-TN-02204). Any other mode stops the simulation.
`default_nettype none

// True dual port with up to 18 bits a port; or, with 36, pseudo dual port: port A writes through both ports' data
// inputs, B's being the upper half, and port B reads through both ports' outputs. Address bits of a word of 18 or 36
// bits that have no meaning left are its byte enables, if the port writes.
module DP16KD #(
  parameter DATA_WIDTH_A = 18, parameter DATA_WIDTH_B = 18,
  parameter REGMODE_A = "NOREG", parameter REGMODE_B = "NOREG",
  parameter WRITEMODE_A = "NORMAL", parameter WRITEMODE_B = "NORMAL",
  parameter CLKAMUX = "CLKA", parameter CLKBMUX = "CLKB",
  parameter CSDECODE_A = "0b000", parameter CSDECODE_B = "0b000", parameter GSR = "ENABLED",
  parameter RESETMODE = "SYNC", parameter ASYNC_RESET_RELEASE = "SYNC",
  parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0,
    INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0,
    INITVAL_0E = 0, INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0,
    INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0,
    INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
    INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0, INITVAL_28 = 0, INITVAL_29 = 0,
    INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0,
    INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
    INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0,
    INITVAL_3F = 0
) (
  input wire
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
    DIA0,
  input wire
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input wire CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output wire
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
    DOA0,
  input wire
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
    DIB0,
  input wire
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input wire CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output wire
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
    DOB0
);
  localparam IS_PSEUDO_DUAL = DATA_WIDTH_A == 36;

  // A line of INITVAL holds 16 words of two bytes of nine bits, each word in a field of 20.
  function [32*8-1:0] low_bits(input [319:0] line);
    integer word;
    for (word = 0; word < 16; word = word + 1) low_bits[16*word +: 16] = {line[20*word + 9 +: 8], line[20*word +: 8]};
  endfunction
  function [31:0] ninths(input [319:0] line);
    integer word;
    for (word = 0; word < 16; word = word + 1) ninths[2*word +: 2] = {line[20*word + 17], line[20*word + 8]};
  endfunction

  function is_width(input integer width);
    is_width = width == 1 || width == 2 || width == 4 || width == 9 || width == 18 || width == 36;
  endfunction

  initial begin
    if (!is_width(DATA_WIDTH_A) || !is_width(DATA_WIDTH_B) || DATA_WIDTH_B == 36 && !IS_PSEUDO_DUAL)
      $fatal(1, "DP16KD: data widths %0d and %0d are not modelled", DATA_WIDTH_A, DATA_WIDTH_B);
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") $fatal(1, "DP16KD: output registers are not modelled");
    if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") $fatal(1, "DP16KD: inverted clocks are not modelled");
    if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") $fatal(1, "DP16KD: chip selects are not modelled");
  end
  always @(posedge CLKA or posedge CLKB) begin
    if (RSTA || RSTB) $fatal(1, "DP16KD: resets are not modelled");
    if (CSA2 || CSA1 || CSA0 || CSB2 || CSB1 || CSB0) $fatal(1, "DP16KD: chip selects are not modelled");
    if (IS_PSEUDO_DUAL && WEB) $fatal(1, "DP16KD: port B of a pseudo dual port memory only reads");
  end

  wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9,
    DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9,
    DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [71:0] qa, qb;
  wire [35:0] q = IS_PSEUDO_DUAL ? (DATA_WIDTH_B == 36 ? qb[35:0] : {qb[17:0], 18'd0}) : {qb[17:0], qa[17:0]};
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9,
    DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0,
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9,
    DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = q;

  block_ram #(
    .BYTES(2048),
    .CONTENTS({
      low_bits(INITVAL_3F), low_bits(INITVAL_3E), low_bits(INITVAL_3D), low_bits(INITVAL_3C), low_bits(INITVAL_3B),
      low_bits(INITVAL_3A), low_bits(INITVAL_39), low_bits(INITVAL_38), low_bits(INITVAL_37), low_bits(INITVAL_36),
      low_bits(INITVAL_35), low_bits(INITVAL_34), low_bits(INITVAL_33), low_bits(INITVAL_32), low_bits(INITVAL_31),
      low_bits(INITVAL_30), low_bits(INITVAL_2F), low_bits(INITVAL_2E), low_bits(INITVAL_2D), low_bits(INITVAL_2C),
      low_bits(INITVAL_2B), low_bits(INITVAL_2A), low_bits(INITVAL_29), low_bits(INITVAL_28), low_bits(INITVAL_27),
      low_bits(INITVAL_26), low_bits(INITVAL_25), low_bits(INITVAL_24), low_bits(INITVAL_23), low_bits(INITVAL_22),
      low_bits(INITVAL_21), low_bits(INITVAL_20), low_bits(INITVAL_1F), low_bits(INITVAL_1E), low_bits(INITVAL_1D),
      low_bits(INITVAL_1C), low_bits(INITVAL_1B), low_bits(INITVAL_1A), low_bits(INITVAL_19), low_bits(INITVAL_18),
      low_bits(INITVAL_17), low_bits(INITVAL_16), low_bits(INITVAL_15), low_bits(INITVAL_14), low_bits(INITVAL_13),
      low_bits(INITVAL_12), low_bits(INITVAL_11), low_bits(INITVAL_10), low_bits(INITVAL_0F), low_bits(INITVAL_0E),
      low_bits(INITVAL_0D), low_bits(INITVAL_0C), low_bits(INITVAL_0B), low_bits(INITVAL_0A), low_bits(INITVAL_09),
      low_bits(INITVAL_08), low_bits(INITVAL_07), low_bits(INITVAL_06), low_bits(INITVAL_05), low_bits(INITVAL_04),
      low_bits(INITVAL_03), low_bits(INITVAL_02), low_bits(INITVAL_01), low_bits(INITVAL_00)
    }),
    .PARITY({
      ninths(INITVAL_3F), ninths(INITVAL_3E), ninths(INITVAL_3D), ninths(INITVAL_3C), ninths(INITVAL_3B),
      ninths(INITVAL_3A), ninths(INITVAL_39), ninths(INITVAL_38), ninths(INITVAL_37), ninths(INITVAL_36),
      ninths(INITVAL_35), ninths(INITVAL_34), ninths(INITVAL_33), ninths(INITVAL_32), ninths(INITVAL_31),
      ninths(INITVAL_30), ninths(INITVAL_2F), ninths(INITVAL_2E), ninths(INITVAL_2D), ninths(INITVAL_2C),
      ninths(INITVAL_2B), ninths(INITVAL_2A), ninths(INITVAL_29), ninths(INITVAL_28), ninths(INITVAL_27),
      ninths(INITVAL_26), ninths(INITVAL_25), ninths(INITVAL_24), ninths(INITVAL_23), ninths(INITVAL_22),
      ninths(INITVAL_21), ninths(INITVAL_20), ninths(INITVAL_1F), ninths(INITVAL_1E), ninths(INITVAL_1D),
      ninths(INITVAL_1C), ninths(INITVAL_1B), ninths(INITVAL_1A), ninths(INITVAL_19), ninths(INITVAL_18),
      ninths(INITVAL_17), ninths(INITVAL_16), ninths(INITVAL_15), ninths(INITVAL_14), ninths(INITVAL_13),
      ninths(INITVAL_12), ninths(INITVAL_11), ninths(INITVAL_10), ninths(INITVAL_0F), ninths(INITVAL_0E),
      ninths(INITVAL_0D), ninths(INITVAL_0C), ninths(INITVAL_0B), ninths(INITVAL_0A), ninths(INITVAL_09),
      ninths(INITVAL_08), ninths(INITVAL_07), ninths(INITVAL_06), ninths(INITVAL_05), ninths(INITVAL_04),
      ninths(INITVAL_03), ninths(INITVAL_02), ninths(INITVAL_01), ninths(INITVAL_00)
    }),
    .READ_0(IS_PSEUDO_DUAL ? 0 : DATA_WIDTH_A), .WRITE_0(DATA_WIDTH_A),
    .READ_1(DATA_WIDTH_B), .WRITE_1(IS_PSEUDO_DUAL ? 0 : DATA_WIDTH_B),
    .MODE_0(WRITEMODE_A == "NORMAL" ? "NO_CHANGE" : WRITEMODE_A == "WRITETHROUGH" ? "WRITE_FIRST" : "READ_FIRST"),
    .MODE_1(WRITEMODE_B == "NORMAL" ? "NO_CHANGE" : WRITEMODE_B == "WRITETHROUGH" ? "WRITE_FIRST" : "READ_FIRST")
  ) memory (
    .clk({CLKB, CLKA}), .enable({CEB, CEA}), .address({2'd0, adb, 2'd0, ada}),
    .strobe({{6'd0, {2{WEB}} & (DATA_WIDTH_B == 18 ? adb[1:0] : 2'b11)},
      {4'd0, {4{WEA}} & (DATA_WIDTH_A == 36 ? ada[3:0] : DATA_WIDTH_A == 18 ? {2'b00, ada[1:0]} : 4'b1111)}}),
    .data({{54'd0, dib}, {36'd0, dib, dia}}), .q({qb, qa}));
endmodule
`default_nettype wire
