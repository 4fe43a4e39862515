"""The board's top: clock, network, self-test and LEDs.

LEDs, as many as the board has: 0 heartbeat, 1 self-test passed, 2 self-test failed, 3 and up the class in binary.
"""

from amaranth.build import ResourceError
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.wiring import connect

from boards.board import Board
from hw.configuration import TopConfig
from hw.selftest import SelfTest, SelfTestVectors
from hw.top import NetworkTop


class BoardTop(Elaboratable):
    """Everything that goes onto the chip.

    Args:
        board: the board.
        clock_mhz: the clock of the one ``sync`` domain.
        config: the network.
        vectors: what the self-test replays.
    """

    def __init__(self, board: Board, clock_mhz: float, config: TopConfig, vectors: SelfTestVectors) -> None:
        self.board, self.clock_mhz, self.config, self.vectors = board, clock_mhz, config, vectors

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock_generator = self.board.family.clock_generator(self.board, self.clock_mhz)
        m.submodules.network = network = NetworkTop(self.config)
        m.submodules.self_test = test = SelfTest(self.config, self.vectors)
        connect(m, test.bursts, network.bursts)
        connect(m, network.results, test.results)

        heartbeat = Signal(range(int(self.clock_mhz * 1e6)))
        m.d.sync += heartbeat.eq(heartbeat + 1)
        lights = Cat(heartbeat[-1], test.passed, test.failed, test.winner)
        for number in range(len(lights)):
            try:
                pin = platform.request("led", number, dir="-")  # type: ignore[attr-defined]
            except ResourceError:
                break
            m.submodules[f"led_{number}"] = led = io.Buffer("o", pin)
            m.d.comb += led.o.eq(lights[number])
        return m
