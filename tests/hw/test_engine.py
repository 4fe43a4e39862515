"""The engine that most tests simulate with, against Amaranth's own: every signal of a design, cycle by cycle."""

import random

import pytest
from amaranth.hdl import ClockDomain, Fragment, Module, ResetInserter, Signal
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator
from amaranth.sim.pysim import PySimEngine

from hw.configure import configure
from hw.top import NetworkTop
from qblif.streams import stream_beats
from tests.hw.engine import Engine
from tests.networks import random_bursts, random_plan, random_shortcuts, random_temporal

CYCLES = 300


def trace(engine, design, signals, inputs) -> list[list[int]]:
    """The values of all signals before every edge; ``inputs`` gives the values of some signals for a cycle."""
    found = []

    async def testbench(ctx):
        for cycle in range(CYCLES):
            for signal, value in inputs(cycle):
                ctx.set(signal, value)
            found.append([ctx.get(signal) for signal in signals])
            await ctx.tick()

    simulator = Simulator(design, engine=engine)
    for domain in {"sync", "fast"} & set(simulator._design.fragment.domains):
        simulator.add_clock({"sync": 1e-6, "fast": 0.3e-6}[domain], domain=domain)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def assigned(fragment) -> list[Signal]:
    """All signals that a fragment and those inside it assign."""
    signals = [s for statements in fragment.statements.values() for one in statements for s in one._lhs_signals()]
    for inner, _, _ in fragment.subfragments:
        signals += assigned(inner)
    return signals


@pytest.mark.parametrize("make", [random_temporal, random_shortcuts])
@pytest.mark.parametrize("seed", range(2))
def test_networks(make, seed):
    network = make(seed)
    config = configure(network, random_plan(network, seed))
    beats = [beat for frame in stream_beats(config.framed(random_bursts(network, 2)), config.input) for beat in frame]

    def traced(engine):
        dut = NetworkTop(config)

        def inputs(cycle):
            chance = random.Random(cycle)
            yield dut.bursts.payload, beats[cycle % len(beats)].tolist()
            yield dut.bursts.valid, chance.random() < 0.8
            yield dut.results.ready, chance.random() < 0.8

        fragment = Fragment.get(dut, None)
        return trace(engine, fragment, assigned(fragment), inputs)

    ours, theirs = traced(Engine), traced(PySimEngine)
    assert ours == theirs
    assert len(ours[0]) > 100
    assert len({tuple(values) for values in ours}) > CYCLES / 2


def test_two_clocks_a_reset_and_a_memory_that_is_written_while_it_is_read():
    def traced(engine):
        m = Module()
        m.domains += [ClockDomain("sync"), ClockDomain("fast")]
        m.submodules.memory = memory = Memory(shape=8, depth=4, init=[3, 1, 4])
        write = memory.write_port(domain="fast")
        reads = [memory.read_port(transparent_for=(write,), domain="fast"), memory.read_port(domain="comb")]
        rest, value, slow, total = Signal(), Signal(8), Signal(8), Signal(8)
        counter = Module()
        counter.d.sync += slow.eq(slow + 1)
        m.submodules.counter = ResetInserter(rest)(counter)
        m.d.comb += [write.data.eq(value), write.addr.eq(slow[:2]), write.en.eq(slow[2])]
        m.d.comb += [read.addr.eq(value[:2]) for read in reads]
        m.d.fast += total.eq(total + reads[1].data)

        def inputs(cycle):
            chance = random.Random(cycle)
            if chance.random() < 0.5:
                yield value, chance.randrange(256)
            yield rest, chance.random() < 0.05

        return trace(engine, m, [slow, total, *(read.data for read in reads)], inputs)

    ours, theirs = traced(Engine), traced(PySimEngine)
    assert ours == theirs
    assert all(len({values[place] for values in ours}) > 5 for place in range(len(ours[0])))
