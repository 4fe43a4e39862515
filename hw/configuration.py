"""What each hardware component is built from; :mod:`hw.configure` derives it once from network and plan."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from hw.plan import MemoryStyle
from hw.weights import pack_weights
from qblif.network.checks import IntArray
from qblif.network.nodes import Leak
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """The windows that a projection looks through; a dense one has a single window as large as its source.

    Attributes:
        source: the stream that comes in.
        kernel: height and width of a window.
        stride, padding: as in :class:`qblif.network.projections.Conv2d`.
        folds: how often every window is read.
        rows_kept: source rows that the line buffer holds; 0 where nothing is kept and the beats pass as they come.
        memory: what the line buffer is kept in.
    """

    source: BurstStream
    kernel: tuple[int, int]
    stride: int
    padding: int
    folds: int
    rows_kept: int
    memory: MemoryStyle

    @property
    def height(self) -> int:
        """Windows above each other."""
        return (self.source.height + 2 * self.padding - self.kernel[0]) // self.stride + 1

    @property
    def width(self) -> int:
        """Windows beside each other."""
        return (self.source.width + 2 * self.padding - self.kernel[1]) // self.stride + 1

    @property
    def words(self) -> int:
        """Beats of one timestep of one window, all folds of the source."""
        return self.kernel[0] * self.kernel[1] * self.source.folds * self.source.beats

    @property
    def sums(self) -> int:
        """Accumulations of one inference where every timestep of a source is accumulated on its own."""
        return self.height * self.width * self.folds * self.source.steps

    def first_row(self, y: int) -> int:
        """The first source row that windows from row ``y`` of windows downward look at."""
        return min(max(y * self.stride - self.padding, 0), self.source.height)

    @cached_property
    def released(self) -> tuple[int, ...]:
        """Source rows that no window needs any more after each row of windows."""
        firsts = [0, *(self.first_row(y) for y in range(1, self.height)), self.source.height]
        return tuple(after - before for before, after in pairwise(firsts))

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """Source rows that must be there, from the first unreleased one on, before each row of windows is read."""
        result, first = [], 0
        for y, released in enumerate(self.released):
            end = min(y * self.stride - self.padding + self.kernel[0], self.source.height)
            # Nothing begins before its source does, though windows may lie in the padding alone.
            result.append(max(1 if y == 0 else 0, end - first, released))
            first += released
        return tuple(result)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionConfig:
    """What a :class:`hw.projection_engine.ProjectionEngine` is built from.

    Attributes:
        source: name of the node whose bursts come in.
        window: the windows it reads.
        lanes, folds, cores, banks: P, passes, M and E as in :class:`hw.plan.LayerPlan`.
        merged_steps: timesteps that are accumulated into one sum (readout: all; populations: 1).
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weight_bits: B.
        weights: int64 (channels, fan-in) in stream order.
        weight_memory: what they are kept in.
        accumulator_bits: proved width of every partial sum.
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
    accumulator_bits: int

    @property
    def rows(self) -> int:
        """Weight rows of one bank."""
        return self.folds * self.window.words * self.window.source.group // self.banks

    @cached_property
    def weight_words(self) -> tuple[tuple[int, ...], ...]:
        """The weight memory of each bank: the rows of every fold, dealt out to the banks one after the other."""
        words = pack_weights(
            self.weights,
            lanes=self.lanes,
            folds=self.folds,
            rows=self.rows * self.banks // self.folds,
            bits=self.weight_bits,
        )
        return tuple(words[bank :: self.banks] for bank in range(self.banks))


@dataclass(frozen=True, kw_only=True)
class SkipConfig:
    """An identity connection into a population: ``weight`` for each burst; ``depth`` beats wait for their neurons."""

    source: str
    stream: BurstStream
    weight: int
    depth: int
    memory: MemoryStyle


@dataclass(frozen=True, kw_only=True)
class NeuronConfig:
    """What a :class:`hw.neuron_bank.NeuronBank` is built from; ``bias`` and ``exponent`` are (folds * lanes,)."""

    lanes: int
    folds: int
    cores: int
    group: int
    timesteps: int
    fraction_bits: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    skips: tuple[SkipConfig, ...]
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    current_bits: int
    potential_bits: int
    membrane_bits: int

    @property
    def burst_bits(self) -> int:
        return self.burst_ceiling.bit_length()

    @property
    def slots(self) -> int:
        """Cycles in which all lanes go through the cores."""
        return self.lanes // self.cores


@dataclass(frozen=True, kw_only=True)
class ReadoutConfig:
    """What a :class:`hw.readout.Readout` is built from; ``bias`` (of all timesteps) and ``exponent``: (classes,).

    ``repeats``: how often the one sum counts (direct input into the readout: T).
    """

    classes: int
    repeats: int
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    logit_bits: int


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """One layer: its projection, and either its neurons or the readout. ``output``: the stream that leaves neurons."""

    name: str
    projection: ProjectionConfig
    target: NeuronConfig | ReadoutConfig
    output: BurstStream | None


@dataclass(frozen=True, kw_only=True)
class PoolingConfig:
    """What a :class:`hw.pooling.PoolingStage` is built from; ``stream`` comes in, ``output`` leaves."""

    name: str
    source: str
    kind: Literal["sum", "max"]
    kernel: int
    stream: BurstStream
    output: BurstStream
    memory: MemoryStyle


@dataclass(frozen=True, kw_only=True)
class TopConfig:
    """The whole network: input stream and all stages in topological order, the readout last."""

    input: BurstStream
    stages: tuple[LayerConfig | PoolingConfig, ...]

    @property
    def layers(self) -> tuple[LayerConfig, ...]:
        """The stages that have weights."""
        return tuple(stage for stage in self.stages if isinstance(stage, LayerConfig))

    @property
    def populations(self) -> tuple[tuple[str, NeuronConfig, BurstStream], ...]:
        """Name, neurons and outgoing stream of every population."""
        return tuple(
            (layer.name, layer.target, layer.output)
            for layer in self.layers
            if isinstance(layer.target, NeuronConfig) and layer.output is not None
        )

    @property
    def readout(self) -> ReadoutConfig:
        """The last stage's target."""
        target = self.layers[-1].target
        assert isinstance(target, ReadoutConfig)
        return target

    def stream(self, name: str) -> BurstStream:
        """The stream that leaves the node called ``name``; raises KeyError."""
        streams = {stage.name: stage.output for stage in self.stages if stage.output is not None}
        return {"input": self.input, **streams}[name]

    def consumers(self, name: str) -> tuple[str, ...]:
        """What the stream of ``name`` leads into: names of poolings and layers, and ``LAYER.skip_INDEX`` for skips."""
        # Skips first: a layer is never told of a burst before the skip that waits beside it.
        skips = [
            f"{stage_name}.skip_{index}"
            for stage_name, target, _ in self.populations
            for index, skip in enumerate(target.skips)
            if skip.source == name
        ]
        sources = {
            stage.name: stage.source if isinstance(stage, PoolingConfig) else stage.projection.source
            for stage in self.stages
        }
        return (*skips, *(stage for stage, source in sources.items() if source == name))


def padded(values: IntArray, length: int) -> tuple[int, ...]:
    """``values`` and zeros up to ``length``: neurons that do not exist never fire."""
    return (*values.tolist(), *[0] * (length - len(values)))
