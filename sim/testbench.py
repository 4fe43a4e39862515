"""Writes the Verilog testbench of a network: its top between the stream ends of harness.v."""

from amaranth.hdl import Shape
from amaranth.lib.wiring import Member

from hw.configuration import TopConfig
from hw.top import flows, network_ports

TEMPLATE = """\
`default_nettype none
module testbench (
  input wire clk /*verilator public_flat_rw*/,
  input wire rst /*verilator public_flat_rw*/,
  output reg done /*verilator public_flat_rd*/,
  output reg timed_out /*verilator public_flat_rd*/
);
  reg [63:0] cycle, limit;
  reg [31:0] expected, inferences_done;
  reg stop;
  initial begin
    cycle = 0; inferences_done = 0; stop = 0; done = 0; timed_out = 0;
    if (!$value$plusargs("inferences=%d", expected)) $fatal;
    if (!$value$plusargs("limit=%d", limit)) $fatal;
  end

  // Nothing is offered or counted before the network has restarted.
  wire restarting;
  wire waiting = rst | restarting;
  wire bursts_valid, bursts_ready, results_valid, results_ready;
  wire [{input_width}-1:0] bursts_payload;
  wire [{result_width}-1:0] results_payload;
  wire [{count}-1:0] complete;
{declarations}
  stream_source #(.WIDTH({input_width}), .BEATS({beats})) source (
    .clk(clk), .rst(waiting), .cycle(cycle), .inferences_done(inferences_done),
    .valid(bursts_valid), .payload(bursts_payload), .ready(bursts_ready));
  stream_sink sink (.clk(clk), .ready(results_ready));
{recorders}
  network network (
    .clk(clk), .rst(rst), .restarting(restarting), .sources_reset(),
    .bursts__valid(bursts_valid), .bursts__ready(bursts_ready), .bursts__payload(bursts_payload),
    .results__valid(results_valid), .results__ready(results_ready), .results__payload(results_payload){connections});

  wire class_leaves = results_valid & results_ready & results_payload[{result_width}-1];
  always @(posedge clk) if (!waiting) begin
    cycle <= cycle + 1;
    if (class_leaves) inferences_done <= inferences_done + 1;
    stop <= &complete || cycle >= limit;
    if (stop && !done) begin
      done <= 1;
      timed_out <= !(&complete);
    end
  end
endmodule
`default_nettype wire
"""
COUNTER = """\
  cycle_counter #(.NAME("{name}")) {name}_counter (
    .clk(clk), .rst(waiting), .cycle(cycle), .stop(stop), .working({name}));"""
FLOW = """\
  flow_counter #(.NAME("{name}")) {name}_counter (
    .clk(clk), .rst(waiting), .cycle(cycle), .stop(stop), .valid({name}_valid), .ready({name}_ready));"""


def testbench_verilog(config: TopConfig, *, taps: bool) -> str:
    """The testbench of :func:`gen.emit.rtl.network_verilog`, with or without taps; plusargs name its logs."""
    members = network_ports(config, taps=taps)
    declarations: list[str] = []
    connections: list[str] = []
    counters: list[str] = []
    recorders = [
        recorder(
            "results",
            payload_width(members, "results"),
            "results_valid & results_ready",
            "results_payload",
            config.readout.beats,
            0,
        )
    ]
    for stage in config.stages if taps else ():
        if stage.output is not None:
            name, width = f"tap_{stage.name}", stage.output.group * stage.output.burst_bits
            declarations += [f"  wire {name}_transferred;", f"  wire [{width}-1:0] {name};"]
            beats = stage.output.beats_per_inference * config.frames
            recorders.append(recorder(name, width, f"{name}_transferred", name, beats, len(recorders)))
            connections.append(f".{name}__transferred({name}_transferred), .{name}__bursts({name})")
        for worker in stage.workers:
            name = f"working_{worker}"
            declarations.append(f"  wire {name};")
            counters.append(COUNTER.format(name=name))
            connections.append(f".{name}({name})")
    for layer, target, stream in config.populations if taps else ():
        name, width = f"membranes_{layer}", target.membranes.width
        declarations += [f"  wire {name}_written, {name}_last;", f"  wire [{width}-1:0] {name};"]
        beats = stream.height * stream.width * target.folds * target.slots * config.frames
        recorders.append(recorder(name, width, f"{name}_written & {name}_last", name, beats, len(recorders)))
        connections.append(
            f".{name}__written({name}_written), .{name}__last_step({name}_last), .{name}__membranes({name})"
        )
    for flow in flows(config) if taps else ():
        name = f"flow_{flow}"
        declarations.append(f"  wire {name}_valid, {name}_ready;")
        counters.append(FLOW.format(name=name))
        connections.append(f".{name}__valid({name}_valid), .{name}__ready({name}_ready)")
    return TEMPLATE.format(
        input_width=payload_width(members, "bursts"),
        result_width=payload_width(members, "results"),
        beats=config.beats_per_result,
        count=len(recorders),
        declarations="\n".join(declarations),
        recorders="\n".join([*recorders, *counters]),
        connections="".join(f",\n    {connection}" for connection in connections),
    )


def payload_width(members: dict[str, Member], stream: str) -> int:
    """Bits of the payload of the stream port called ``stream``."""
    return Shape.cast(members[stream].signature.members["payload"].shape).width


def recorder(name: str, width: int, transferred: str, payload: str, beats: int, number: int) -> str:
    """An instance that logs ``payload`` when ``transferred`` is 1, ``beats`` times per inference."""
    return (
        f'  recorder #(.WIDTH({width}), .NAME("{name}"), .BEATS({beats})) {name}_recorder (\n'
        f"    .clk(clk), .rst(waiting), .cycle(cycle), .inferences(expected), .stop(stop),\n"
        f"    .transferred({transferred}), .payload({payload}), .complete(complete[{number}]));"
    )
