"""Constant matrices as tables of a few input bits each, whose outputs trees of adders sum up (distributed arithmetic).

A lane's sum is ``sum over input bits of weight * bit``. The bits are dealt out to tables of as many inputs as a LUT of
the chip has; each bit of a table's output is then one LUT, whatever the weights are. Where the weights depend on a
phase, the number of the phase takes some of the inputs; then tables of more inputs, each bit two or four LUTs, may need
less logic, since there are fewer of them to add.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hw.features import Features
from qblif.network.checks import IntArray


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of a lane.

    Attributes:
        inputs: the numbers of its input bits; the first is the lowest bit of an address. The phase is above them.
        low, high: the range of its output.
        truths: the truth table of every bit of its output, the lowest first.
    """

    inputs: tuple[int, ...]
    low: int
    high: int
    truths: tuple[int, ...]

    def output(self, address: int) -> int:
        """The output that the truth tables give for an address."""
        word = sum((truth >> address & 1) << bit for bit, truth in enumerate(self.truths))
        return word - (1 << len(self.truths)) if self.low < 0 and word >> (len(self.truths) - 1) else word


@dataclass(frozen=True, kw_only=True)
class Level:
    """The sums of one level of all lanes' trees, ``low`` and ``high``: (lanes, sums); both 0 where there is no sum."""

    low: IntArray
    high: IntArray

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which sums there are."""
        return (self.low != 0) | (self.high != 0)

    @property
    def bits(self) -> IntArray:
        """The width of every sum: unsigned if it is never negative."""
        magnitude = np.maximum(self.high, -self.low - 1)
        widths: IntArray = np.ceil(np.log2(magnitude + 1.0)).astype(np.int64) + (self.low < 0)
        return np.where(self.present, widths, 0)

    def above(self) -> "Level":
        """The next level: the sums of neighbours; the last of an odd number goes on alone."""
        odd = self.low.shape[1] % 2
        low, high = (np.pad(values, ((0, 0), (0, odd))) for values in (self.low, self.high))
        return Level(low=low[:, ::2] + low[:, 1::2], high=high[:, ::2] + high[:, 1::2])


class ConstantMatrix:
    """Sums of constant weights over slices of input bits.

    Args:
        weights: int64 (phases, lanes, input bits).
        table_inputs: inputs of a table.
    """

    def __init__(self, weights: IntArray, table_inputs: int) -> None:
        self.weights, self.table_inputs = weights, table_inputs
        self.phases, self.lanes, self.inputs = weights.shape

    @property
    def phase_bits(self) -> int:
        """Inputs of a table that select the phase."""
        return (self.phases - 1).bit_length()

    @property
    def bits_per_table(self) -> int:
        """Inputs of a table that are input bits."""
        return max(1, self.table_inputs - self.phase_bits)

    @cached_property
    def _dealt(self) -> tuple[IntArray, IntArray]:
        """Which input bits each table reads, (lanes, tables, bits per table), those without a weight last, and their
        weights, (phases, lanes, tables, bits per table)."""
        used = (self.weights != 0).any(axis=0)
        order = np.argsort(~used, axis=1, kind="stable")[:, : max(1, int(used.sum(axis=1).max()))]
        sorted_weights = np.take_along_axis(self.weights, order[np.newaxis], axis=2)
        missing = -order.shape[1] % self.bits_per_table
        order = np.pad(order, ((0, 0), (0, missing)))
        sorted_weights = np.pad(sorted_weights, ((0, 0), (0, 0), (0, missing)))
        shape = (self.lanes, -1, self.bits_per_table)
        return order.reshape(shape), sorted_weights.reshape(self.phases, *shape)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The outputs of the tables, then every level of the trees; the last one has one sum per lane."""
        weights = self._dealt[1]
        levels = [
            Level(
                low=np.minimum(weights, 0).sum(axis=3).min(axis=0),
                high=np.maximum(weights, 0).sum(axis=3).max(axis=0),
            )
        ]
        while levels[-1].low.shape[1] > 1:
            levels.append(levels[-1].above())
        return tuple(levels)

    def tables(self, lane: int) -> list[Table | None]:
        """The tables of a lane; None where all weights are 0."""
        order, weights = self._dealt
        bits = order.shape[2]
        patterns = np.arange(1 << bits)[:, np.newaxis] >> np.arange(bits) & 1
        found: list[Table | None] = []
        level = self.levels[0]
        for number, inputs in enumerate(order[lane].tolist()):
            if not level.present[lane, number]:
                found.append(None)
                continue
            outputs = (weights[:, lane, number] @ patterns.T).reshape(-1)
            truths = tuple(
                int.from_bytes(np.packbits(outputs >> bit & 1, bitorder="little").tobytes(), "little")
                for bit in range(int(level.bits[lane, number]))
            )
            found.append(
                Table(
                    inputs=tuple(inputs),
                    low=int(level.low[lane, number]),
                    high=int(level.high[lane, number]),
                    truths=truths,
                )
            )
        return found

    def read_back(self) -> IntArray:
        """The weights, (phases, lanes, input bits), that the truth tables give for one set bit after the other."""
        found = np.zeros_like(self.weights)
        for lane in range(self.lanes):
            for table in self.tables(lane):
                for place, bit in enumerate(table.inputs if table else ()):
                    assert table is not None
                    for phase in range(self.phases):
                        found[phase, lane, bit] += table.output(phase << len(table.inputs) | 1 << place)
        return found

    def features(self, lut_inputs: int) -> Features:
        """Its logic: LUTs of ``lut_inputs`` inputs for tables, bits of adders, bits of registers that only delay."""
        tables, *trees = self.levels
        adders = delays = 0
        below = tables
        for level in trees:
            present = np.pad(below.present, ((0, 0), (0, below.low.shape[1] % 2)))
            both = present[:, ::2] & present[:, 1::2]
            adders += int(level.bits[both].sum())
            delays += int(level.bits[~both].sum())
            below = level
        luts = self._luts_of_tables(lut_inputs)
        return Features(table=luts, table_register=int(tables.bits.sum()), tree=adders, tree_register=delays)

    def _luts_of_tables(self, lut_inputs: int) -> int:
        """LUTs of all tables: a bit of an output depends on the inputs whose weights are no multiples of twice its
        value, and takes several LUTs if these are more than one LUT has."""
        bits, weights = self.levels[0].bits, self._dealt[1]
        if self.phase_bits + self.bits_per_table <= lut_inputs:
            return int(bits.sum())
        total = 0
        for bit in range(int(bits.max())):
            read = (weights % (2 << bit) != 0).any(axis=0).sum(axis=2) + self.phase_bits
            total += int((1 << np.maximum(0, read - lut_inputs))[bits > bit].sum())
        return total
