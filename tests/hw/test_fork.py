import pytest

from hw.fork import Fork
from tests.hw.streams import PAUSES, get, put, run


@pytest.mark.parametrize("pauses", PAUSES)
def test_every_reader_gets_every_beat_in_order(pauses):
    dut = Fork(8, 3)
    beats = [(37 * number) % 256 for number in range(60)]
    taken: list[list[int]] = [[] for _ in range(3)]

    async def producer(ctx):
        await put(ctx, dut.arriving, beats, pauses[0])

    def reader(index):
        async def consumer(ctx):
            pause = pauses[1] * index / 2
            taken[index].extend(await get(ctx, dut.leaving[index], len(beats), pause, seed=index))

        return consumer

    run(dut, producer, *(reader(index) for index in range(3)))
    assert taken == [beats] * 3
