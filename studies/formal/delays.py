"""Proofs about bursts that wait: in the queue of a skip, and in the frame buffer of a recurrent projection."""

from functools import partial

from amaranth.hdl import Const, Mux, Signal, Value

from hw.neurons.config import FrameBufferConfig
from hw.neurons.frame_buffer import WAITING, FrameBuffer
from hw.neurons.skip_queue import SkipQueue
from studies.formal.components import SKIP, delayed
from studies.formal.proof import Proof, Statement

SAMPLES = 16
"""Samples, or frames of a stream, that the proof's counters tell apart: more than can be in flight."""


class Followed:
    """One beat on its way through a queue: the solver picks any that enters, and then perhaps another one.

    Attributes:
        waiting: beats in the queue.
        begins: the picked beat enters.
        active: there is one in the queue.
        ahead: beats in front of it.
        payload: the beat.
    """

    def __init__(self, s: Statement, arriving: Value, enters: Value, leaves: Value, *path: str) -> None:
        """``arriving``: what arrives at the queue at ``path``; a beat ``enters`` it, and one ``leaves`` it."""
        signals = s.signals(*path)
        memory = s.inside(*path, "queue")
        depth, queued = memory._data.depth, signals["leaving__valid"]
        level, fetched, read_address = signals["level"], signals["fetched"], signals["read_address"]
        self.waiting = s.name(level + fetched + queued, range(depth + 3))
        s.free(picked := Signal(name="picked"))
        self.active, self.ahead = Signal(name="followed"), Signal.like(self.waiting, name="ahead")
        self.begins = s.name(picked & ~self.active & enters, 1)
        self.payload = s.kept(arriving, self.begins)
        with s.module.If(self.begins):
            s.module.d.sync += [self.active.eq(1), self.ahead.eq(self.waiting - leaves)]
        with s.module.Elif(leaves):
            s.module.d.sync += [self.active.eq(self.active & (self.ahead != 0)), self.ahead.eq(self.ahead - 1)]

        def wrapped(address: Value) -> Signal:
            return s.name(Mux(address >= depth, address - depth, address), range(2 * depth))

        s.claim((level <= depth) & (read_address < depth))
        s.claim(signals["write_address"] == wrapped(read_address + level))
        s.claim(~self.active | (self.ahead < self.waiting))
        outside = s.name(queued + Value.cast(fetched), 2)
        stored = self.active & (self.ahead >= outside)
        place = s.name(Mux(stored, wrapped(read_address + self.ahead - outside), 0), range(depth))
        s.claim(~stored | (s.word(place, *path, "queue") == self.payload))
        next_out = self.active & fetched & (self.ahead == queued)
        s.claim(~next_out | (s.read_data(*path, "queue") == self.payload))
        self.first = s.name(self.active & queued & (self.ahead == 0), 1)
        s.claim(~self.first | (signals["leaving__payload"] == self.payload))


def in_order(s: Statement) -> None:
    """Whichever beat the solver picks leaves a skip's queue as it came, after those before it and no others."""
    queue = SkipQueue(SKIP)
    s.add(queue)
    s.free(queue.arriving.valid, queue.arriving.payload, queue.leaving.ready)
    enters, leaves = queue.arriving.valid & queue.arriving.ready, queue.leaving.valid & queue.leaving.ready
    followed = Followed(s, Value.cast(queue.arriving.payload), enters, leaves)
    came, left = s.count(enters), s.count(leaves)
    s.claim(came == s.name(left + followed.waiting, len(came)))
    s.claim(~followed.active | (s.kept(came, followed.begins) == s.name(left + followed.ahead, len(came))))
    s.witness(followed.first & (followed.payload != 0))
    s.witness(~queue.arriving.ready)


def one_frame_later(s: Statement, config: FrameBufferConfig) -> None:
    """Whichever beat the solver picks leaves one frame later, as it came; see the claims of its proof."""
    buffer = FrameBuffer(config)
    registers = s.add(buffer)
    s.free(buffer.arriving.valid, buffer.arriving.payload, buffer.leaving.ready)
    arrives, leaves = (one.valid & one.ready for one in (buffer.arriving, buffer.leaving))
    beats, frames = config.stream.beats_per_inference, config.frames
    # Beat, frame and sample of either side; a stream's "samples" are its frames, and what leaves is counted from the
    # second frame on.
    beat, beats_end = s.cycle(beats, arrives)
    left_beat, left_beats_end = s.cycle(beats, leaves)
    if frames:
        frame, frames_end = s.cycle(frames, arrives & beats_end)
        left_frame, left_frames_end = s.cycle(frames, leaves & left_beats_end)
        dropped, silent = frames_end, left_frame == 0
        sample, _ = s.cycle(SAMPLES, arrives & beats_end & frames_end)
        left_sample, _ = s.cycle(SAMPLES, leaves & left_beats_end & left_frames_end)
        s.agree(registers, {"arriving_frame": frame, "frame": left_frame})
    else:
        frame, left_frame, dropped = Const(0), Const(1), Const(0)
        silent = ~s.kept(1, leaves & left_beats_end)
        sample, _ = s.cycle(SAMPLES, arrives & beats_end)
        left_sample, _ = s.cycle(SAMPLES, leaves & left_beats_end & ~silent)
    s.agree(registers, {"arriving_beat": beat, "leaving_beat": left_beat, "first_frame": silent})
    s.claim((beat < beats) & (left_beat < beats) & (frame < max(1, frames)) & (left_frame < max(2, frames)))

    enters, given = arrives & ~dropped, leaves & ~silent
    followed = Followed(s, Value.cast(buffer.arriving.payload), enters, given, WAITING)
    # The place of a beat among all that are not dropped.
    kept_frames = max(1, frames - 1)
    places = SAMPLES * kept_frames * beats

    def after(start: Value, steps: Value) -> Signal:
        total = s.name(start + steps, range(2 * places))
        return s.name(Mux(total >= places, total - places, total), range(places))

    def place(of_sample: Value, of_frame: Value, of_beat: Value) -> Signal:
        return after(of_sample * kept_frames * beats, of_frame * beats + of_beat)

    arriving = place(sample, frame, Mux(dropped, 0, beat))
    leaving = place(left_sample, Mux(silent, 0, left_frame - 1), Mux(silent, 0, left_beat))
    s.claim(arriving == after(leaving, followed.waiting))
    origin = [s.kept(one, followed.begins) for one in (sample, frame, beat)]
    s.claim(~followed.active | (place(*origin) == after(leaving, followed.ahead)))
    s.claim(~followed.active | ((origin[1] < kept_frames) & (origin[2] < beats)))

    # What this is about: zeros in the first frame, and then the beat of the frame before.
    shown, payload = buffer.leaving.valid, Value.cast(buffer.leaving.payload)
    s.claim(~silent | (shown & (payload == 0)))
    now = shown & ~silent & followed.first
    one_later = (left_sample == origin[0]) & (left_frame == origin[1] + 1) & (left_beat == origin[2])
    s.claim(~now | (one_later & (payload == followed.payload)))
    # Whoever has sent less than a frame more than has left, zeros included, never waits.
    everything = SAMPLES * max(1, frames) * beats
    sent = (sample * max(1, frames) + frame) * beats + beat
    taken = (left_sample * max(1, frames) + (left_frame if frames else ~silent)) * beats + left_beat
    more = s.name(sent - taken + everything, range(2 * everything))
    more = s.name(Mux(more >= everything, more - everything, more), range(everything))
    s.claim(buffer.arriving.ready | ((more >= beats) & (more < everything // 2)))
    s.witness(now & (payload != 0))
    s.witness(~buffer.arriving.ready)


BUFFERS = {
    "2 frames of 2 beats": delayed(2, 2),
    "3 frames of 3 beats": delayed(3, 3),
    "4 frames of 1 beat": delayed(1, 4),
    "stream, 1 beat": delayed(1, 0),
    "stream, 3 beats": delayed(3, 0),
}

PROOFS = [
    Proof(
        name="skip buffer: in order",
        claim="every beat leaves once, unchanged, in order, and nothing else does",
        circuits={"": in_order},
        unbounded=True,
        depth=2,
        reach=20,
    ),
    Proof(
        name="frame buffer: one frame later",
        claim="what leaves in frame t is what arrived in frame t - 1, in order, zeros in the first frame; the last "
        "frame of a window is dropped; no beat has to wait whose source has sent less than a frame more than has left",
        circuits={name: partial(one_frame_later, config=config) for name, config in BUFFERS.items()},
        unbounded=True,
        depth=2,
        reach=24,
    ),
]
