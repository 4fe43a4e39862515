"""LUTs of netlists, and how constant tables become LUTs directly."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LutCell:
    """The cell of a netlist that is a LUT; ``contents``: its parameter; ``inputs``: its pins, the lowest first."""

    name: str
    contents: str
    inputs: tuple[str, ...]
    output: str

    @property
    def mapping(self) -> str:
        """Yosys commands that make one LUT of every constant from which a few bits select one.

        Without them yosys would turn each into a tree of multiplexers first, and spend most of its time on them.
        Verilog's shift is as wide as the constant, so it is narrowed to the one bit that is used before it is mapped.
        """
        pins = ", ".join(f".{pin}(address[{index}])" for index, pin in enumerate(self.inputs))
        most = len(self.inputs)
        return f"""\
proc
wreduce t:$shr
design -save design
design -reset
read_verilog <<EOT
(* techmap_celltype = "$shift $shr $shiftx" *)
module constant_table (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTVAL_A_ = 0;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = Y_WIDTH != 1 || B_WIDTH > {most} || A_SIGNED || B_SIGNED || !(&_TECHMAP_CONSTMSK_A_);
  wire [{most - 1}:0] address = B;
  localparam [{(1 << most) - 1}:0] WORD = _TECHMAP_CONSTVAL_A_;
  {self.name} #(.{self.contents}(WORD)) _TECHMAP_REPLACE_ ({pins}, .{self.output}(Y));
endmodule
EOT
design -save constant_tables
design -load design
techmap -map %constant_tables"""
