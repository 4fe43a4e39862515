// The simulated system, on the bench of sim/bench.cpp: writes its console to a file, and ends after the line "done".
`default_nettype none
module testbench (
  input wire clk /*verilator public_flat_rw*/,
  input wire rst /*verilator public_flat_rw*/,
  output reg done /*verilator public_flat_rd*/,
  output reg timed_out /*verilator public_flat_rd*/
);
  reg [63:0] cycle, limit;
  reg [8*5-1:0] last_words;
  reg [8*1024-1:0] name;
  integer file;
  initial begin
    cycle = 0; last_words = 0; done = 0; timed_out = 0;
    if (!$value$plusargs("limit=%d", limit)) $fatal;
    if (!$value$plusargs("console=%s", name)) $fatal;
    file = $fopen(name, "w");
  end

  wire valid;
  wire [7:0] character;
  top top (
    .clk(clk), .rst(rst), .sim_trace(),
    .serial_source_valid(valid), .serial_source_ready(1'b1), .serial_source_data(character),
    .serial_sink_valid(1'b0), .serial_sink_ready(), .serial_sink_data(8'b0));

  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (valid && !rst) begin
      $fwrite(file, "%c", character);
      last_words <= {last_words[31:0], character};
    end
    if (!done && (last_words == "done\n" || cycle >= limit)) begin
      $fclose(file);
      done <= 1;
      timed_out <= last_words != "done\n";
    end
  end
endmodule
`default_nettype wire
