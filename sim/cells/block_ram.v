// What the block RAMs of ECP5 and Xilinx 7 have in common: bytes of nine bits behind two ports of any width.
// Where the vendor leaves open what is read, of a byte that the other port writes at the same edge, this model gives
// what must not be relied on: the complement of what was there.
`default_nettype none

// At the start CONTENTS are the bytes' low eight bits and PARITY their ninth. Port p's fields are the p-th of a vector.
//   READ_p, WRITE_p  bits that the port reads and writes: 1, 2, 4 (of a byte's low eight), 9, 18, 36, 72; or 0
//   MODE_p           what the port itself reads when it writes: READ_FIRST, WRITE_FIRST or NO_CHANGE
//   OLD[p]           the other port safely reads what was there before port p writes
//   address          counted in bits, eight to a byte
//   strobe           write enables of the bytes of a word
module block_ram #(
  parameter BYTES = 2048, parameter [8*BYTES-1:0] CONTENTS = 0, parameter [BYTES-1:0] PARITY = 0,
  parameter READ_0 = 0, parameter WRITE_0 = 0, parameter MODE_0 = "READ_FIRST",
  parameter READ_1 = 0, parameter WRITE_1 = 0, parameter MODE_1 = "READ_FIRST",
  parameter [1:0] OLD = 2'b00
) (
  input wire [1:0] clk, input wire [1:0] enable, input wire [2*16-1:0] address, input wire [2*8-1:0] strobe,
  input wire [2*72-1:0] data, output wire [2*72-1:0] q
);
  reg [8:0] bytes [0:BYTES-1];
  integer index;
  reg [255:0] line;
  initial for (index = 0; index < BYTES; index = index + 1) begin
    // Icarus copies the whole of a parameter to select from it, so 32 bytes are taken at a time.
    if (index % 32 == 0) line = CONTENTS[8*index +: 256];
    bytes[index] = {PARITY[index], line[8*(index % 32) +: 8]};
  end

  // Of each port: the first byte of the word that it addresses for writing, and which of the word's bytes it writes.
  wire [2*13-1:0] first;
  wire [2*8-1:0] written;

  // Whether a byte is among those of a word that are written.
  function hits(input [12:0] place, input [12:0] start, input [7:0] lanes);
    reg [12:0] ahead;
    begin
      ahead = place - start;
      hits = |lanes && ahead < 8 && lanes[ahead[2:0]];
    end
  endfunction

  genvar port, k;
  generate
    for (port = 0; port < 2; port = port + 1) begin : ports
      localparam READ = port == 0 ? READ_0 : READ_1;
      localparam WRITE = port == 0 ? WRITE_0 : WRITE_1;
      localparam IS_WRITE_FIRST = port == 0 ? MODE_0 == "WRITE_FIRST" : MODE_1 == "WRITE_FIRST";
      localparam IS_NO_CHANGE = port == 0 ? MODE_0 == "NO_CHANGE" : MODE_1 == "NO_CHANGE";
      localparam READ_BYTES = READ < 9 ? 1 : READ / 9;
      localparam WRITE_BYTES = WRITE < 9 ? 1 : WRITE / 9;

      wire clock = clk[port];
      wire [15:0] at = address[16*port +: 16];
      wire [12:0] first_read = at[15:3] & ~(READ_BYTES - 13'd1);
      wire [12:0] first_written = at[15:3] & ~(WRITE_BYTES - 13'd1);
      wire [12:0] others_first = first[13*(1 - port) +: 13];
      wire [7:0] writing = written[8*port +: 8];
      wire [7:0] others_writing = written[8*(1 - port) +: 8];
      assign first[13*port +: 13] = first_written;
      assign written[8*port +: 8] = WRITE == 0 || !enable[port] ? 8'd0
        : strobe[8*port +: 8] & ((9'd1 << WRITE_BYTES) - 9'd1);

      // What the bytes of the addressed word become; of a narrow word, its one byte.
      wire [71:0] fresh;
      if (WRITE < 9) begin : narrow
        wire [2:0] low = at[2:0] & ~(WRITE - 3'd1);
        wire [8:0] mask = ((9'd1 << WRITE) - 9'd1) << low;
        assign fresh = bytes[first_written] & ~mask | data[72*port +: 9] << low & mask;
      end else begin : wide
        assign fresh = data[72*port +: 72];
      end

      wire [71:0] seen;
      for (k = 0; k < 8; k = k + 1) begin : lane
        wire [12:0] place = first_read + k;
        wire [12:0] ahead = place - first_written;
        assign seen[9*k +: 9] = k >= READ_BYTES ? 9'd0
          : IS_WRITE_FIRST && hits(place, first_written, writing) ? fresh[9*ahead[2:0] +: 9]
          : !OLD[1 - port] && hits(place, others_first, others_writing) ? ~bytes[place] : bytes[place];
      end

      reg [71:0] value = 0;
      assign q[72*port +: 72] = value;
      integer j;
      always @(posedge clock) if (enable[port]) begin
        for (j = 0; j < WRITE_BYTES; j = j + 1) if (writing[j]) begin
          bytes[first_written + j] <= fresh[9*j +: 9];
          if (hits(first_written + j, others_first, others_writing)) $fatal(1, "both ports write one byte");
        end
        if (READ != 0 && !(IS_NO_CHANGE && |writing))
          value <= READ >= 9 ? seen : seen[8:0] >> (at[2:0] & ~(READ - 3'd1)) & ((9'd1 << READ) - 9'd1);
      end
    end
  endgenerate
endmodule
`default_nettype wire
