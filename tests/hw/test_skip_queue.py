import pytest

from hw.neurons.config import SkipConfig
from hw.neurons.skip_queue import SkipQueue
from qblif.streams import BurstStream
from tests.hw.streams import PAUSES, run, through

STREAM = BurstStream(group=2, burst_bits=3, beats=1, steps=1)


def config(depth: int) -> SkipConfig:
    return SkipConfig(source="input", stream=STREAM, weight=1, depth=depth, memory="block")


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
@pytest.mark.parametrize("pauses", PAUSES)
def test_beats_leave_in_order(depth, pauses):
    dut = SkipQueue(config(depth))
    beats = [[number % 8, (3 * number) % 8] for number in range(50)]
    got = through(dut, dut.arriving, dut.leaving, beats, len(beats), pauses)
    assert [list(dut.leaving.payload.shape().from_bits(word)) for word in got] == beats


@pytest.mark.parametrize("depth", [2, 5, 9])
def test_holds_as_many_beats_as_it_says_and_its_two_registers(depth):
    dut = SkipQueue(config(depth))
    held = []

    async def process(ctx):
        ctx.set(dut.arriving.valid, 1)
        accepted = 0
        for _ in range(4 * depth + 10):
            _, _, ready = await ctx.tick().sample(dut.arriving.ready)
            accepted += ready
        held.append(accepted)

    run(dut, process)
    assert held == [depth + 2]
