"""Matrix: multiplies slices of input bits by constant weights, and adds up the slices of every sum."""

from itertools import pairwise, zip_longest
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.engines.window.config import ConstantConfig
from hw.engines.window.tables import Level
from hw.layouts import bursts_layout, sums_layout
from hw.logic import lookup, tree


def slices_layout(config: ConstantConfig) -> data.StructLayout:
    """Payload of a stream of slices.

    ``bits``: the input bits; ``phase``: which weights count; ``first``, ``last``: the first or last slice of a sum;
    ``shift``: the slices before it count ``2**planes`` times as much.
    """
    matrix = config.matrix
    return data.StructLayout(
        {"bits": matrix.inputs, "phase": max(1, matrix.phase_bits), "first": 1, "shift": 1, "last": 1}
    )


def slicer_ports(config: ConstantConfig) -> dict[str, wiring.Member]:
    """Ports of what makes slices of a burst stream: ``arriving`` and ``slices``."""
    source = config.arriving
    return {
        "arriving": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
        "slices": Out(stream.Signature(slices_layout(config))),
    }


class Matrix(wiring.Component):
    """``sum over slices of weights[phase] * bits`` of P lanes, with the weights as constants in logic.

    ::

        slice --> register | tables | tree of adders | accumulator --> sums
        cycle                 1         2        2 + levels

    Throughput: one slice per cycle. Latency: ``latency`` cycles from the last slice of a sum to the sum. While the sums
    are not taken the whole pipeline stalls. No sum overflows: ``accumulator_bits`` bounds every partial sum.

    Ports:
        slices: :func:`slices_layout`.
        sums: ``sums_layout(lanes, accumulator_bits)``.
    """

    def __init__(self, config: ConstantConfig) -> None:
        self.config = config
        super().__init__(
            {
                "slices": In(stream.Signature(slices_layout(config))),
                "sums": Out(stream.Signature(sums_layout(config.lanes, config.accumulator_bits))),
            }
        )

    @property
    def latency(self) -> int:
        return matrix_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, matrix = self.config, self.config.matrix
        moving = Signal()
        m.d.comb += [moving.eq(~self.sums.valid | self.sums.ready), self.slices.ready.eq(moving)]

        # What travels with a slice; the last entry belongs to the root of the trees.
        flags = data.StructLayout({"valid": 1, "first": 1, "shift": 1, "last": 1})
        travelling = [Signal(flags, name=f"slice_{stage}") for stage in range(2 + len(matrix.levels) - 1)]
        bits = Signal(matrix.inputs, reset_less=True)
        phase = Signal.like(self.slices.payload.phase, name="phase", reset_less=True)
        with m.If(moving):
            m.d.sync += [
                bits.eq(self.slices.payload.bits),
                phase.eq(self.slices.payload.phase),
                travelling[0].valid.eq(self.slices.valid),
                travelling[0].first.eq(self.slices.payload.first),
                travelling[0].shift.eq(self.slices.payload.shift),
                travelling[0].last.eq(self.slices.payload.last),
            ]
            for before, after in pairwise(travelling):
                m.d.sync += after.eq(before)
        address = [phase[index] for index in range(matrix.phase_bits)]
        roots = [self._lane(m, lane, bits, address, moving) for lane in range(config.lanes)]

        root = travelling[-1]
        if config.slices == 1:
            m.d.comb += self.sums.valid.eq(root.valid)
            m.d.comb += [self.sums.payload[lane].eq(value) for lane, value in enumerate(roots)]
            return m
        with m.If(moving):
            m.d.sync += self.sums.valid.eq(root.valid & root.last)
        for lane, value in enumerate(roots):
            total = Signal(signed(config.accumulator_bits), name=f"accumulator_{lane}", reset_less=True)
            before = Mux(root.shift, total << config.planes, total) if config.shifts else total
            m.d.comb += self.sums.payload[lane].eq(total)
            with m.If(moving & root.valid):
                m.d.sync += total.eq(Mux(root.first, 0, before) + value)
        return m

    def _lane(self, m: Module, lane: int, bits: Signal, address: list[Value], moving: Signal) -> Value:
        """The root of a lane's tree, ``1 + levels`` cycles after the register of the slice."""
        levels = self.config.matrix.levels
        following: list[Any] = []
        row: list[Value | None] = []
        for number, table in enumerate(self.config.matrix.tables(lane)):
            if table is None:
                row.append(None)
                continue
            inputs = [*(bits[index] for index in table.inputs), *address]
            output = sum_signal(levels[0], lane, number, f"table_{lane}_{number}")
            following.append(output.eq(Cat(lookup(truth, inputs) for truth in table.truths)))
            row.append(output)
        for depth, level in enumerate(levels[1:], 1):
            above: list[Value | None] = []
            for number, pair in enumerate(zip_longest(row[::2], row[1::2])):
                terms = [term for term in pair if term is not None]
                if not terms:
                    above.append(None)
                    continue
                total = sum_signal(level, lane, number, f"sum_{lane}_{depth}_{number}")
                following.append(total.eq(tree(terms)))
                above.append(total)
            row = above
        with m.If(moving):
            m.d.sync += following
        return Const(0, 1) if row[0] is None else row[0]


def sum_signal(level: Level, lane: int, number: int, name: str) -> Signal:
    """A register for one sum of a level."""
    low, high = int(level.low[lane, number]), int(level.high[lane, number])
    return Signal(range(low, high + 1), name=name, reset_less=True)


def matrix_latency(config: ConstantConfig) -> int:
    """Cycles from the last slice of a sum to the sum."""
    return 1 + len(config.matrix.levels) + (config.slices > 1)
