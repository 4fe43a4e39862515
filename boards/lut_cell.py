"""LUTs of netlists, and how constant tables become LUTs directly."""

from dataclasses import dataclass

from hw.luts import LutShape


@dataclass(frozen=True, kw_only=True)
class LutMultiplexer:
    """The cell of a netlist that selects between two neighbouring LUTs, or between two such pairs, without a LUT of its
    own; ``low``, ``high``: its data pins for 0 and 1."""

    name: str
    low: str
    high: str
    select: str
    output: str


@dataclass(frozen=True, kw_only=True)
class LutCell:
    """The cell of a netlist that is a LUT.

    Attributes:
        contents: its parameter.
        inputs: its pins, the lowest first.
        output: its pin.
        multiplexers: what joins LUTs to tables of one more input each.
    """

    name: str
    contents: str
    inputs: tuple[str, ...]
    output: str
    multiplexers: tuple[LutMultiplexer, ...] = ()

    @property
    def shape(self) -> LutShape:
        """What tables it can be."""
        return LutShape(inputs=len(self.inputs), most=len(self.inputs) + len(self.multiplexers))

    @property
    def mapping(self) -> str:
        """Yosys commands that make LUTs of every constant from which a few bits select one.

        Without them yosys would turn each into a tree of multiplexers first, and spend most of its time on them.
        Verilog's shift is as wide as the constant, so it is narrowed to the one bit that is used before it is mapped.
        """
        least, most = self.shape.inputs, self.shape.most
        joined = "".join(
            f"    if (B_WIDTH == {size}) begin\n{self._cells(size)}\n    end else\n" for size in range(most, least, -1)
        )
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
  generate
{joined}    begin
{self._cells(least)}
    end
  endgenerate
endmodule
EOT
design -save constant_tables
design -load design
techmap -map %constant_tables"""

    def _cells(self, size: int, first: int = 0, output: str = "Y") -> str:
        """Verilog of the cells that select one of ``2**size`` bits of the constant, from bit ``first`` on."""
        if size == len(self.inputs):
            pins = ", ".join(f".{pin}(address[{index}])" for index, pin in enumerate(self.inputs))
            word = f"WORD[{first + (1 << size) - 1}:{first}]"
            return f"      {self.name} #(.{self.contents}({word})) lut_{first} ({pins}, .{self.output}({output}));"
        multiplexer = self.multiplexers[size - len(self.inputs) - 1]
        low, high = f"low_{size}_{first}", f"high_{size}_{first}"
        pins = (
            f".{multiplexer.low}({low}), .{multiplexer.high}({high}), .{multiplexer.select}(address[{size - 1}]), "
            f".{multiplexer.output}({output})"
        )
        return "\n".join(
            (
                f"      wire {low}, {high};",
                self._cells(size - 1, first, low),
                self._cells(size - 1, first + (1 << size - 1), high),
                f"      {multiplexer.name} select_{size}_{first} ({pins});",
            )
        )
