"""Writes the Verilog testbench of a network: its top with taps between the stream ends of harness.v."""

from amaranth.hdl import Shape
from amaranth.lib.wiring import Member

from hw.configuration import NeuronConfig, TopConfig
from hw.top import network_ports

TEMPLATE = """\
`default_nettype none
module testbench (
  input wire clk /*verilator public_flat_rw*/,
  input wire rst /*verilator public_flat_rw*/,
  output reg done /*verilator public_flat_rd*/,
  output reg timed_out /*verilator public_flat_rd*/
);
  reg [31:0] cycle, expected, limit, inferences_done;
  reg stop;
  initial begin
    cycle = 0; inferences_done = 0; stop = 0; done = 0; timed_out = 0;
    if (!$value$plusargs("inferences=%d", expected)) $fatal;
    if (!$value$plusargs("limit=%d", limit)) $fatal;
  end

  wire bursts_valid, bursts_ready, results_valid, results_ready;
  wire [{input_width}-1:0] bursts_payload;
  wire [{result_width}-1:0] results_payload;
{declarations}
  stream_source #(.WIDTH({input_width}), .BEATS({beats})) source (
    .clk(clk), .rst(rst), .cycle(cycle), .inferences_done(inferences_done),
    .valid(bursts_valid), .payload(bursts_payload), .ready(bursts_ready));
  stream_sink sink (.clk(clk), .ready(results_ready));
  recorder #(.WIDTH({result_width}), .NAME("results")) results_recorder (
    .clk(clk), .rst(rst), .cycle(cycle), .stop(stop),
    .transferred(results_valid & results_ready), .payload(results_payload));
{recorders}
  network network (
    .clk(clk), .rst(rst),
    .bursts__valid(bursts_valid), .bursts__ready(bursts_ready), .bursts__payload(bursts_payload),
    .results__valid(results_valid), .results__ready(results_ready), .results__payload(results_payload){connections});

  wire class_leaves = results_valid & results_ready & results_payload[{result_width}-1];
  always @(posedge clk) if (!rst) begin
    cycle <= cycle + 1;
    if (class_leaves) inferences_done <= inferences_done + 1;
    stop <= inferences_done >= expected || cycle >= limit;
    if (stop && !done) begin
      done <= 1;
      timed_out <= inferences_done < expected;
    end
  end
endmodule
`default_nettype wire
"""


def testbench_verilog(config: TopConfig) -> str:
    """The testbench of :func:`gen.rtl.network_verilog` with taps; its logs are named by plusargs."""
    members = network_ports(config, taps=True)
    declarations, recorders, connections = [], [], []
    for layer in config.layers:
        if not isinstance(layer.target, NeuronConfig):
            continue
        bursts, membranes = f"tap_{layer.name}", f"membranes_{layer.name}"
        burst_width = layer.target.group * layer.target.burst_bits
        membrane_width = layer.target.cores * layer.target.membrane_bits
        declarations += [
            f"  wire {bursts}_transferred, {membranes}_written, {membranes}_last;",
            f"  wire [{burst_width}-1:0] {bursts};",
            f"  wire [{membrane_width}-1:0] {membranes};",
        ]
        recorders += [
            recorder(bursts, burst_width, f"{bursts}_transferred"),
            recorder(membranes, membrane_width, f"{membranes}_written & {membranes}_last"),
        ]
        connections += [
            f".{bursts}__transferred({bursts}_transferred), .{bursts}__bursts({bursts})",
            f".{membranes}__written({membranes}_written), .{membranes}__last_step({membranes}_last)",
            f".{membranes}__membranes({membranes})",
        ]
    return TEMPLATE.format(
        input_width=payload_width(members, "bursts"),
        result_width=payload_width(members, "results"),
        beats=config.input.beats * config.input.steps,
        declarations="\n".join(declarations),
        recorders="\n".join(recorders),
        connections="".join(f",\n    {connection}" for connection in connections),
    )


def payload_width(members: dict[str, Member], stream: str) -> int:
    """Bits of the payload of the stream port called ``stream``."""
    return Shape.cast(members[stream].signature.members["payload"].shape).width


def recorder(name: str, width: int, transferred: str) -> str:
    """An instance that logs ``name`` where ``transferred`` holds."""
    return (
        f'  recorder #(.WIDTH({width}), .NAME("{name}")) {name}_recorder (\n'
        f"    .clk(clk), .rst(rst), .cycle(cycle), .stop(stop),\n"
        f"    .transferred({transferred}), .payload({name}));"
    )
