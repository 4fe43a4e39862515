from hw.link.counters import ActivityCounters
from tests.hw.streams import run


def test_a_whole_turn_reads_and_keeps_all_counters():
    dut = ActivityCounters({"one": 1, "many": 5, "silent": 3})
    readings = []

    async def process(ctx):
        for cycle in range(100):
            ctx.set(dut.increments.one, cycle % 3 == 0)
            ctx.set(dut.increments.many, cycle % 32)
            await ctx.tick()
        ctx.set(dut.increments.one, 0)
        ctx.set(dut.increments.many, 0)
        for _ in range(2):
            ring = bytearray()
            for _ in range(12):
                ring.append(ctx.get(dut.byte))
                ctx.set(dut.turn, 1)
                await ctx.tick()
                ctx.set(dut.turn, 0)
                await ctx.tick()
            readings.append([int.from_bytes(ring[at : at + 4], "little") for at in range(0, 12, 4)])

    run(dut, process)
    assert readings == [[34, sum(cycle % 32 for cycle in range(100)), 0]] * 2
