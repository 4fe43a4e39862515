"""The frame receiver against a few lines of Python that say what each frame deserves."""

import dataclasses
import random
import zlib

import pytest

from boards.catalogue import find_board
from gen.emit.board_top import link_config
from hw.configure import configure
from hw.link.configuration import buffer_bytes, window
from hw.link.receiver import FrameReceiver
from qblif.protocol import Command, Error
from qblif.streams import BurstStream
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import get, run

SIZE = 21


@pytest.fixture(scope="module")
def link():
    network = dense_chain(1, sizes=(40, 3), input_bits=4)
    config = link_config(find_board("ulx3s_12f"), 12.0, network, configure(network, plan_for(network)), "00" * 32)
    assert config is not None
    assert config.identity.request_bytes == SIZE
    return config


def body(kind: int, identifier: int, data: bytes = b"") -> bytes:
    """A frame's bytes before stuffing."""
    plain = bytes([kind, identifier]) + data
    return plain + zlib.crc32(plain).to_bytes(4, "little")


class Judge:
    """What proper and other frames become, where there is always room; ``work`` is the device's command for it."""

    def __init__(self, work=Command.INFER):
        self.expected = 0
        self.work, self.most = work, SIZE + (work == Command.STEP)

    def record(self, frame: bytes, whole: bool) -> bytes:
        """The record of the next frame; ``whole`` is the decoder's word."""
        kind, identifier = (*frame, 0, 0)[:2]
        size = self.most if kind == self.work else 0
        error = None
        if len(frame) < 6:
            error = Error.SHORT
        elif len(frame) > 6 + self.most:
            error = Error.OVERSIZED
        elif not whole or zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "little"):
            error = Error.CORRUPT
        elif kind not in {Command.IDENTIFY, self.work, Command.COUNTERS, Command.RESET}:
            error = Error.UNKNOWN
        elif len(frame) != 6 + size:
            error = Error.SHORT if len(frame) < 6 + size else Error.OVERSIZED
        elif kind in (self.work, Command.COUNTERS) and identifier != self.expected:
            error = Error.OUT_OF_ORDER
        if error is not None:
            return bytes([error, self.expected])
        self.expected = (identifier + 1) % 256
        return frame[:-4]


def random_frame(chance: random.Random, judge: Judge) -> tuple[bytes, bool]:
    """Proper ones most of the time, each kind of mistake now and then."""
    other = Command.STEP if judge.work == Command.INFER else Command.INFER
    kind = chance.choice([Command.IDENTIFY, *[judge.work] * 3, Command.COUNTERS, other, 0, 0x55, 255])
    identifier = judge.expected if chance.random() < 0.8 else chance.randrange(256)
    size = judge.most if kind == judge.work else 0
    if chance.random() < 0.2:
        size = max(0, size + chance.randint(-3, 30))
    frame = bytearray(body(kind, identifier, chance.randbytes(size)))
    if chance.random() < 0.15:
        frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
    if chance.random() < 0.1:
        frame = frame[: chance.randrange(len(frame))]
    return bytes(frame), chance.random() < 0.95


async def offer(ctx, port, frames):
    """Frames as the decoder sends them."""
    for frame, whole in frames:
        for beat in [*({"byte": byte, "end": 0, "whole": 0} for byte in frame), {"byte": 0, "end": 1, "whole": whole}]:
            ctx.set(port.payload, beat)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)


@pytest.mark.parametrize("mode", ["sample", "window"])
@pytest.mark.parametrize("seed", range(4))
def test_every_frame_becomes_its_record(link, seed, mode):
    link = dataclasses.replace(link, identity=dataclasses.replace(link.identity, mode=mode))
    chance, judge = random.Random(seed), Judge(link.identity.command)
    frames, wanted = [], []
    for _ in range(200):
        frames.append(random_frame(chance, judge))
        wanted.append(judge.record(*frames[-1]))
    assert {record[0] for record in wanted} >= {*Error} - {Error.BUSY, Error.OUT_OF_SEQUENCE}
    dut = FrameReceiver(link)
    taken = []

    async def host(ctx):
        await offer(ctx, dut.decoded, frames)

    async def device(ctx):
        taken.extend(await get(ctx, dut.records, len(b"".join(wanted)), 0.1 * seed))

    run(dut, host, device)
    assert bytes(taken) == b"".join(wanted)


def test_a_full_ring_keeps_the_window_and_refuses_the_rest(link):
    window, count = link.identity.window, link.identity.window + 30
    frames = [(body(Command.INFER, index, bytes([index] * SIZE)), True) for index in range(count)]
    dut = FrameReceiver(link)
    taken = bytearray()

    async def process(ctx):
        await offer(ctx, dut.decoded, frames)
        ctx.set(dut.records.ready, 1)
        for _ in range(2000):
            _, _, valid, byte = await ctx.tick().sample(dut.records.valid, dut.records.payload)
            if valid:
                taken.append(byte)

    run(dut, process)
    kept = 0
    while taken[:1] == bytes([Command.INFER]):
        assert taken[: 2 + SIZE] == bytes([Command.INFER, kept] + [kept] * SIZE)
        del taken[: 2 + SIZE]
        kept += 1
    assert window <= kept < count
    notes = [taken[at : at + 2] for at in range(0, len(taken), 2)]
    assert notes[0] == bytes([Error.BUSY, kept])
    assert {note[0] for note in notes} <= {Error.BUSY, Error.OUT_OF_ORDER}
    assert {note[1] for note in notes} == {kept}
    assert len(notes) == count - kept


def parsed(taken: bytes) -> list[tuple[int, int]]:
    """Kind and id of every record."""
    found = []
    while taken:
        found.append((taken[0], taken[1]))
        taken = taken[2 + (SIZE if taken[0] == Command.INFER else 0) :]
    return found


@pytest.mark.parametrize("room", range(8))
def test_every_frame_is_answered_however_little_room_there_is(link, room):
    """The ring is filled but for ``room`` bytes, as far as frames go, and bad frames follow; later come good ones."""
    inferences, rest = divmod(link.buffer_bytes - room, SIZE + 2)
    filling = [(Command.INFER, index, bytes(SIZE)) for index in range(inferences)]
    filling += [(Command.IDENTIFY, index, b"") for index in range(inferences, inferences + rest // 2)]
    bad = [bytes(20), body(Command.INFER, 200, bytes(SIZE)), b"", body(Command.IDENTIFY, 7)[:-1], *[b"?"] * 5]
    last = [(Command.IDENTIFY, 33, b""), (Command.COUNTERS, 34, b"")]
    dut = FrameReceiver(link)
    taken = bytearray()

    async def take(ctx, cycles):
        ctx.set(dut.records.ready, 1)
        for _ in range(cycles):
            _, _, valid, byte = await ctx.tick().sample(dut.records.valid, dut.records.payload)
            if valid:
                taken.append(byte)
        ctx.set(dut.records.ready, 0)

    async def process(ctx):
        await offer(ctx, dut.decoded, [*((body(*frame), True) for frame in filling), *((one, True) for one in bad)])
        await take(ctx, 3)
        await offer(ctx, dut.decoded, [(body(Command.IDENTIFY, 8), True)])
        await take(ctx, 1500)
        await offer(ctx, dut.decoded, [(body(*frame), True) for frame in last])
        await take(ctx, 50)

    run(dut, process)
    records = parsed(bytes(taken))
    assert len(records) == len(filling) + len(bad) + 1 + len(last)
    good = [frame[:2] for frame in filling]
    kept = next(at for at, (kind, _) in enumerate(records) if kind in set(Error))
    assert records[:kept] == good[:kept]
    assert kept >= len(good) - 3, "a frame needs room for its checksum too, and no more"
    notes = records[kept : -len(last)]
    assert {kind for kind, _ in notes} <= set(Error)
    assert Error.BUSY in {kind for kind, _ in notes}
    assert {number for _, number in notes} == {(good[kept - 1][1] + 1) % 256}
    assert records[-2:] == [frame[:2] for frame in last]


def test_a_reset_empties_even_a_full_ring(link):
    frames = [(body(Command.INFER, index, bytes(SIZE)), True) for index in range(link.identity.window + 30)]
    dut = FrameReceiver(link)
    restarts = []

    async def host(ctx):
        await offer(ctx, dut.decoded, [*frames, (body(Command.RESET, 9), True), (body(Command.COUNTERS, 10), True)])
        assert await get(ctx, dut.records, 4, 0.0) == [Command.RESET, 9, Command.COUNTERS, 10]

    async def watch(ctx):
        async for _, _, restart in ctx.tick().sample(dut.restart):
            restarts.append(restart)

    run(dut, host, background=[watch])
    assert sum(restarts) == 1


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    # Four requests of up to 2 KiB; then 8 KiB while they hold two; then two.
    [(8, 512), (392, 2048), (2042, 8192), (3072, 8192), (4090, 8192), (4091, 16384), (25_600, 65_536)],
)
def test_the_ring_holds_at_least_two_of_the_longest_requests(request_bytes, expected):
    assert buffer_bytes(request_bytes) == expected
    assert window(BurstStream(steps=1, beats=request_bytes, group=1, burst_bits=8), "sample") >= 2


@pytest.mark.parametrize("mode", ["window", "stream"])
def test_one_timestep_is_unanswered_at_a_time(mode):
    assert window(BurstStream(steps=1, beats=8, group=1, burst_bits=8), mode) == 1
