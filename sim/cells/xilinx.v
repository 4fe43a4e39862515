// Block RAMs of the Xilinx 7 series in the modes that yosys uses without output registers, resets, cascades and error
// correction, after UG473. Any other mode stops the simulation.
`default_nettype none

// What RAMB18E1 and RAMB36E1 share: ports of LANES bytes, each with a parity bit. True dual port (TDP); or simple dual
// port (SDP), where port A reads, port B writes, and a word of two ports' width has its lower half on port A's pins.
module xilinx_block_ram #(
  parameter LANES = 2, parameter RAM_MODE = "TDP", parameter IS_MODELLED = 1,
  parameter READ_WIDTH_A = 0, parameter WRITE_WIDTH_A = 0, parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter READ_WIDTH_B = 0, parameter WRITE_WIDTH_B = 0, parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter [1024*LANES-1:0] PARITY = 0, parameter [8*1024*LANES-1:0] CONTENTS = 0
) (
  input wire [1:0] clk, input wire [1:0] enable, input wire reset, input wire [15:0] address_a, address_b,
  input wire [LANES-1:0] write_a, input wire [2*LANES-1:0] write_b,
  input wire [8*LANES-1:0] data_a, data_b, input wire [LANES-1:0] parity_a, parity_b,
  output wire [8*LANES-1:0] q_a, q_b, output wire [LANES-1:0] q_parity_a, q_parity_b
);
  localparam BYTES = 1024 * LANES;
  localparam BOTH = 18 * LANES;
  localparam IS_SIMPLE = RAM_MODE == "SDP";

  function is_width(input integer width);
    is_width = width == 0 || width == 1 || width == 2 || width == 4 || width == 9 || width == 18
      || width == 9 * LANES || IS_SIMPLE && width == BOTH;
  endfunction

  initial begin
    if (!IS_MODELLED) $fatal(1, "block RAM: a mode that is not modelled");
    if (RAM_MODE != "TDP" && RAM_MODE != "SDP") $fatal(1, "block RAM: mode %s is not modelled", RAM_MODE);
    if (!is_width(READ_WIDTH_A) || !is_width(WRITE_WIDTH_A) || !is_width(READ_WIDTH_B) || !is_width(WRITE_WIDTH_B))
      $fatal(1, "block RAM: a width is not modelled");
    if (IS_SIMPLE && (WRITE_WIDTH_A != 0 || READ_WIDTH_B != 0)) $fatal(1, "block RAM: in SDP, A reads and B writes");
  end
  always @(posedge clk[0] or posedge clk[1]) if (reset) $fatal(1, "block RAM: resets are not modelled");

  // Bytes of nine bits: those of port A, then those of port B.
  wire [18*LANES-1:0] pins, q_pins;
  genvar lane;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : nines
      assign pins[9*lane +: 9] = {parity_a[lane], data_a[8*lane +: 8]};
      assign pins[9*(LANES + lane) +: 9] = {parity_b[lane], data_b[8*lane +: 8]};
      assign {q_parity_a[lane], q_a[8*lane +: 8]} = q_pins[9*lane +: 9];
      assign {q_parity_b[lane], q_b[8*lane +: 8]} = q_pins[9*(LANES + lane) +: 9];
    end
  endgenerate

  wire [71:0] read_a, read_b;
  wire [71:0] written_b = IS_SIMPLE && WRITE_WIDTH_B == BOTH ? pins : pins[9*LANES +: 9*LANES];
  assign q_pins = IS_SIMPLE && READ_WIDTH_A == BOTH ? read_a[18*LANES-1:0]
    : {read_b[9*LANES-1:0], read_a[9*LANES-1:0]};
  wire [71:0] written_a = pins[9*LANES-1:0];
  wire [7:0] strobe_a = write_a, strobe_b = write_b;

  block_ram #(
    .BYTES(BYTES), .CONTENTS(CONTENTS), .PARITY(PARITY),
    .READ_0(READ_WIDTH_A), .WRITE_0(WRITE_WIDTH_A), .MODE_0(WRITE_MODE_A),
    .READ_1(READ_WIDTH_B), .WRITE_1(WRITE_WIDTH_B), .MODE_1(WRITE_MODE_B),
    .OLD({WRITE_MODE_B == "READ_FIRST", WRITE_MODE_A == "READ_FIRST"})
  ) memory (
    .clk(clk), .enable(enable), .address({address_b, address_a}), .strobe({strobe_b, strobe_a}),
    .data({written_b, written_a}), .q({read_b, read_a}));
endmodule

module RAMB18E1 #(
  parameter RAM_MODE = "TDP",
  parameter READ_WIDTH_A = 0, parameter WRITE_WIDTH_A = 0, parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter READ_WIDTH_B = 0, parameter WRITE_WIDTH_B = 0, parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter DOA_REG = 0, parameter DOB_REG = 0, parameter INIT_A = 0, parameter INIT_B = 0,
  parameter SRVAL_A = 0, parameter SRVAL_B = 0,
  parameter [255:0]
    INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
    INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
    INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
    INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
    INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
    INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
    INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
    INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
    INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0
) (
  input wire CLKARDCLK, ENARDEN, REGCEAREGCE, RSTRAMARSTRAM, RSTREGARSTREG,
  input wire CLKBWRCLK, ENBWREN, REGCEB, RSTRAMB, RSTREGB,
  input wire [13:0] ADDRARDADDR, ADDRBWRADDR, input wire [1:0] WEA, input wire [3:0] WEBWE,
  input wire [15:0] DIADI, DIBDI, input wire [1:0] DIPADIP, DIPBDIP,
  output wire [15:0] DOADO, DOBDO, output wire [1:0] DOPADOP, DOPBDOP
);
  xilinx_block_ram #(
    .LANES(2), .RAM_MODE(RAM_MODE),
    .READ_WIDTH_A(READ_WIDTH_A), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_MODE_A(WRITE_MODE_A),
    .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_B(WRITE_WIDTH_B), .WRITE_MODE_B(WRITE_MODE_B),
    // Outputs begin at 0, or at what nobody minds.
    .IS_MODELLED(DOA_REG == 0 && DOB_REG == 0
      && (INIT_A === 0 || ^INIT_A === 1'bx) && (INIT_B === 0 || ^INIT_B === 1'bx)),
    .PARITY({
      INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    }),
    .CONTENTS({
      INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38, INIT_37, INIT_36, INIT_35, INIT_34,
      INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
      INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20, INIT_1F, INIT_1E, INIT_1D, INIT_1C,
      INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
      INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08, INIT_07, INIT_06, INIT_05, INIT_04,
      INIT_03, INIT_02, INIT_01, INIT_00
    })
  ) memory (
    .clk({CLKBWRCLK, CLKARDCLK}), .enable({ENBWREN, ENARDEN}),
    .reset(RSTRAMARSTRAM || RSTREGARSTREG || RSTRAMB || RSTREGB),
    .address_a({2'd0, ADDRARDADDR[13:0]}), .address_b({2'd0, ADDRBWRADDR[13:0]}), .write_a(WEA), .write_b(WEBWE),
    .data_a(DIADI), .data_b(DIBDI), .parity_a(DIPADIP), .parity_b(DIPBDIP),
    .q_a(DOADO), .q_b(DOBDO), .q_parity_a(DOPADOP), .q_parity_b(DOPBDOP));
endmodule

module RAMB36E1 #(
  parameter RAM_MODE = "TDP",
  parameter READ_WIDTH_A = 0, parameter WRITE_WIDTH_A = 0, parameter WRITE_MODE_A = "WRITE_FIRST",
  parameter READ_WIDTH_B = 0, parameter WRITE_WIDTH_B = 0, parameter WRITE_MODE_B = "WRITE_FIRST",
  parameter DOA_REG = 0, parameter DOB_REG = 0, parameter INIT_A = 0, parameter INIT_B = 0,
  parameter SRVAL_A = 0, parameter SRVAL_B = 0,
  parameter RAM_EXTENSION_A = "NONE", parameter RAM_EXTENSION_B = "NONE",
  parameter [255:0]
    INITP_00 = 0, INITP_01 = 0, INITP_02 = 0, INITP_03 = 0, INITP_04 = 0, INITP_05 = 0, INITP_06 = 0, INITP_07 = 0,
    INITP_08 = 0, INITP_09 = 0, INITP_0A = 0, INITP_0B = 0, INITP_0C = 0, INITP_0D = 0, INITP_0E = 0, INITP_0F = 0,
    INIT_00 = 0, INIT_01 = 0, INIT_02 = 0, INIT_03 = 0, INIT_04 = 0, INIT_05 = 0, INIT_06 = 0, INIT_07 = 0,
    INIT_08 = 0, INIT_09 = 0, INIT_0A = 0, INIT_0B = 0, INIT_0C = 0, INIT_0D = 0, INIT_0E = 0, INIT_0F = 0,
    INIT_10 = 0, INIT_11 = 0, INIT_12 = 0, INIT_13 = 0, INIT_14 = 0, INIT_15 = 0, INIT_16 = 0, INIT_17 = 0,
    INIT_18 = 0, INIT_19 = 0, INIT_1A = 0, INIT_1B = 0, INIT_1C = 0, INIT_1D = 0, INIT_1E = 0, INIT_1F = 0,
    INIT_20 = 0, INIT_21 = 0, INIT_22 = 0, INIT_23 = 0, INIT_24 = 0, INIT_25 = 0, INIT_26 = 0, INIT_27 = 0,
    INIT_28 = 0, INIT_29 = 0, INIT_2A = 0, INIT_2B = 0, INIT_2C = 0, INIT_2D = 0, INIT_2E = 0, INIT_2F = 0,
    INIT_30 = 0, INIT_31 = 0, INIT_32 = 0, INIT_33 = 0, INIT_34 = 0, INIT_35 = 0, INIT_36 = 0, INIT_37 = 0,
    INIT_38 = 0, INIT_39 = 0, INIT_3A = 0, INIT_3B = 0, INIT_3C = 0, INIT_3D = 0, INIT_3E = 0, INIT_3F = 0,
    INIT_40 = 0, INIT_41 = 0, INIT_42 = 0, INIT_43 = 0, INIT_44 = 0, INIT_45 = 0, INIT_46 = 0, INIT_47 = 0,
    INIT_48 = 0, INIT_49 = 0, INIT_4A = 0, INIT_4B = 0, INIT_4C = 0, INIT_4D = 0, INIT_4E = 0, INIT_4F = 0,
    INIT_50 = 0, INIT_51 = 0, INIT_52 = 0, INIT_53 = 0, INIT_54 = 0, INIT_55 = 0, INIT_56 = 0, INIT_57 = 0,
    INIT_58 = 0, INIT_59 = 0, INIT_5A = 0, INIT_5B = 0, INIT_5C = 0, INIT_5D = 0, INIT_5E = 0, INIT_5F = 0,
    INIT_60 = 0, INIT_61 = 0, INIT_62 = 0, INIT_63 = 0, INIT_64 = 0, INIT_65 = 0, INIT_66 = 0, INIT_67 = 0,
    INIT_68 = 0, INIT_69 = 0, INIT_6A = 0, INIT_6B = 0, INIT_6C = 0, INIT_6D = 0, INIT_6E = 0, INIT_6F = 0,
    INIT_70 = 0, INIT_71 = 0, INIT_72 = 0, INIT_73 = 0, INIT_74 = 0, INIT_75 = 0, INIT_76 = 0, INIT_77 = 0,
    INIT_78 = 0, INIT_79 = 0, INIT_7A = 0, INIT_7B = 0, INIT_7C = 0, INIT_7D = 0, INIT_7E = 0, INIT_7F = 0
) (
  input wire CLKARDCLK, ENARDEN, REGCEAREGCE, RSTRAMARSTRAM, RSTREGARSTREG,
  input wire CLKBWRCLK, ENBWREN, REGCEB, RSTRAMB, RSTREGB,
  input wire [15:0] ADDRARDADDR, ADDRBWRADDR, input wire [3:0] WEA, input wire [7:0] WEBWE,
  input wire [31:0] DIADI, DIBDI, input wire [3:0] DIPADIP, DIPBDIP,
  output wire [31:0] DOADO, DOBDO, output wire [3:0] DOPADOP, DOPBDOP
);
  initial if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") $fatal(1, "RAMB36E1: cascades are not modelled");

  xilinx_block_ram #(
    .LANES(4), .RAM_MODE(RAM_MODE),
    .READ_WIDTH_A(READ_WIDTH_A), .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_MODE_A(WRITE_MODE_A),
    .READ_WIDTH_B(READ_WIDTH_B), .WRITE_WIDTH_B(WRITE_WIDTH_B), .WRITE_MODE_B(WRITE_MODE_B),
    // Outputs begin at 0, or at what nobody minds.
    .IS_MODELLED(DOA_REG == 0 && DOB_REG == 0
      && (INIT_A === 0 || ^INIT_A === 1'bx) && (INIT_B === 0 || ^INIT_B === 1'bx)),
    .PARITY({
      INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08, INITP_07, INITP_06, INITP_05,
      INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
    }),
    .CONTENTS({
      INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78, INIT_77, INIT_76, INIT_75, INIT_74,
      INIT_73, INIT_72, INIT_71, INIT_70, INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
      INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60, INIT_5F, INIT_5E, INIT_5D, INIT_5C,
      INIT_5B, INIT_5A, INIT_59, INIT_58, INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
      INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48, INIT_47, INIT_46, INIT_45, INIT_44,
      INIT_43, INIT_42, INIT_41, INIT_40, INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
      INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30, INIT_2F, INIT_2E, INIT_2D, INIT_2C,
      INIT_2B, INIT_2A, INIT_29, INIT_28, INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
      INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18, INIT_17, INIT_16, INIT_15, INIT_14,
      INIT_13, INIT_12, INIT_11, INIT_10, INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
      INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
    })
  ) memory (
    .clk({CLKBWRCLK, CLKARDCLK}), .enable({ENBWREN, ENARDEN}),
    .reset(RSTRAMARSTRAM || RSTREGARSTREG || RSTRAMB || RSTREGB),
    .address_a({1'd0, ADDRARDADDR[14:0]}), .address_b({1'd0, ADDRBWRADDR[14:0]}), .write_a(WEA), .write_b(WEBWE),
    .data_a(DIADI), .data_b(DIBDI), .parity_a(DIPADIP), .parity_b(DIPBDIP),
    .q_a(DOADO), .q_b(DOBDO), .q_parity_a(DOPADOP), .q_parity_b(DOPBDOP));
endmodule
`default_nettype wire
