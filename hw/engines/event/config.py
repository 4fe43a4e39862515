"""The configuration of the event engine's parts: its windows, weights, lanes and banks."""

from dataclasses import dataclass
from functools import cached_property, partial

from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import bits_for, ceil_log2

from hw.engines.event.weights import pack_weights, stream_order
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.windows.config import WindowConfig
from qblif.network.checks import IntArray
from qblif.network.window import Window
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionConfig:
    """The configuration of the parts of a :class:`hw.engines.event.engine.ProjectionEngine`.

    Attributes:
        source: name of the node whose bursts come in.
        window: the windows it reads.
        lanes, folds, cores, banks: P, passes, M and E as in :class:`hw.engines.event.engine.EventPlan`.
        merged_steps: timesteps that are accumulated into one sum (readout: all; populations: 1).
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weight_bits: B.
        weights: int64, in the order of the network, see :func:`hw.engines.event.weights.stream_order`.
        weight_memory: memory style of the weights.
        lut_inputs: inputs of the chip's LUTs, if every bit of a weight is a constant in one LUT; 0: a memory.
        accumulator_bits: proved width of every partial sum.
        queued: a queue per bank, see :class:`hw.engines.event.queued.QueuedScanner`.
    """

    source: str
    window: WindowConfig
    lanes: int
    folds: int
    cores: int
    banks: int
    merged_steps: int
    repeats: int
    weight_bits: int
    weights: IntArray
    weight_memory: MemoryStyle
    lut_inputs: int = 0
    accumulator_bits: int
    queued: bool = False

    @property
    def share(self) -> int:
        """Channels of a beat that one bank scans."""
        return self.window.source.group // self.banks

    @property
    def rows(self) -> int:
        """Weight rows of one bank."""
        return self.folds * self.fan_in // self.banks

    @property
    def fan_in(self) -> int:
        """Weights of one neuron, those of the source's padding channels included."""
        return self.window.words * self.window.source.group

    @property
    def ordered_weights(self) -> IntArray:
        """The weights in stream order: int64 (channels, fan-in), copied on demand since a plan does not need them."""
        return stream_order(self.weights, self.window.source)

    @cached_property
    def weight_words(self) -> tuple[tuple[int, ...], ...]:
        """The weight memory of each bank: the rows of every fold, dealt out to the banks in turn."""
        words = pack_weights(
            self.ordered_weights,
            lanes=self.lanes,
            folds=self.folds,
            rows=self.fan_in,
            bits=self.weight_bits,
        )
        return tuple(words[bank :: self.banks] for bank in range(self.banks))

    @property
    def row_layout(self) -> data.ArrayLayout:
        """One row of weights, one for each lane."""
        return data.ArrayLayout(signed(self.weight_bits), self.lanes)

    @property
    def weight_memories(self) -> tuple[MemoryDeclaration, ...]:
        """The weights of each bank; none if they are constants in LUTs."""
        return () if self.lut_inputs else tuple(map(self.bank_memory, range(self.banks)))

    def bank_truths(self, bank: int) -> list[int]:
        """The truth table of every bit of a bank's weights, addressed by the row."""
        width = self.lanes * self.weight_bits
        words = self.weight_words[bank]
        return [sum((word >> bit & 1) << row for row, word in enumerate(words)) for bit in range(width)]

    def bank_memory(self, bank: int) -> MemoryDeclaration:
        """The weights of one bank; those of all banks have the same shape."""
        return MemoryDeclaration(
            name=f"weights_{bank}",
            depth=self.rows,
            layout=self.row_layout,
            style=self.weight_memory,
            words=partial(self._bank_words, bank),
        )

    def _bank_words(self, bank: int) -> tuple[int, ...]:
        return self.weight_words[bank]

    @property
    def queue_layout(self) -> data.StructLayout:
        """What waits for a bank: its bursts of a beat, the beat's number among those of all folds, whether at most one
        plane is set, and whether the beat closes an accumulation."""
        return data.StructLayout(
            {
                "counts": data.ArrayLayout(self.window.source.burst_bits, self.share),
                "word": bits_for(self.folds * self.window.words - 1),
                "single": 1,
                "closes": 1,
            }
        )

    @property
    def bank_queue(self) -> MemoryDeclaration:
        """The queue of each bank, with room for the beats of two accumulations."""
        return MemoryDeclaration(
            name="queue",
            depth=queue_places(self.window.window, self.window.source, self.merged_steps),
            layout=self.queue_layout,
            style="distributed",
        )


def queue_places(window: Window, source: BurstStream, merged_steps: int = 1) -> int:
    """Beats for which a queue has room: those of two accumulations, rounded up to a power of two."""
    return 1 << ceil_log2(2 * window.area * source.folds * source.beats * merged_steps)
