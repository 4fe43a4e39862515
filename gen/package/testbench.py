"""A testbench that a user can run with any simulator: it checks the core against the reference inputs."""

from gen.emit.core import MODULE
from gen.emit.packets import beat_bytes, reference_packets
from gen.package.contents import Contents

MOST_PACKETS = 8

TEMPLATE = """\
// Self-checking testbench of {module}: offers a packet that is too long and {packets} samples, with random pauses, and
// compares every word of the results with results.hex, which holds what training printed.
//   with Icarus:    iverilog -g2005 -o sim tb/{module}_tb.v rtl/{module}.v && (cd tb && vvp ../sim)
//   with Verilator: verilator --binary --timing -Wno-fatal --top-module {module}_tb tb/{module}_tb.v rtl/{module}.v
//                   (cd tb && ../obj_dir/V{module}_tb)
`timescale 1ns / 1ps
`default_nettype none
module {module}_tb;
  localparam PACKETS = {packets}, BEATS = {beats}, WORDS = {words}, LIMIT = {limit};
  reg aclk = 0, aresetn = 0;
  always #5 aclk = !aclk;

  reg [{sample_high}:0] samples [0:PACKETS*BEATS-1];
  reg [{result_high}:0] results [0:PACKETS*WORDS-1];
  initial begin
    $readmemh("samples.hex", samples);
    $readmemh("results.hex", results);
    repeat (5) @(posedge aclk);
    aresetn <= 1;
  end

  reg [{sample_high}:0] s_axis_tdata = 0;
  reg s_axis_tvalid = 0, s_axis_tlast = 0, m_axis_tready = 0;
  wire s_axis_tready, m_axis_tvalid, m_axis_tlast, m_axis_tuser;
  wire [{result_high}:0] m_axis_tdata;
{declarations}
  {module} core (
    .aclk(aclk), .aresetn(aresetn),
    .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast), .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready), .m_axis_tlast(m_axis_tlast), .m_axis_tuser(m_axis_tuser){connections});

  // Packet 0 is offered with one beat too many, then again as it is, then all others.
  reg [31:0] random = 32'h2545f491, sent = 0, beat = 0, received = 0, word = 0, errors = 0, cycles = 0;
  wire [31:0] random_1 = random ^ (random << 13);
  wire [31:0] random_2 = random_1 ^ (random_1 >> 17);
  wire [31:0] length = sent == 0 ? BEATS + 1 : BEATS;
  wire [31:0] source = sent == 0 ? 0 : sent - 1;
  wire [31:0] wanted = received == 0 ? 0 : received - 1;
  wire last_word = word == WORDS - 1;
  wire surplus = received == 0;
  wire [{result_high}:0] expected = results[wanted*WORDS+word] | (surplus && last_word ? 1 << 31 : 0);

  always @(posedge aclk) begin
    random <= random_2 ^ (random_2 << 5);
    cycles <= cycles + 1;
    m_axis_tready <= random[0] | random[3];
    if (aresetn && (!s_axis_tvalid || s_axis_tready)) begin
      s_axis_tvalid <= 0;
      if (sent < PACKETS + 1 && (random[8] | random[11])) begin
        s_axis_tvalid <= 1;
        s_axis_tdata <= samples[source*BEATS+(beat == BEATS ? 0 : beat)];
        s_axis_tlast <= beat == length - 1;
        beat <= beat == length - 1 ? 0 : beat + 1;
        if (beat == length - 1) sent <= sent + 1;
      end
    end
    if (m_axis_tvalid && m_axis_tready) begin
      word <= last_word ? 0 : word + 1;
      if (last_word) received <= received + 1;
      if (m_axis_tdata !== expected || m_axis_tlast !== last_word || m_axis_tuser !== (surplus && last_word)) begin
        errors <= errors + 1;
        $display("FAIL: result %0d, word %0d is %h, not %h", wanted, word, m_axis_tdata, expected);
      end
    end
    if (received == PACKETS + 1{ready}) begin
      if (errors != 0) begin
        $display("FAIL: %0d errors", errors);
        $fatal;
      end
      $display("PASS: %0d results are those of training", PACKETS);
      $finish;
    end
    if (cycles > LIMIT) begin
      $display("FAIL: only %0d of %0d results after %0d cycles", received, PACKETS + 1, cycles);
      $fatal;
    end
  end
{checks}endmodule
`default_nettype wire
"""

AXI = (
    """\
  reg [{address_high}:0] s_axi_araddr = 0;
  reg s_axi_arvalid = 0, s_axi_rready = 0, registers_read = 0;
  wire s_axi_arready, s_axi_rvalid, s_axi_awready, s_axi_wready, s_axi_bvalid, irq;
  wire [31:0] s_axi_rdata;
  wire [1:0] s_axi_rresp, s_axi_bresp;
""",
    """,
    .s_axi_awaddr({address_bits}'d0), .s_axi_awprot(3'd0), .s_axi_awvalid(1'b0), .s_axi_awready(s_axi_awready),
    .s_axi_wdata(32'd0), .s_axi_wstrb(4'd0), .s_axi_wvalid(1'b0), .s_axi_wready(s_axi_wready),
    .s_axi_bresp(s_axi_bresp), .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(1'b1),
    .s_axi_araddr(s_axi_araddr), .s_axi_arprot(3'd0), .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
    .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
    .irq(irq)""",
    """\

  task read(input [{address_high}:0] address, input [31:0] value);
    begin
      @(posedge aclk) s_axi_araddr <= address;
      s_axi_arvalid <= 1;
      s_axi_rready <= 1;
      @(posedge aclk);
      while (!s_axi_arready) @(posedge aclk);
      s_axi_arvalid <= 0;
      while (!s_axi_rvalid) @(posedge aclk);
      s_axi_rready <= 0;
""",
    "s_axi_rdata !== value || s_axi_rresp !== 0",
    "s_axi_rdata",
)
WISHBONE = (
    """\
  reg [{address_high}:0] s_wb_adr = 0;
  reg s_wb_stb = 0, registers_read = 0;
  wire s_wb_ack, s_wb_err, irq;
  wire [31:0] s_wb_dat_r;
""",
    """,
    .s_wb_cyc(s_wb_stb), .s_wb_stb(s_wb_stb), .s_wb_we(1'b0), .s_wb_adr(s_wb_adr[{address_high}:2]),
    .s_wb_sel(4'b1111), .s_wb_dat_w(32'd0), .s_wb_dat_r(s_wb_dat_r), .s_wb_ack(s_wb_ack), .s_wb_err(s_wb_err),
    .irq(irq)""",
    """\

  task read(input [{address_high}:0] address, input [31:0] value);
    begin
      @(posedge aclk) s_wb_adr <= address;
      s_wb_stb <= 1;
      @(posedge aclk);
      while (!s_wb_ack && !s_wb_err) @(posedge aclk);
      s_wb_stb <= 0;
""",
    "s_wb_dat_r !== value || s_wb_ack !== 1",
    "s_wb_dat_r",
)
BUSES = {"axi": AXI, "wishbone": WISHBONE}
COMPARE = """\
      if ({wrong}) begin
        $display("FAIL: register %h is %h, not %h", address, {read}, value);
        $fatal;
      end
    end
  endtask
  initial begin
    wait (aresetn);
{reads}
    registers_read = 1;
  end
"""


def testbench_files(contents: Contents) -> dict[str, str]:
    """The testbench, its samples and its results, by path."""
    config, top = contents.config, contents.config.top
    beats, results = reference_packets(contents.design, MOST_PACKETS)
    sample_bits = next(port.bits for port in contents.ports if port.name == "s_axis_tdata")
    octets = beat_bytes(beats, top.input.burst_bits)[:, ::-1]
    bus = {"declarations": "", "connections": "", "checks": "", "ready": ""}
    if config.control is not None and config.registers is not None:
        declarations, connections, task, wrong, read = BUSES[config.control]
        bits = config.registers.address_bits + 2
        places = {"address_bits": bits, "address_high": bits - 1}
        constants = [
            (register.offset + 4 * word, value)
            for register in config.registers.registers
            for word, value in enumerate(register.values)
        ]
        reads = "\n".join(f"    read({bits}'h{address:x}, 32'h{value:08x});" for address, value in constants)
        bus = {
            "declarations": declarations.format(**places),
            "connections": connections.format(**places),
            "checks": task.format(**places) + COMPARE.format(wrong=wrong, read=read, reads=reads),
            "ready": " && registers_read",
        }
    most = sum(stage.most_cycles() for stage in top.stages) * top.frames
    text = TEMPLATE.format(
        module=MODULE,
        packets=len(beats),
        beats=top.beats_per_result,
        words=len(results[0]),
        sample_high=sample_bits - 1,
        result_high=8 * config.result_bytes - 1,
        limit=min(2**31 - 1, 10_000 + (len(beats) + 1) * 4 * (most + top.beats_per_result)),
        **bus,
    )
    return {
        f"tb/{MODULE}_tb.v": text,
        "tb/samples.hex": "".join(f"{octet.tobytes().hex()}\n" for octet in octets),
        "tb/results.hex": "".join(f"{word:0{2 * config.result_bytes}x}\n" for row in results for word in row),
    }
