"""Stuffing against the library ``cobs``, which the driver uses."""

import random

import pytest
from cobs import cobs

from hw.link.cobs import CobsDecoder, CobsEncoder
from tests.hw.streams import PAUSES, get, put, run

FRAMES = [
    b"\x00",
    b"\x01",
    b"\x00\x00",
    b"\x01\x00",
    b"\x00\x01\x02\x00",
    bytes(range(1, 255)),
    bytes(range(1, 256)),
    bytes(range(256)),
    bytes(range(1, 255)) + b"\x00",
    bytes(700),
    bytes([7] * 700),
    random.Random(3).randbytes(600),
]


@pytest.mark.parametrize("pauses", PAUSES)
def test_decoder(pauses):
    dut = CobsDecoder()
    line = b"\0\0" + b"\0".join(cobs.encode(frame) for frame in FRAMES) + b"\0"
    expected = []
    for frame in FRAMES:
        expected += [*frame, 0b11 << 8]
    taken: list[int] = []

    async def host(ctx):
        await put(ctx, dut.arriving, line, pauses[0])

    async def device(ctx):
        # A beat carries a byte, or an end and whether the frame was whole.
        words = await get(ctx, dut.leaving, len(expected), pauses[1])
        taken.extend(word & 0b11 << 8 if word >> 8 & 1 else word & 0xFF for word in words)

    run(dut, host, device)
    assert taken == expected


@pytest.mark.parametrize("broken", [b"\x05\x01\x02\x00", b"\x02\x00", b"\xff\x01\x00"])
def test_a_block_that_ends_too_early_is_not_whole(broken):
    dut = CobsDecoder()
    ends: list[int] = []

    async def host(ctx):
        await put(ctx, dut.arriving, broken + cobs.encode(b"next") + b"\0", 0.0)

    async def device(ctx):
        while len(ends) < 2:
            [word] = await get(ctx, dut.leaving, 1, 0.0)
            if word >> 8 & 1:
                ends.append(word >> 9)

    run(dut, host, device)
    assert ends == [0, 1]


@pytest.mark.parametrize("pauses", PAUSES)
def test_encoder(pauses):
    dut = CobsEncoder()
    beats = [
        {"byte": byte, "last": position == len(frame) - 1} for frame in FRAMES for position, byte in enumerate(frame)
    ]
    taken = bytearray()

    async def device(ctx):
        await put(ctx, dut.arriving, beats, pauses[0])
        await ctx.tick().repeat(3000)

    async def host(ctx):
        while True:
            taken.extend(await get(ctx, dut.leaving, 1, 0.0, seed=len(taken)))

    run(dut, device, background=[host])
    assert taken[0] == 0
    parts = bytes(taken[1:]).split(b"\0")
    assert [cobs.decode(part) for part in parts[:-1]] == FRAMES
