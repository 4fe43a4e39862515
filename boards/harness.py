"""The board's top: clock, pins, and the device.

LEDs, as many as the board has: 0 heartbeat, 1 self-test passed, 2 busy, then the class in binary.
"""

from typing import Any

from amaranth.build import ResourceError
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from boards.board import Board, Uart
from hw.configuration import TopConfig
from hw.link.configuration import LinkConfig
from hw.shell.device import NetworkDevice
from hw.shell.selftest import SelfTestVectors


class BoardTop(Elaboratable):
    """Everything that goes onto the chip.

    Args:
        board: the board.
        clock_mhz: the clock of both domains.
        config: the network.
        vectors: the inputs and logits of the self-test.
        link: the host link; None for a board without a serial line.
    """

    def __init__(
        self, board: Board, clock_mhz: float, config: TopConfig, vectors: SelfTestVectors, link: LinkConfig | None
    ) -> None:
        self.board, self.clock_mhz = board, clock_mhz
        self.device = NetworkDevice(config, vectors, link, round(clock_mhz * 1e6))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain()
        m.domains.network = network = ClockDomain(reset_less=True)
        # The same signal, not one driven by the other, so that both domains tick at the same instant in simulations.
        network.clk = sync.clk
        m.submodules.clock_generator = self.board.family.clock_generator(self.board, self.clock_mhz)
        m.submodules.device = device = self.device
        if self.board.uart is not None:
            self._connect_line(m, platform, self.board.uart)
        lights = (device.heartbeat, device.passed, device.busy)
        for number, light in enumerate((*lights, *device.winner)):
            try:
                pin = platform.request("led", number, dir="-")
            except ResourceError:
                break
            m.submodules[f"led_{number}"] = led = io.Buffer("o", pin)
            m.d.comb += led.o.eq(light)
        return m

    def _connect_line(self, m: Module, platform: Any, uart: Uart) -> None:
        pins = platform.request(uart.name, uart.number, dir="-")
        m.submodules.receive = receive = io.Buffer("i", pins.rx)
        m.submodules.transmit = transmit = io.Buffer("o", pins.tx)
        m.d.comb += [self.device.receive.eq(receive.i), transmit.o.eq(self.device.transmit)]
