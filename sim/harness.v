// Stream ends for the simulated network: they keep Python out of the clock cycle.
// Everything that more than one process sees is assigned by <= on the rising edge, so every simulator agrees.
`default_nettype none

// Offers the beats of a binary file (big-endian, whole bytes a beat), with random gaps, or inference by inference.
// Writes the cycle of every inference's first beat to a log.
module stream_source #(parameter WIDTH = 8, parameter BEATS = 1) (
  input wire clk, input wire rst, input wire [63:0] cycle, input wire [31:0] inferences_done,
  output reg valid, output reg [WIDTH-1:0] payload, input wire ready
);
  localparam BYTES = (WIDTH + 7) / 8;
  reg [8*1024-1:0] name;
  reg [8*BYTES-1:0] beat;
  reg [31:0] random, position, offered, gap, one_by_one;
  reg exhausted;
  integer file, log;

  initial begin
    valid = 0; payload = 0; position = 0; offered = 0; exhausted = 0; gap = 0; one_by_one = 0; random = 32'h2545f491;
    if (!$value$plusargs("source=%s", name)) $fatal;
    file = $fopen(name, "rb");
    if (!$value$plusargs("source_log=%s", name)) $fatal;
    log = $fopen(name, "w");
    if ($value$plusargs("source_gap=%d", gap)) ;
    if ($value$plusargs("one_by_one=%d", one_by_one)) ;
  end

  wire [31:0] random_1 = random ^ (random << 13);
  wire [31:0] random_2 = random_1 ^ (random_1 >> 17);
  wire may_start = !one_by_one || offered % BEATS != 0 || inferences_done == offered / BEATS;

  always @(posedge clk) begin
    random <= random_2 ^ (random_2 << 5);
    if (!rst) begin
      if (valid && ready) begin
        if (position == 0) begin $fwrite(log, "%0d\n", cycle); $fflush(log); end
        position <= position == BEATS - 1 ? 0 : position + 1;
      end
      if (!valid || ready) begin
        valid <= 0;
        if (!exhausted && may_start && random[15:8] >= gap) begin
          if ($fread(beat, file) == BYTES) begin
            valid <= 1;
            payload <= beat[WIDTH-1:0];
            offered <= offered + 1;
          end else
            exhausted <= 1;
        end
      end
    end
  end
endmodule

// Writes cycle and payload of every beat to a log; its file is closed when stop rises. complete: all beats that are
// expected (BEATS an inference) have been seen.
module recorder #(parameter WIDTH = 8, parameter NAME = "results", parameter BEATS = 1) (
  input wire clk, input wire rst, input wire [63:0] cycle, input wire [31:0] inferences, input wire stop,
  input wire transferred, input wire [WIDTH-1:0] payload, output wire complete
);
  reg [63:0] seen = 0;
  assign complete = seen >= inferences * BEATS;
  reg [8*1024-1:0] name;
  integer file;

  initial begin
    if (!$value$plusargs({NAME, "=%s"}, name)) $fatal;
    file = $fopen(name, "w");
  end

  always @(posedge clk) begin
    if (!rst && transferred) seen <= seen + 1;
    if (!rst && transferred && file != 0) $fwrite(file, "%0d %h\n", cycle, payload);
    if (stop && file != 0) begin
      $fwrite(file, "end\n");
      $fclose(file);
      file = 0;
    end
  end
endmodule

// Writes cycle and state to a log whenever a state changes from what it was, 0 at first, and the last cycle when stop
// rises; the plusarg spans_NAME names the log, and without it there is none.
module change_recorder #(parameter NAME = "working") (
  input wire clk, input wire rst, input wire [63:0] cycle, input wire stop, input wire [1:0] state
);
  reg [8*1024-1:0] name;
  reg [1:0] previous = 0;
  integer file;

  initial begin
    file = 0;
    if ($value$plusargs({"spans_", NAME, "=%s"}, name)) file = $fopen(name, "w");
  end

  always @(posedge clk) if (file != 0) begin
    if (stop) begin
      $fwrite(file, "%0d end\n", cycle);
      $fclose(file);
      file = 0;
    end else if (!rst && state != previous) begin
      $fwrite(file, "%0d %0d\n", cycle, state);
      previous <= state;
    end
  end
endmodule

// Counts the cycles in which something works and writes their number to a log when stop rises.
module cycle_counter #(parameter NAME = "working") (
  input wire clk, input wire rst, input wire [63:0] cycle, input wire stop, input wire working
);
  change_recorder #(.NAME(NAME)) changes (.clk(clk), .rst(rst), .cycle(cycle), .stop(stop), .state({1'b0, working}));
  reg [8*1024-1:0] name;
  reg [63:0] count = 0;
  reg written = 0;
  integer file;

  initial begin
    if (!$value$plusargs({NAME, "=%s"}, name)) $fatal;
    file = $fopen(name, "w");
  end

  always @(posedge clk) begin
    if (!rst && working) count <= count + 1;
    if (stop && !written) begin
      $fwrite(file, "%0d\n", count);
      $fclose(file);
      written <= 1;
    end
  end
endmodule

// Counts the cycles in which a stream moves, is held back (valid, not ready) and is starved (ready, not valid), and
// writes the three numbers to a log when stop rises.
module flow_counter #(parameter NAME = "flow") (
  input wire clk, input wire rst, input wire [63:0] cycle, input wire stop, input wire valid, input wire ready
);
  // 0: idle, 1: starved, 2: held back, 3: moving.
  change_recorder #(.NAME(NAME)) changes (.clk(clk), .rst(rst), .cycle(cycle), .stop(stop), .state({valid, ready}));
  reg [8*1024-1:0] name;
  reg [63:0] moved = 0, held_back = 0, starved = 0;
  reg written = 0;
  integer file;

  initial begin
    if (!$value$plusargs({NAME, "=%s"}, name)) $fatal;
    file = $fopen(name, "w");
  end

  always @(posedge clk) begin
    if (!rst) begin
      if (valid && ready) moved <= moved + 1;
      if (valid && !ready) held_back <= held_back + 1;
      if (!valid && ready) starved <= starved + 1;
    end
    if (stop && !written) begin
      $fwrite(file, "%0d %0d %0d\n", moved, held_back, starved);
      $fclose(file);
      written <= 1;
    end
  end
endmodule

// Takes beats with random stalls, the first after a wait.
module stream_sink (input wire clk, output reg ready);
  reg [31:0] random, gap;
  reg [63:0] left_to_wait;

  initial begin
    ready = 0; gap = 0; left_to_wait = 0; random = 32'h9e3779b9;
    if ($value$plusargs("sink_gap=%d", gap)) ;
    if ($value$plusargs("sink_wait=%d", left_to_wait)) ;
  end

  wire [31:0] random_1 = random ^ (random << 13);
  wire [31:0] random_2 = random_1 ^ (random_1 >> 17);

  always @(posedge clk) begin
    random <= random_2 ^ (random_2 << 5);
    if (left_to_wait != 0) left_to_wait <= left_to_wait - 1;
    ready <= left_to_wait == 0 && random[15:8] >= gap;
  end
endmodule
`default_nettype wire
