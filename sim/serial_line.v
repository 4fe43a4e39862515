// The other end of a serial line, for a simulated board: bytes of one start bit, eight data bits and one stop bit.
// Rates are kept to the cycle: a bit lasts CLOCK_HZ / BAUD cycles on average.
`default_nettype none

// Sends bytes given in a ring: byte number n is in place n modulo PLACES, and all before number given are there.
module serial_sender #(parameter CLOCK_HZ = 1, parameter BAUD = 1, parameter PLACES = 64) (
  input wire clk, input wire [8*PLACES-1:0] ring, input wire [31:0] given,
  output reg [31:0] sent, output wire line, output wire transferred, output wire [7:0] payload
);
  reg [31:0] phase;
  reg [9:0] bits;
  reg [3:0] left;
  initial begin phase = 0; bits = ~10'b0; left = 0; sent = 0; end

  wire bit_ends = phase + BAUD >= CLOCK_HZ;
  wire free = left == 0 || (left == 1 && bit_ends);
  wire [7:0] next = ring[8 * (sent % PLACES) +: 8];
  assign line = bits[0];
  assign transferred = free && sent != given;
  assign payload = next;

  always @(posedge clk) begin
    phase <= left == 0 ? 0 : bit_ends ? phase + BAUD - CLOCK_HZ : phase + BAUD;
    if (transferred) begin
      bits <= {1'b1, next, 1'b0};
      left <= 10;
      sent <= sent + 1;
    end else if (left != 0 && bit_ends) begin
      bits <= {1'b1, bits[9:1]};
      left <= left - 1;
    end
  end
endmodule

// Puts the bytes of a line into a ring; a wrong stop bit is passed over.
module serial_receiver #(parameter CLOCK_HZ = 1, parameter BAUD = 1, parameter PLACES = 64) (
  input wire clk, input wire line,
  output reg [8*PLACES-1:0] ring, output reg [31:0] received, output wire transferred, output wire [7:0] payload
);
  reg [31:0] phase;
  reg [7:0] bits;
  reg [3:0] place;
  reg busy;
  initial begin phase = 0; bits = 0; place = 0; busy = 0; ring = 0; received = 0; end

  wire sample = busy && phase + BAUD >= CLOCK_HZ;
  assign transferred = sample && place == 9;
  assign payload = bits;

  always @(posedge clk) begin
    if (!busy) begin
      busy <= !line;
      phase <= CLOCK_HZ / 2;
      place <= 0;
    end else begin
      phase <= sample ? phase + BAUD - CLOCK_HZ : phase + BAUD;
      if (sample) begin
        place <= place + 1;
        if (place == 0 && line) busy <= 0;
        if (place >= 1 && place <= 8) bits <= {line, bits[7:1]};
        if (place == 9) begin
          busy <= 0;
          ring[8 * (received % PLACES) +: 8] <= bits;
          received <= received + 1;
        end
      end
    end
  end
endmodule

// Inverts each bit of the bytes on a line, start and stop bits too, with a chance of bit_errors / 2^32; one cycle late.
module line_noise #(parameter CLOCK_HZ = 1, parameter BAUD = 1, parameter NUMBER = 0) (
  input wire clk, input wire clean, output wire noisy
);
  reg [31:0] phase, random, threshold, seed;
  reg [3:0] left;
  reg delayed, inverted;
  initial begin
    phase = 0; left = 0; delayed = 1; inverted = 0; threshold = 0; seed = 0;
    if ($value$plusargs("bit_errors=%d", threshold)) ;
    if ($value$plusargs("noise_seed=%d", seed)) ;
    random = (2 * seed + NUMBER + 1) * 32'h9e3779b9;
    if (random == 0) random = 1;
  end
  assign noisy = delayed ^ inverted;

  // The next start bit may come early, since the sender's clock is its own.
  wire begins = !clean && (left == 0 || (left == 1 && phase >= CLOCK_HZ / 2));
  wire bit_ends = phase + BAUD >= CLOCK_HZ;
  wire [31:0] random_1 = random ^ (random << 13);
  wire [31:0] random_2 = random_1 ^ (random_1 >> 17);
  always @(posedge clk) begin
    delayed <= clean;
    phase <= begins ? 0 : bit_ends ? phase + BAUD - CLOCK_HZ : phase + BAUD;
    if (begins) left <= 10;
    else if (left != 0 && bit_ends) left <= left - 1;
    if (begins || (left > 1 && bit_ends)) begin
      random <= random_2 ^ (random_2 << 5);
      inverted <= random < threshold;
    end else if (bit_ends)
      inverted <= 0;
  end
endmodule

// Writes the cycle, direction and value of every byte to the file that the plusarg "line_log" names, if it does.
module line_log (
  input wire clk, input wire [63:0] cycle,
  input wire sent, input wire [7:0] sent_byte, input wire received, input wire [7:0] received_byte
);
  reg [8*1024-1:0] name;
  integer file;
  initial begin
    file = 0;
    if ($value$plusargs("line_log=%s", name)) file = $fopen(name, "w");
  end
  always @(posedge clk) if (file != 0) begin
    if (sent) $fwrite(file, "%0d > %h\n", cycle, sent_byte);
    if (received) $fwrite(file, "%0d < %h\n", cycle, received_byte);
    if (sent || received) $fflush(file);
  end
endmodule
`default_nettype wire
