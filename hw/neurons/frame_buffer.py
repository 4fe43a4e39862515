"""Frame buffer: the bursts of a recurrent projection wait here for the next timestep."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import bursts_layout
from hw.logic import counter, first_frame
from hw.neurons.config import FrameBufferConfig
from hw.neurons.skip_queue import SkipQueue, SkipTiming

WAITING = "waiting"
"""The submodule that has the memory."""
RELEASED = 0
"""The cycle in which the first frame begins to leave: the one in which the network takes its first beat."""


class FrameBuffer(wiring.Component):
    """Delays the bursts of a population by one frame: ``leaving`` gives those of the previous timestep.

    In the first frame of a sample, or after a reset, bursts of 0 leave. The last frame of a sample is dropped, since no
    timestep follows it. The buffer never causes a deadlock: it has room for every frame that is sent before the
    previous one has left (:func:`hw.stages.queues.frame_buffer`).

    Throughput: one beat per cycle. Latency: that of :class:`hw.neurons.skip_queue.SkipQueue`, 3 cycles, which the delay
    of a frame hides.

    Ports:
        arriving, leaving: ``bursts_layout(group, burst_bits)``.
    """

    def __init__(self, config: FrameBufferConfig) -> None:
        self.config = config
        layout = bursts_layout(config.stream.group, config.stream.burst_bits)
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules[WAITING] = waiting = SkipQueue(self.config)
        beats, frames = self.config.stream.beats_per_inference, self.config.frames
        arrived, left = self.arriving.valid & self.arriving.ready, self.leaving.valid & self.leaving.ready
        arriving_ends = arrived & counter(m, "arriving_beat", beats, arrived)[1]
        dropped = counter(m, "arriving_frame", frames, arriving_ends)[1] if frames else 0
        silent = first_frame(m, left & counter(m, "leaving_beat", beats, left)[1], frames)
        m.d.comb += [
            waiting.arriving.payload.eq(self.arriving.payload),
            waiting.arriving.valid.eq(self.arriving.valid & ~dropped),
            self.arriving.ready.eq(waiting.arriving.ready | dropped),
            self.leaving.payload.eq(Mux(silent, 0, waiting.leaving.payload.as_value())),
            self.leaving.valid.eq(waiting.leaving.valid | silent),
            waiting.leaving.ready.eq(self.leaving.ready & ~silent),
        ]
        return m


class FrameBufferTiming(SkipTiming):
    """Exact timing of a :class:`FrameBuffer`."""

    def __init__(self, config: FrameBufferConfig) -> None:
        super().__init__(config)
        self.beats, self.frames = config.stream.beats_per_inference, config.frames
        self.arrived = self.taken = 0
        self.last_taken = RELEASED - 1

    def offer(self, at: int) -> int:
        frame = self.arrived // self.beats
        self.arrived += 1
        return at if self.frames and frame % self.frames == self.frames - 1 else super().offer(at)

    @property
    def _silent(self) -> bool:
        """Whether the next beat that leaves is one of a first frame."""
        frame = self.taken // self.beats
        return (frame % self.frames if self.frames else frame) == 0

    def available(self) -> int:
        after = self.last_taken + 1
        return after if self._silent else max(after, super().available())

    def take(self, at: int) -> None:
        if not self._silent:
            super().take(at)
        self.taken += 1
        self.last_taken = at
