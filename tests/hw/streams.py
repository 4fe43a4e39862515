"""Driving components in Amaranth's simulator: offer and take beats with random pauses, and watch the stream's rules."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from amaranth.hdl import Value
from amaranth.sim import Simulator


async def put(ctx, port, beats: Iterable[Any], pause: float, seed: int = 1) -> None:
    """Offer every beat; before each, pause in a share ``pause`` of the cycles."""
    chance = random.Random(seed)
    for beat in beats:
        while chance.random() < pause:
            await ctx.tick()
        ctx.set(port.payload, beat)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)


async def get(ctx, port, count: int, pause: float, seed: int = 2) -> list[int]:
    """Take ``count`` beats as integers; fails when a beat that was not taken changes or goes away."""
    chance = random.Random(seed)
    taken: list[int] = []
    offered = None
    while len(taken) < count:
        ready = chance.random() >= pause
        ctx.set(port.ready, ready)
        _, _, valid, payload = await ctx.tick().sample(port.valid, Value.cast(port.payload))
        if offered is not None:
            assert valid, "a beat that was offered and not taken went away"
            assert payload == offered, "a beat changed while it waited"
        offered = payload if valid and not ready else None
        if valid and ready:
            taken.append(payload)
    ctx.set(port.ready, 0)
    return taken


def run(dut, *processes: Callable, background: Iterable[Callable] = (), cycles: int = 200_000) -> None:
    """Simulate until every process has ended; fails after ``cycles``."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for process in processes:
        simulator.add_testbench(process)
    for process in background:
        simulator.add_testbench(process, background=True)
    # The simulator stops at both edges of every cycle.
    for _ in range(2 * cycles):
        if not simulator.advance():
            return
    raise AssertionError(f"not finished after {cycles} cycles")


def through(dut, arriving, leaving, beats: list[Any], count: int, pauses: tuple[float, float]) -> list[int]:
    """Send ``beats`` into one stream of ``dut`` and take ``count`` beats from the other."""
    taken: list[int] = []

    async def producer(ctx):
        await put(ctx, arriving, beats, pauses[0])

    async def consumer(ctx):
        taken.extend(await get(ctx, leaving, count, pauses[1]))

    run(dut, producer, consumer)
    return taken


PAUSES = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.4, 0.4)]
"""Shares of cycles in which producer and consumer pause."""
