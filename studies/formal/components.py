"""Small components of every kind, for proofs about them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from hw.configure import configure
from hw.engines.event.config import ProjectionConfig
from hw.engines.event.handover import Handover
from hw.engines.event.queued import QueuedScanner
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import SynapseArray
from hw.engines.window.engine import WindowEngine, WindowProjection
from hw.engines.window.sliding import SlidingWindow
from hw.fork import Fork
from hw.memory import MemoryStyle
from hw.neurons.bank import NeuronBank
from hw.neurons.config import FrameBufferConfig, SkipConfig
from hw.neurons.frame_buffer import FrameBuffer
from hw.neurons.skip_queue import SkipQueue
from hw.neurons.unrolled import UnrolledBank
from hw.stages.frame_readout import FrameReadoutConfig, FrameReadoutStage, FrameReadoutUnit
from hw.stages.pooling import PoolingStage, PoolingUnit
from hw.stages.readout_unit import ReadoutUnit
from hw.stages.sliding_pooling import Combiner, SlidingPoolingStage, SlidingPoolingUnit
from hw.stream_register import StreamRegister
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveField
from qblif.network.nodes import Leak
from qblif.network.window import make_window
from qblif.streams import BurstStream
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from studies.small_configs import constants, projection

BEATS = BurstStream(steps=1, beats=2, group=2, burst_bits=2)
"""Two beats of two channels."""
IMAGE = BurstStream(height=3, width=3, steps=1, beats=1, group=1, burst_bits=1)
NETWORK = dense_chain(7, sizes=(4, 2, 2), timesteps=2, fraction_bits=3)
CONFIG = configure(
    NETWORK, plan_for(NETWORK, hidden_0={"lanes": 2, "cores": 1, "group": 2}, readout={"lanes": 2, "cores": 1})
)
SKIP = SkipConfig(source="input", stream=IMAGE, weight=1, depth=3, memory="block")


def scanned(banks: int, folds: int = 1, *, queued: bool = False) -> ProjectionConfig:
    """A projection of four channels into two neurons."""
    weights = np.array([[-8, 7, 3, -1], [5, -8, -8, 2]])
    return projection(BEATS, weights, folds=folds, banks=banks, accumulator_bits=8, queued=queued)


def window(kernel: int, stride: int, padding: int, folds: int = 1, dilation: int = 1) -> WindowConfig:
    """Windows over a narrow image, which keep as many rows as :mod:`hw.configure` would."""
    source = dataclasses.replace(IMAGE, width=2)
    slides = make_window(kernel, stride, padding, dilation, name="window")
    return WindowConfig(source=source, window=slides, folds=folds, rows_kept=0, memory="block").kept()


def pooling(kind: Literal["sum", "max"]) -> PoolingStage:
    """2 x 2 pooling; the image's last row and column are dropped."""
    bits = 3 if kind == "sum" else 1
    output = dataclasses.replace(IMAGE, height=1, width=1, burst_bits=bits)
    return PoolingStage(
        name="pool",
        source="input",
        kind=kind,
        window=make_window(2, 2, name="pool"),
        stream=IMAGE,
        output=output,
        memory="distributed",
    )


def sliding(kind: Literal["sum", "max"] = "sum") -> SlidingPoolingStage:
    """2 x 2 pooling of a narrow image with stride 1, and padding on all sides."""
    bits = 3 if kind == "sum" else 1
    over = window(2, 1, 1)
    output = dataclasses.replace(over.source, height=over.height, width=over.width, burst_bits=bits)
    return SlidingPoolingStage(
        name="pool", source="input", kind=kind, stream=over.source, window=over.window, field=over, output=output
    )


def frame_readout(
    classes: int, lanes: int, timesteps: int = 2, *, memory: MemoryStyle = "logic", **options: Any
) -> FrameReadoutConfig:
    """A leaky readout of a time-major network with ``lanes`` sums per frame; 0 timesteps for a stream. ``memory``: that
    of its constants."""
    chain = dense_chain(7, sizes=(2, classes), timesteps=max(1, timesteps), coding="events", input_bits=1)
    readout = dataclasses.replace(chain.readout, **{"leak": Leak(multiplier=3, shift=2)} | options)
    network = dataclasses.replace(chain, readout=readout, mode="window" if timesteps else "stream")
    stage = configure(network, plan_for(network)).stages[-1]
    assert isinstance(stage, FrameReadoutStage)
    return dataclasses.replace(stage.readout, lanes=lanes, constants_memory=memory)


def delayed(beats: int, frames: int) -> FrameBufferConfig:
    """The buffer of a recurrent projection whose source sends ``beats`` beats per frame; 0 frames for a stream."""
    stream = BurstStream(steps=1, beats=beats, group=1, burst_bits=2)
    return FrameBufferConfig(source="hidden", stream=stream, depth=2 * beats, memory="block", frames=frames)


def passing() -> WindowEngine:
    """A window engine that takes two beats of two channels, all bit-planes at a time."""
    weights = np.array([[-8, 7, 3, -1], [5, 0, -8, 2]])
    return constants(BEATS, weights, make_window(1, name="window"), slides=False, planes=2)


def sliding_window() -> WindowEngine:
    """2 x 2 windows over a narrow image, with padding on all sides."""
    over = window(2, 1, 1)
    return constants(over.source, np.ones((1, 1, 2, 2), dtype=np.int64), over.window)


NEURONS = CONFIG.populations[0][1]
TIME_MAJOR = dataclasses.replace(NEURONS, schedule="time_major")

TOGETHER = dataclasses.replace(CONFIG.readout, classes_per_beat=2)
"""Both classes in one beat."""
UNROLLED = dataclasses.replace(NEURONS, unrolled=True, shared_sums=True, cores=1, group=2)
"""Two neurons, two timesteps that share a beat."""
SEPARATE = dataclasses.replace(NEURONS, unrolled=True, cores=2, group=1)
"""Two neurons, of which every burst has a beat of its own."""

STAGES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "stream register": (lambda: StreamRegister(4), "arriving", "leaving"),
    "skip buffer": (lambda: SkipQueue(SKIP), "arriving", "leaving"),
    "receptive field": (lambda: ReceptiveField(window(2, 1, 1)), "arriving", "leaving"),
    "event scanner": (lambda: EventScanner(scanned(1)), "bursts", "events"),
    "event scanner, two banks": (lambda: EventScanner(scanned(2)), "bursts", "events"),
    "event scanner, queues": (lambda: QueuedScanner(scanned(2, queued=True)), "bursts", "events"),
    "synapse array": (lambda: SynapseArray(scanned(1)), "events", "sums"),
    "synapse array, two banks": (lambda: SynapseArray(scanned(2)), "events", "sums"),
    "hand-over": (lambda: Handover(lanes=4, cores=2, bits=4, repeats=2), "sums", "currents"),
    "neuron bank": (lambda: NeuronBank(NEURONS), "currents", "bursts"),
    "neuron bank, time-major": (lambda: NeuronBank(TIME_MAJOR), "currents", "bursts"),
    "pooling": (lambda: PoolingUnit(pooling("sum")), "arriving", "leaving"),
    "sliding pooling": (lambda: SlidingPoolingUnit(sliding()), "arriving", "leaving"),
    "combiner": (lambda: Combiner(sliding()), "arriving", "leaving"),
    "readout": (lambda: ReadoutUnit(CONFIG.readout, lanes_total=2), "currents", "results"),
    "readout, two classes per beat": (lambda: ReadoutUnit(TOGETHER, lanes_total=2), "currents", "results"),
    "frame readout": (lambda: FrameReadoutUnit(frame_readout(2, 2)), "currents", "results"),
    "frame buffer": (lambda: FrameBuffer(delayed(2, 2)), "arriving", "leaving"),
    "sliding window": (lambda: SlidingWindow(sliding_window()), "arriving", "slices"),
    "window engine": (lambda: WindowProjection(passing()), "bursts", "currents"),
    "unrolled bank": (lambda: UnrolledBank(UNROLLED), "currents", "bursts"),
    "unrolled bank, beat by beat": (lambda: UnrolledBank(SEPARATE), "currents", "bursts"),
    "fork": (lambda: Fork(4, 2), "arriving", "leaving"),
}
"""How to make each component, and its arriving and its leaving stream."""
