import pytest

from hw.stream_register import StreamRegister
from tests.hw.streams import PAUSES, get, run, through


@pytest.mark.parametrize("pauses", PAUSES)
def test_passes_every_beat_in_order(pauses):
    dut = StreamRegister(8)
    beats = [(17 * index) % 256 for index in range(200)]
    assert through(dut, dut.arriving, dut.leaving, beats, len(beats), pauses) == beats


def test_one_beat_a_cycle_and_latency():
    dut = StreamRegister(8)
    seen = []

    async def producer(ctx):
        ctx.set(dut.arriving.valid, 1)
        for beat in range(50):
            ctx.set(dut.arriving.payload, beat)
            await ctx.tick().until(dut.arriving.ready)
        ctx.set(dut.arriving.valid, 0)

    async def consumer(ctx):
        for _ in range(dut.latency):
            await ctx.tick()
        for _ in range(50):
            seen.extend(await get(ctx, dut.leaving, 1, 0.0))

    run(dut, producer, consumer, cycles=52)
    assert seen == list(range(50))
