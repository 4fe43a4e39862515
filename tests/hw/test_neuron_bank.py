import dataclasses
import itertools
import random

import pytest

from hw.neurons.bank import NeuronBank, bank_latency
from hw.neurons.config import NeuronConfig, SkipConfig
from qblif.network.nodes import Leak
from qblif.streams import BurstStream
from tests.hw.streams import PAUSES, get, put, run
from tests.reference import advance

POSITIONS = 3
STEPS = 4
"""Timesteps, of one fold or several, over which the throughput is measured."""
SLOW = Leak(multiplier=3, shift=2)
CONFIG = NeuronConfig(
    lanes=6, folds=2, positions=POSITIONS, cores=2, group=2, timesteps=3, fraction_bits=4, rounding=8,
    burst_ceiling=3, leak=Leak(), reset="soft",
    bias=(9, -4, 30, 0, 21, -17, 5, 2, 63, -64, 11, 8), exponent=(2, 0, 1, 0, 0, 2, 1, 1, 0, 0, 2, 0), skips=(),
    membrane_memory="logic", constants_memory="logic", bias_bits=7, exponent_bits=2, accumulator_bits=7,
    current_bits=12, summed_bits=14, synaptic_bits=14, potential_bits=15, membrane_bits=14,
)  # fmt: skip
SKIP = SkipConfig(
    source="input", stream=BurstStream(group=2, burst_bits=2, beats=3, folds=2, steps=3), weight=21, depth=8,
    memory="block",
)  # fmt: skip
WIDE_SKIP = dataclasses.replace(SKIP, stream=BurstStream(group=6, burst_bits=1, beats=1, folds=2, steps=3), weight=-30)
CASES = {
    "folds": CONFIG,
    "constants in block RAM": dataclasses.replace(CONFIG, constants_memory="block"),
    "wide beats": dataclasses.replace(CONFIG, group=6),
    "every core a slot": dataclasses.replace(CONFIG, cores=6, group=6, constants_memory="block"),
    "more slots than the pipeline is long": dataclasses.replace(CONFIG, cores=1, group=3, membrane_memory="block"),
    "one fold": dataclasses.replace(CONFIG, lanes=12, folds=1, cores=3, group=6),
    "leak and hard reset": dataclasses.replace(CONFIG, leak=Leak(multiplier=3, shift=2), reset="hard"),
    "one timestep": dataclasses.replace(CONFIG, timesteps=1),
    "skips": dataclasses.replace(CONFIG, skips=(SKIP, WIDE_SKIP)),
    "synaptic current": dataclasses.replace(CONFIG, current_leak=SLOW),
    "limits": dataclasses.replace(CONFIG, current_leak=SLOW, current_limits=(-90, 60), membrane_limits=(-20, 30)),
}
CASES |= {
    f"{name}, time-major": dataclasses.replace(config, schedule="time_major", endless=name == "limits")
    for name, config in CASES.items()
}
CASES["one state, time-major"] = dataclasses.replace(
    CONFIG, schedule="time_major", lanes=2, folds=1, positions=1, bias=(9, -4), exponent=(2, 0)
)


def order(config):
    """Position, fold and timestep of every pass of the lanes, twice the timesteps of a sample; the timestep of a stream
    never returns to 0."""
    folds, samples = range(config.folds), range(2)
    if config.schedule == "position_major":
        for _, position, fold in itertools.product(samples, range(POSITIONS), folds):
            for step in range(config.timesteps):
                yield position, fold, step
        return
    for step in range(2 * config.timesteps):
        for position, fold in itertools.product(range(config.positions), folds):
            yield position, fold, step if config.endless else step % config.timesteps


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("name", CASES)
def test_every_neuron_keeps_its_own_membrane(name, pauses):
    config = CASES[name]
    chance = random.Random(name)
    dut = NeuronBank(config)
    sums, beats = [], []
    skips: list[list[list[int]]] = [[] for _ in config.skips]
    wanted: list[tuple[int, ...]] = []
    states: dict[tuple[int, int], tuple[int, int]] = {}
    for position, fold, step in order(config):
        own = range(fold * config.lanes, (fold + 1) * config.lanes)
        skipped = [[chance.randrange(2**skip.stream.burst_bits) for _ in own] for skip in config.skips]
        for number, skip in enumerate(config.skips):
            group = skip.stream.group
            skips[number] += [skipped[number][at : at + group] for at in range(0, config.lanes, group)]
        bursts = []
        for place, channel in enumerate(own):
            total = chance.choice((chance.randint(-8, 8), chance.randint(-64, 63)))
            sums.append(total)
            current = total * 2 ** config.exponent[channel] + config.bias[channel]
            current += sum(skip.weight * row[place] for skip, row in zip(config.skips, skipped, strict=True))
            fresh = step == 0 or (position, channel) not in states
            before = (0, 0) if fresh else states[position, channel]
            burst, after = advance(config, current, before)
            states[position, channel] = after
            bursts.append(burst)
            if config.schedule == "time_major" or step == config.timesteps - 1:
                wanted.append(after if config.current_leak else after[:1])
        beats += [bursts[at : at + config.group] for at in range(0, config.lanes, config.group)]
    got, written = list[int](), list[tuple[int, ...]]()

    def feed(port, offered, pause, seed):
        async def producer(ctx):
            await put(ctx, port, offered, pause, seed)

        return producer

    async def consumer(ctx):
        got.extend(await get(ctx, dut.bursts, len(beats), pauses[1]))

    async def tap(ctx):
        async for _, _, now, last, values in ctx.tick().sample(dut.tap.written, dut.tap.last_step, dut.tap.membranes):
            if now and last:
                written.extend(
                    (value.membrane, value.synaptic) if config.current_leak else (value,) for value in values
                )

    cores = config.cores
    currents = [sums[at : at + cores] for at in range(0, len(sums), cores)]
    producers = [feed(dut.currents, currents, pauses[0], 1)]
    producers += [feed(getattr(dut, f"skip_{n}"), offered, pauses[0], 3 + n) for n, offered in enumerate(skips)]
    run(dut, *producers, consumer, background=[tap])
    shape = dut.bursts.payload.shape()
    assert [list(shape.from_bits(word)) for word in got] == beats
    assert written == wanted


@pytest.mark.parametrize("name", [name for name, config in CASES.items() if not config.skips])
def test_throughput_and_latency_are_those_of_the_docstring(name):
    config = CASES[name]
    dut = NeuronBank(config)
    taken: list[int] = []
    left: list[int] = []

    async def watch(ctx):
        ctx.set(dut.bursts.ready, 1)
        ctx.set(dut.currents.valid, 1)
        cycle = 0
        while len(left) < STEPS * config.turns * config.lanes // config.group:
            _, _, ready, valid = await ctx.tick().sample(dut.currents.ready, dut.bursts.valid)
            taken.extend([cycle] if ready else [])
            left.extend([cycle] if valid else [])
            cycle += 1

    run(dut, watch)
    neurons = config.slots * config.turns
    reads_states = config.schedule == "time_major" or config.timesteps > 1
    cycles_per_step = max(neurons, config.write_latency) if reads_states else neurons
    expected = [taken[0] + step * cycles_per_step + slot for step in range(STEPS) for slot in range(neurons)]
    assert taken[: len(expected)] == expected
    parts = config.group // config.cores
    assert left == [cycle + bank_latency(config) for cycle in expected[parts - 1 :: parts]]
