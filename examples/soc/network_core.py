"""The network's core as a LiteX module: registers on the Wishbone bus, samples and results through CSRs."""

from amaranth.hdl import Shape
from amaranth.lib.wiring import In
from litex.gen import LiteXModule
from litex.soc.interconnect import stream, wishbone
from litex.soc.interconnect.csr import CSRStatus, CSRStorage
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import Instance, Signal
from migen.fhdl.structure import ClockSignal, ResetSignal

from gen.emit.core import MODULE
from hw.ports.bus import WORD_BITS
from hw.ports.core import CoreConfig, core_ports

ASKED, ANSWERED = ("cyc", "stb", "we", "adr", "sel", "dat_w"), ("dat_r", "ack", "err")
"""Signals of Wishbone that the CPU and the core drive."""
WAITING_WORDS = 16
"""Words of samples that can wait between CPU and core."""


class NetworkCore(LiteXModule):
    """A core with a Wishbone port for its registers, between two small queues that the CPU fills and drains.

    A beat of the core consists of one or more words of the bus, the lowest first; so does a word of a result.

    Attributes:
        bus: the core's registers, as its C header describes them.
        sample_room: whether a word may be written.
        sample_last: written before the last word of a sample, and after it.
        sample_word: the next word of a sample.
        result_word: the next word of a result, which is there as a whole when the core raises its interrupt; reading a
            word takes it.
        ev: the core's interrupt.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.bus = wishbone.Interface(data_width=WORD_BITS)
        self.sample_room = CSRStatus(description="A word of a sample may be written.")
        self.sample_last = CSRStorage(description="The next word is the last one of its sample.")
        self.sample_word = CSRStorage(WORD_BITS, description="The next word of a sample.")
        self.result_word = CSRStatus(WORD_BITS, description="The next word of a result; reading takes it.")
        self.ev = EventManager()
        self.ev.result = EventSourceLevel()
        self.ev.finalize()

        shapes = {name: (member.flow, Shape.cast(member.shape).width) for name, member in core_ports(config).items()}
        ports = {name: Signal(bits, name=name) for name, (_, bits) in shapes.items()}
        self.specials += Instance(
            MODULE, **{f"{'i' if shapes[name][0] == In else 'o'}_{name}": signal for name, signal in ports.items()}
        )
        self.comb += [
            ports["aclk"].eq(ClockSignal()),
            ports["aresetn"].eq(~ResetSignal()),
            *(
                ports[f"s_wb_{name}"].eq(getattr(self.bus, name))
                for name in ("cyc", "stb", "we", "adr", "sel", "dat_w")
            ),
            *(getattr(self.bus, name).eq(ports[f"s_wb_{name}"]) for name in ("dat_r", "ack", "err")),
            self.ev.result.trigger.eq(ports["irq"]),
        ]
        self._samples(ports)
        self._results(ports, config.top.readout.classes + 1)

    def _samples(self, ports: dict[str, Signal]) -> None:
        """From words to beats."""
        words = -(-len(ports["s_axis_tdata"]) // WORD_BITS)
        self.sample_queue = queue = stream.SyncFIFO([("data", WORD_BITS)], WAITING_WORDS, buffered=True)
        self.sample_beats = beats = stream.Converter(WORD_BITS, words * WORD_BITS)
        self.comb += [
            self.sample_room.status.eq(queue.sink.ready),
            queue.sink.valid.eq(self.sample_word.re),
            queue.sink.data.eq(self.sample_word.storage),
            queue.sink.last.eq(self.sample_last.storage),
            queue.source.connect(beats.sink),
            ports["s_axis_tdata"].eq(beats.source.data),
            ports["s_axis_tlast"].eq(beats.source.last),
            ports["s_axis_tvalid"].eq(beats.source.valid),
            beats.source.ready.eq(ports["s_axis_tready"]),
        ]

    def _results(self, ports: dict[str, Signal], count: int) -> None:
        """From results of ``count`` words of the core to words of the bus."""
        bits = len(ports["m_axis_tdata"])
        self.result_words = words = stream.Converter(bits, WORD_BITS)
        self.result_queue = queue = stream.SyncFIFO([("data", WORD_BITS)], count * bits // WORD_BITS, buffered=True)
        self.comb += [
            words.sink.data.eq(ports["m_axis_tdata"]),
            words.sink.valid.eq(ports["m_axis_tvalid"]),
            ports["m_axis_tready"].eq(words.sink.ready),
            words.source.connect(queue.sink),
            self.result_word.status.eq(queue.source.data),
            queue.source.ready.eq(self.result_word.we),
        ]
