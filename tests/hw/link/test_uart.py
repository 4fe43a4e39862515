import random

import pytest
from amaranth.hdl import Module

from hw.link.uart import UartReceiver, UartTransmitter
from tests.hw.link.line import receive, send
from tests.hw.streams import get, put, run


@pytest.mark.parametrize("divisor", [4, 5, 26])
def test_receives_what_is_sent_back_to_back(divisor):
    dut = UartReceiver(divisor)
    data = random.Random(1).randbytes(40) + bytes([0, 255, 0])
    taken = []

    async def host(ctx):
        await send(ctx, dut.line, data, divisor)

    async def device(ctx):
        taken.extend(await get(ctx, dut.leaving, len(data), 0.3))

    run(dut, host, device)
    assert bytes(taken) == data


def test_a_line_a_little_too_fast_or_too_slow_is_still_read():
    # Bits of 50 cycles arrive at a receiver that expects 51 or 49: a baud rate two percent off.
    for divisor in (49, 51):
        dut = UartReceiver(divisor)
        taken: list[int] = []

        async def host(ctx, dut=dut):
            await send(ctx, dut.line, b"\x55\xaa\x00\xff", 50)

        async def device(ctx, dut=dut, taken=taken):
            taken.extend(await get(ctx, dut.leaving, 4, 0.0))

        run(dut, host, device)
        assert bytes(taken) == b"\x55\xaa\x00\xff"


def test_a_glitch_is_no_start_bit():
    dut = UartReceiver(8)
    taken = []

    async def host(ctx):
        ctx.set(dut.line, 0)
        await ctx.tick().repeat(2)
        ctx.set(dut.line, 1)
        await ctx.tick().repeat(20)
        await send(ctx, dut.line, b"\x5a", 8)

    async def device(ctx):
        taken.extend(await get(ctx, dut.leaving, 1, 0.0))

    run(dut, host, device)
    assert taken == [0x5A]


@pytest.mark.parametrize("divisor", [4, 7])
def test_sends_bytes(divisor):
    dut = UartTransmitter(divisor)
    data = random.Random(2).randbytes(30)
    taken = bytearray()

    async def device(ctx):
        await put(ctx, dut.arriving, data, 0.2)
        await ctx.tick().repeat(11 * divisor)

    async def host(ctx):
        await receive(ctx, dut.line, divisor, taken)

    module = Module()
    module.submodules.dut = dut
    run(module, device, background=[host])
    assert bytes(taken) == data
