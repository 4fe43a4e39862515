import dataclasses

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.neurons.config import NeuronConfig, SkipConfig
from hw.neurons.core import NeuronCore
from qblif.network.nodes import Leak
from qblif.streams import BurstStream
from tests.reference import advance

SKIP = SkipConfig(
    source="input", stream=BurstStream(group=1, burst_bits=2, beats=1, steps=1), weight=37, depth=1, memory="block"
)
CONFIG = NeuronConfig(
    lanes=1, folds=1, positions=1, cores=1, group=1, timesteps=1, fraction_bits=4, rounding=8,
    burst_ceiling=3, leak=Leak(), reset="soft",
    bias=(63, -64), exponent=(2, 0), skips=(), membrane_memory="logic", constants_memory="logic", bias_bits=7,
    exponent_bits=2, accumulator_bits=10, current_bits=13, summed_bits=15, synaptic_bits=15,
    potential_bits=17, membrane_bits=14,
)  # fmt: skip
SLOW = Leak(multiplier=7, shift=3)
OVER_TIME: list[dict] = [
    {"membrane_limits": (-40, 25)},
    {"current_leak": SLOW},
    {"current_leak": SLOW, "reset": "hard", "membrane_limits": (0, 11)},
    {"current_leak": SLOW, "current_limits": (-300, 200)},
    {"current_leak": SLOW, "current_limits": (-90, 0), "membrane_limits": (-1000, 1), "rounding": -1},
]
VARIANTS = [
    CONFIG,
    dataclasses.replace(CONFIG, reset="hard"),
    dataclasses.replace(CONFIG, leak=Leak(multiplier=3, shift=2)),
    dataclasses.replace(CONFIG, leak=Leak(multiplier=0, shift=1), burst_ceiling=1),
    dataclasses.replace(CONFIG, leak=Leak(multiplier=1, shift=0), fraction_bits=1, rounding=1, burst_ceiling=7),
    dataclasses.replace(CONFIG, fraction_bits=12, rounding=2048, exponent=(0, 0), exponent_bits=0),
    dataclasses.replace(CONFIG, rounding=0),
    dataclasses.replace(CONFIG, rounding=-1, reset="hard", burst_ceiling=1),
    dataclasses.replace(CONFIG, rounding=15),
    dataclasses.replace(CONFIG, skips=(SKIP, dataclasses.replace(SKIP, weight=-7)), current_bits=14),
    *(dataclasses.replace(CONFIG, **changes) for changes in OVER_TIME),
]


def expected(
    config: NeuronConfig, total: int, bias: int, exponent: int, state: tuple[int, int], skipped: int
) -> tuple[int, ...]:
    """Burst and next state by the integer form, in Python's own integers."""
    current = total * 2**exponent + bias + sum(skip.weight * skipped for skip in config.skips)
    burst, (membrane, synaptic) = advance(config, current, state)
    return (burst, membrane) if config.current_leak is None else (burst, membrane, synaptic)


NEURONS = st.lists(
    st.tuples(
        # Most of the range lies far from the few bursts between 0 and K, so half of the neurons stay near them.
        st.integers(-8, 8) | st.integers(-512, 511),
        st.integers(-64, 63),
        st.integers(0, 2),
        st.integers(-64, 64) | st.integers(-4096, 4095),
        st.booleans(),
        st.integers(0, 3),
        st.integers(-30, 30) | st.integers(-4096, 4095),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("config", VARIANTS)
@settings(max_examples=25, deadline=None)
@given(neurons=NEURONS)
def test_pipeline_is_the_integer_form(config, neurons):
    dut = NeuronCore(config)
    if not config.exponent_bits:
        neurons = [(total, bias, 0, *others) for total, bias, _, *others in neurons]
    bursts, states = [], []
    left = [dut.next_membrane] if config.current_leak is None else [dut.next_membrane, dut.next_synaptic]

    async def process(ctx):
        ctx.set(dut.advance, 1)
        for cycle in range(len(neurons) + config.write_latency):
            for delay, drive in (
                (0, lambda n: offer(ctx, dut, n)),
                (dut.constants_latency, lambda n: ctx.set(dut.constants, constants(config, n))),
                (dut.state_latency, lambda n: bring(ctx, dut, n)),
            ):
                if 0 <= cycle - delay < len(neurons):
                    drive(neurons[cycle - delay])
            await ctx.tick()
            if cycle + 1 >= config.burst_latency:
                bursts.append(ctx.get(dut.burst))
            if cycle + 1 >= config.write_latency:
                states.append([ctx.get(port) for port in left])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()
    wanted = [
        expected(config, total, bias, exponent, (0, 0) if first else (membrane, synaptic), skipped)
        for total, bias, exponent, membrane, first, skipped, synaptic in neurons
    ]
    got = zip(bursts, states, strict=False)
    assert [(burst, *state) for burst, state in got][: len(wanted)] == wanted


def constants(config: NeuronConfig, neuron) -> dict[str, int]:
    return {"bias": neuron[1], "exponent": neuron[2]} if config.exponent_bits else {"bias": neuron[1]}


def bring(ctx, dut: NeuronCore, neuron) -> None:
    ctx.set(dut.membrane, neuron[3])
    if dut.config.current_leak is not None:
        ctx.set(dut.synaptic, neuron[6])


def offer(ctx, dut: NeuronCore, neuron) -> None:
    ctx.set(dut.sum, neuron[0])
    ctx.set(dut.first, neuron[4])
    for index in range(len(dut.config.skips)):
        ctx.set(dut.skips[f"skip_{index}"], neuron[5])
